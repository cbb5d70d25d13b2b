import { checkConstant, checkOffset, checkSize, sizeError } from './claims.js';
import { layoutError } from './errors.js';
import { kinds, known, type Cursor } from './kinds.js';
import type {
  ResolvedField,
  ResolvedInteger,
  ResolvedIntegral,
  ResolvedNamed,
  ResolvedSlice,
  ResolvedStruct,
  ResolvedType,
} from './resolved.js';
import type { Target } from './target.js';
import type {
  Description,
  FieldDescription,
  IntegerDescription,
  IntegralDescription,
  StructDescription,
  TaggedDescription,
  UnionDescription,
} from './types.js';

const cache = new WeakMap<Description, Map<string, ResolvedType>>();

/**
 * Computes every size and offset of a type for a target, and checks all that its author claimed.
 * @throws LayoutError that names the field, what was found and what was expected.
 */
export function resolve(type: StructDescription, target: Target): ResolvedStruct;
export function resolve(type: IntegralDescription, target: Target): ResolvedIntegral;
export function resolve(
  type: StructDescription | IntegralDescription | UnionDescription | TaggedDescription,
  target: Target,
): ResolvedNamed;
export function resolve(type: Description, target: Target): ResolvedType;
export function resolve(type: Description, target: Target): ResolvedType {
  return resolveIn(type, target, []);
}

export function resolveIn(type: Description, target: Target, inside: readonly Description[]): ResolvedType {
  const name = 'name' in type ? type.name : type.kind;
  if (inside.includes(type)) {
    throw layoutError('LAYOUT_CYCLE', 'found a type inside itself, expected a finite size', name, 0);
  }
  const key = targetKey(target);
  const known = cache.get(type)?.get(key);
  if (known !== undefined) return known;
  const resolved = resolveNew(type, target, [...inside, type]);
  const perTarget = cache.get(type) ?? new Map<string, ResolvedType>();
  perTarget.set(key, resolved);
  cache.set(type, perTarget);
  return resolved;
}

/** What of a target decides about layouts: two targets with one key are the same. */
function targetKey(target: Target): string {
  return [
    target.endian,
    target.wordBits,
    target.align64,
    target.unnamedBitFieldsAlign,
    target.microsoftBitFields,
  ].join();
}

function resolveNew(type: Description, target: Target, inside: readonly Description[]): ResolvedType {
  switch (type.kind) {
    case 'integer':
      return resolveInteger(type, target);
    case 'word':
      return {
        kind: 'integer',
        bits: target.wordBits,
        align: alignOf(target.wordBits, target),
        signed: type.signed,
        endian: target.endian,
        order: 'msb',
        wide: true,
        set: undefined,
        pointer: type.pointer,
        table: type.table,
        declaredBits: undefined,
      };
    case 'float':
      return {
        kind: 'float',
        bits: type.bits,
        align: alignOf(type.bits, target),
        endian: type.endian ?? target.endian,
      };
    case 'boolean':
      return { kind: 'boolean', bits: 8, align: 1, order: 'msb', declaredBits: undefined };
    case 'bytes':
      return { kind: 'bytes', bits: type.count * 8, align: type.align };
    case 'text':
      return { kind: 'text', bits: type.count * 8, align: 1, encoding: type.encoding };
    case 'array': {
      const element = resolveIn(type.element, target, inside);
      return { kind: 'array', element, count: type.count, bits: element.bits * type.count, align: element.align };
    }
    case 'variable':
      throw layoutError(
        'LAYOUT_UNSUPPORTED',
        'found a part without a fixed size, which only a codec reads',
        type.name,
        0,
      );
    case 'bitField':
      throw layoutError('LAYOUT_UNSUPPORTED', 'a bit field can only be a field of a struct', 'bit field', 0);
    case 'struct':
      return type.packing === 'bits' ? known(kinds.bits).resolve(type, target, inside) : resolveC(type, target, inside);
    case 'integral':
      return resolveIntegral(type, target);
    case 'union':
      return known(kinds.union).resolve(type, target, inside);
    case 'tagged':
      return known(kinds.tagged).resolve(type, target, inside);
  }
}

/** Alignment in bytes of a number as C's structs have it; a width that C lacks is packed to the bit. */
function alignOf(bits: number, target: Target): number {
  switch (bits) {
    case 16:
      return 2;
    case 32:
      return 4;
    case 64:
      return target.align64;
    default:
      return 1;
  }
}

