import { checkOffset, checkSize } from './claims.js';
import { LayoutError } from './errors.js';
import { resolvedField, resolveIn } from './resolve.js';
import type { ResolvedField, ResolvedStruct, ResolvedType } from './resolved.js';
import type { Endian, Target } from './target.js';
import type { Description, FieldDescription, StructDescription } from './types.js';

/** GNU poke's rules: one field behind the other to the bit, unless a label puts it elsewhere. */
export function resolveBits(type: StructDescription, target: Target, inside: readonly Description[]): ResolvedStruct {
  const fields: ResolvedField[] = [];
  let next = 0;
  let end = 0;
  for (const item of type.fields) {
    const path = `${type.name}.${item.name}`;
    const resolved = resolveIn(item.type, target, inside);
    const before = next;
    const bit = labelBit(item, target.endian) ?? next;
    if (!Number.isInteger(bit) || bit < 0) {
      throw new LayoutError('LAYOUT_OFFSET', `found a label of ${bit} bits, expected a whole number from 0`, {
        path,
        offset: 0,
        found: bit,
      });
    }
    if (bit % 8 !== 0 && holdsLsbFields(resolved)) {
      throw new LayoutError('LAYOUT_UNSUPPORTED', 'C bit fields can only begin with a byte', {
        path,
        offset: Math.floor(bit / 8),
      });
    }
    for (const other of fields) {
      if (bit < other.bit + other.type.bits && other.bit < bit + resolved.bits) {
        throw new LayoutError(
          'LAYOUT_OVERLAP',
          `found at bit ${bit}, where ${other.name} (bits ${other.bit} to ${other.bit + other.type.bits - 1}) lies`,
          {
            path,
            offset: Math.floor(bit / 8),
            found: bit,
            expected: 'a bit that no other field has',
          },
        );
      }
    }
    checkOffset(type, item, path, bit, before, 1);
    fields.push(resolvedField(item, resolved, bit));
    next = bit + resolved.bits;
    end = Math.max(end, next);
  }
  checkSize(type, end);
  return { kind: 'struct', name: type.name, doc: type.doc, fields, bits: end, align: 1, source: type };
}

function labelBit(item: FieldDescription, endian: Endian): number | undefined {
  return typeof item.label === 'object' ? item.label[endian] : item.label;
}

function holdsLsbFields(type: ResolvedType): boolean {
  switch (type.kind) {
    case 'integer':
    case 'boolean':
      return type.order === 'lsb';
    case 'array':
      return holdsLsbFields(type.element);
    case 'struct':
      return type.fields.some((item) => holdsLsbFields(item.type));
    case 'union':
    case 'tagged':
      return type.arms.some((arm) => holdsLsbFields(arm.type));
    default:
      return false;
  }
}
