import { checkConstant, checkOffset, checkSize, checkWidth, sizeError } from './claims.js';
import { LayoutError } from './errors.js';
import {
  type BitOrder,
  type ResolvedArm,
  type ResolvedField,
  type ResolvedInteger,
  type ResolvedIntegral,
  type ResolvedNamed,
  type ResolvedSlice,
  type ResolvedStruct,
  type ResolvedTagged,
  type ResolvedType,
  type ResolvedUnion,
} from './resolved.js';
import type { Endian, Target } from './target.js';
import type {
  BitFieldDescription,
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

function resolveIn(type: Description, target: Target, inside: readonly Description[]): ResolvedType {
  const name = 'name' in type ? type.name : type.kind;
  if (inside.includes(type)) {
    throw new LayoutError('LAYOUT_CYCLE', 'found a type inside itself, expected a finite size', {
      path: name,
      offset: 0,
    });
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
  return [target.endian, target.wordBits, target.align64, target.unnamedBitFieldsAlign].join();
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
      return { kind: 'float', bits: type.bits, align: alignOf(type.bits, target), endian: target.endian };
    case 'boolean':
      return { kind: 'boolean', bits: 8, align: 1, order: 'msb', declaredBits: undefined };
    case 'bytes':
      return { kind: 'bytes', bits: type.count * 8, align: type.align };
    case 'text':
      return { kind: 'text', bits: type.count * 8, align: 1 };
    case 'array': {
      const element = resolveIn(type.element, target, inside);
      return { kind: 'array', element, count: type.count, bits: element.bits * type.count, align: element.align };
    }
    case 'bitField':
      throw new LayoutError('LAYOUT_UNSUPPORTED', 'a bit field can only be a field of a struct', {
        path: 'bit field',
        offset: 0,
      });
    case 'struct':
      return type.packing === 'bits' ? resolveBits(type, target, inside) : resolveC(type, target, inside);
    case 'integral':
      return resolveIntegral(type, target);
    case 'union':
      return resolveUnion(type, target, inside);
    case 'tagged':
      return resolveTagged(type, target, inside);
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
    endian: type.endian ?? target.endian,
    order: 'msb',
    wide: type.bits > 32,
    set: type.set,
    pointer: undefined,
    table: undefined,
    declaredBits: undefined,
  };
}

function alignUp(value: number, align: number): number {
  return Math.ceil(value / align) * align;
}

/** A struct's size and offset as they grow, field by field. */
interface Cursor {
  bit: number;
  align: number;
}

function placeBitField(
  type: BitFieldDescription,
  item: FieldDescription,
  cursor: Cursor,
  packed: boolean,
  target: Target,
): { readonly type: ResolvedType; readonly bit: number } {
  const container = resolveIn(type.container, target, []);
  // System V x86-64 psABI 3.1.2 "Bit-Fields", AAPCS64 "Bit-fields": a bit field lies within as many units of its type's
  // alignment as the type itself; one of width 0 ends the unit, in packed structs too; an unnamed one aligns the struct on
  // some targets only. An alignment of its own (an attribute of gcc and clang) moves a field first, and changes no unit.
  const unit = (packed ? 1 : container.align) * 8;
  if (item.align !== undefined) cursor.bit = alignUp(cursor.bit, item.align * 8);
  if (type.width === 0) {
    cursor.bit = alignUp(cursor.bit, container.align * 8);
  } else if (!packed && Math.ceil(((cursor.bit % unit) + type.width) / unit) > container.bits / unit) {
    cursor.bit = alignUp(cursor.bit, unit);
  }
  if (!type.unnamed || target.unnamedBitFieldsAlign) {
    cursor.align = Math.max(cursor.align, type.width === 0 ? container.align : unit / 8, item.align ?? 1);
  }
  const bit = cursor.bit;
  cursor.bit += type.width;
  const order: BitOrder = target.endian === 'little' ? 'lsb' : 'msb';
  if (container.kind === 'boolean') {
    return { bit, type: { ...container, bits: type.width, align: 1, order, declaredBits: container.bits } };
  }
  if (container.kind !== 'integer') throw new TypeError('a container is an integer');
  const wide = type.container.kind === 'word' || type.width > 32;
  return { bit, type: { ...container, bits: type.width, align: 1, order, wide, declaredBits: container.bits } };
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
      checkWidth(item.type, path, target);
      place = placeBitField(item.type, item, cursor, packed, target);
    } else {
      const resolved = resolveIn(item.type, target, inside);
      checkCType(resolved, path, cursor.bit);
      const align = Math.max(packed ? 1 : resolved.align, item.align ?? 1);
      cursor.align = Math.max(cursor.align, align);
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

function checkCType(type: ResolvedType, path: string, bit: number): void {
  if (type.bits % 8 === 0 && isCType(type)) return;
  throw new LayoutError('LAYOUT_UNSUPPORTED', `found ${widthText(type)}, expected whole bytes of a width that C has`, {
    path,
    offset: Math.floor(bit / 8),
    found: type.bits,
    expected: 'a type that C has, or a struct that is packed to the bit around it',
  });
}

function isCType(type: ResolvedType): boolean {
  switch (type.kind) {
    case 'integer':
      return [8, 16, 32, 64].includes(type.bits);
    case 'integral':
      return [8, 16, 32, 64].includes(type.bits);
    case 'array':
      return isCType(type.element);
    default:
      return true;
  }
}

/** GNU poke's rules: one field behind the other to the bit, unless a label puts it elsewhere. */
function resolveBits(type: StructDescription, target: Target, inside: readonly Description[]): ResolvedStruct {
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

function resolveUnion(type: UnionDescription, target: Target, inside: readonly Description[]): ResolvedUnion {
  const cursor: Cursor = { bit: 0, align: 1 };
  let most = 0;
  const arms = type.arms.map((item) => {
    let resolved: ResolvedType;
    if (item.type.kind === 'bitField') {
      cursor.bit = 0;
      checkWidth(item.type, `${type.name}.${item.name}`, target);
      resolved = placeBitField(item.type, item, cursor, type.packed, target).type;
    } else {
      resolved = resolveIn(item.type, target, inside);
      checkCType(resolved, `${type.name}.${item.name}`, 0);
      cursor.align = Math.max(cursor.align, type.packed ? 1 : resolved.align, item.align ?? 1);
    }
    most = Math.max(most, resolved.bits);
    return resolvedField(item, resolved, 0);
  });
  return {
    kind: 'union',
    name: type.name,
    doc: type.doc,
    packed: type.packed,
    arms,
    bits: alignUp(most, cursor.align * 8),
    align: cursor.align,
  };
}

function resolveTagged(type: TaggedDescription, target: Target, inside: readonly Description[]): ResolvedTagged {
  const arms = type.arms.map((arm): ResolvedArm => ({
    name: arm.name,
    tag: BigInt(arm.tag),
    type: resolveIn(arm.type, target, inside),
  }));
  const align = Math.max(...arms.map((arm) => arm.type.align));
  const bits = alignUp(Math.max(...arms.map((arm) => arm.type.bits)), align === 1 ? 1 : align * 8);
  return { kind: 'tagged', name: type.name, doc: type.doc, by: type.by, arms, bits, align };
}

function widthText(type: ResolvedType): string {
  return `${type.kind} of ${type.bits} bits`;
}

function resolvedField(item: FieldDescription, type: ResolvedType, bit: number): ResolvedField {
  checkConstant(item.name, Math.floor(bit / 8), item, type);
  return {
    name: item.name,
    type,
    bit,
    offset: Math.floor(bit / 8),
    doc: item.doc,
    value: item.value,
    unnamed: item.type.kind === 'bitField' && item.type.unnamed,
  };
}
