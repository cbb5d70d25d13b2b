import { layoutError } from '../layout/errors.js';
import { array } from '../layout/array.js';
import { bytes, type FieldDescription, type StructDescription, type Type } from '../layout/types.js';
import { isVariable } from '../variable/describe.js';
import { inOrder, type Interface, type NamedDescription } from './emitter.js';

// C and Rust have no structs whose parts vary, and what programs in them lay over the bytes of a format is what stands before
// the first such part.

/** A type of a fixed size with the same bytes; `none` where there are none here, undefined where their number varies. */
function fixedType(type: Type): Type | 'none' | undefined {
  if (!isVariable(type)) return type;
  if (type.kind !== 'variable') return undefined;
  const { part } = type;
  switch (part.form) {
    case 'range':
    case 'checksum':
      return part.type;
    case 'magic':
      return bytes(part.expected.length);
    case 'digest':
      return bytes(part.digest.size);
    case 'run':
      return typeof part.length === 'number' ? bytes(part.length) : undefined;
    case 'sized':
    case 'processed':
      return typeof part.length === 'number' ? bytes(part.length) : undefined;
    case 'list': {
      const element = typeof part.count === 'number' ? fixedType(part.element) : undefined;
      return element === undefined || element === 'none' ? undefined : array(element, Number(part.count));
    }
    case 'pointed':
    case 'lazy':
      return 'none';
    default:
      return undefined;
  }
}

/** The fields of a struct before the first whose size varies. */
function headFields(type: StructDescription): readonly FieldDescription[] {
  const fields: FieldDescription[] = [];
  for (const item of type.fields) {
    const fixed = fixedType(item.type);
    if (fixed === undefined) break;
    if (fixed !== 'none') fields.push({ ...item, type: fixed });
  }
  return fields;
}

/**
 * An interface in which the structs whose parts vary, also those inside others, are their heads of a fixed size, named
 * `…_head`; itself where there are none.
 * @throws LayoutError `LAYOUT_UNSUPPORTED`, naming the first field, where a listed struct has no such head
 */
export function withHeads(unit: Interface): Interface {
  const all = inOrder(unit.types);
  if (!all.some(isVariable)) return unit;
  const names = new Set(all.map(({ name }) => name));
  const types = all.flatMap((type): NamedDescription[] => {
    if (type.kind !== 'struct' || type.variable !== true) return unit.types.includes(type) ? [type] : [];
    const fields = headFields(type);
    if (fields.length === 0) {
      if (!unit.types.includes(type)) return [];
      const first = type.fields[0]?.name ?? '';
      const problem = 'found a part without a fixed size, which only a codec reads, before all that has one';
      throw layoutError('LAYOUT_UNSUPPORTED', problem, `${type.name}.${first}`, 0);
    }
    let name = `${type.name}_head`;
    for (let number = 2; names.has(name); number += 1) name = `${type.name}_head${number}`;
    names.add(name);
    const doc = `What ${type.name} begins with.${type.doc === '' ? '' : ` ${type.doc}`}`;
    const head: StructDescription = { kind: 'struct', name, doc, packing: 'packed', fields, explicit: false };
    return [head];
  });
  return { ...unit, types };
}