function resolveInteger(type: IntegerDescription, target: Target): ResolvedInteger {
  return {
    kind: 'integer',
    bits: type.bits,
    align: alignOf(type.bits, target),
    signed: type.signed,
    // Bits that are counted from the least significant one are bytes in that order.
    endian: type.order === 'lsb' ? 'little' : (type.endian ?? target.endian),
    order: type.order ?? 'msb',
    wide: type.bits > 32,
    set: type.set,
    pointer: undefined,
    table: undefined,
    declaredBits: undefined,
  };
}

export function alignUp(value: number, align: number): number {
  return Math.ceil(value / align) * align;
}

/** C's rules: System V psABIs and AAPCS64, "Aggregates and Unions". */
function resolveC(type: StructDescription, target: Target, inside: readonly Description[]): ResolvedStruct {
  const packed = type.packing === 'packed';
  const cursor: Cursor = { bit: 0, align: type.align ?? 1 };
  const fields: ResolvedField[] = [];
  for (const item of type.fields) {
    const path = `${type.name}.${item.name}`;
    const before = cursor.bit;
    let place: { readonly type: ResolvedType; readonly bit: number };
    if (item.type.kind === 'bitField') {
      place = known(kinds.bitField).place(item.type, item, cursor, packed, target, path);
    } else {
      const resolved = resolveIn(item.type, target, inside);
      checkCType(resolved, path, cursor.bit, packed);
      const align = Math.max(packed ? 1 : resolved.align, item.align ?? 1);
      cursor.align = Math.max(cursor.align, align);
      cursor.unit = undefined;
      cursor.bit = alignUp(cursor.bit, align * 8);
      place = { type: resolved, bit: cursor.bit };
      cursor.bit += resolved.bits;
    }
    checkOffset(type, item, path, place.bit, before, place.type.align);
    fields.push(resolvedField(item, place.type, place.bit));
  }
  const end = cursor.bit;
  const bits = alignUp(end, cursor.align * 8);
  if (type.explicit && bits !== end) {
    throw sizeError(
      type.name,
      end / 8,
      `the fields end at ${end / 8}, expected padding up to ${bits / 8}`,
      end / 8,
      bits / 8,
    );
  }
  checkSize(type, bits);
  return {
    kind: 'struct',
    name: type.name,
    doc: type.doc,
    fields,
    bits,
    align: cursor.align,
    source: type,
  };
}

/** @param packed whether integers of whole bytes that C lacks may stand there, as formats have them (24 bits, a MAC address) */
export function checkCType(type: ResolvedType, path: string, bit: number, packed: boolean): void {
  if (type.bits % 8 === 0 && isCType(type, packed)) return;
  const isWhole = !packed && type.bits % 8 === 0 && isCType(type, true);
  const expected = `whole bytes of a width that C has${isWhole ? ', or a packed struct around it' : ''}`;
  throw layoutError(
    'LAYOUT_UNSUPPORTED',
    `found ${widthText(type)}, expected ${expected}`,
    path,
    Math.floor(bit / 8),
    type.bits,
    expected,
  );
}

function isCType(type: ResolvedType, packed: boolean): boolean {
  switch (type.kind) {
    case 'integer':
      return type.order === 'msb' && (packed ? type.bits % 8 === 0 : [8, 16, 32, 64].includes(type.bits));
    case 'integral':
      return isCType(type.container, packed);
    case 'array':
      return isCType(type.element, packed);
    default:
      return true;
  }
}

function resolveIntegral(type: IntegralDescription, target: Target): ResolvedIntegral {
  const container = resolveInteger(type.container, target);
  let shift = container.bits;
  const fields = type.fields.map((item): ResolvedSlice => {
    const inner = resolveIn(item.type, target, [type]);
    if (inner.kind !== 'integer' && inner.kind !== 'integral') throw new TypeError('checked when it was described');
    shift -= inner.bits;
    checkConstant(`${type.name}.${item.name}`, 0, item, inner);
    return { name: item.name, type: inner, shift, width: inner.bits, doc: item.doc, value: item.value };
  });
  return {
    kind: 'integral',
    name: type.name,
    doc: type.doc,
    container,
    fields,
    bits: container.bits,
    align: container.align,
  };
}

function widthText(type: ResolvedType): string {
  return `${type.kind} of ${type.bits} bits`;
}

export function resolvedField(item: FieldDescription, type: ResolvedType, bit: number): ResolvedField {
  checkConstant(item.name, Math.floor(bit / 8), item, type);
  return {
    name: item.name,
    type,
    bit,
    offset: Math.floor(bit / 8),
    doc: item.doc,
    value: item.value,
    unnamed: item.type.kind === 'bitField' && item.type.unnamed,
    ...(item.anonymous === true ? { anonymous: true } : {}),
  };
}
