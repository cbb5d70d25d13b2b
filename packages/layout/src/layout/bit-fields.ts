import { LayoutError } from './errors.js';
import type { Cursor } from './kinds.js';
import { alignUp, resolveIn } from './resolve.js';
import type { BitOrder, ResolvedType } from './resolved.js';
import type { Target } from './target.js';
import type { BitFieldDescription, FieldDescription } from './types.js';

/** Places a bit field of a C struct or union behind what is there. */
export function placeBitField(
  type: BitFieldDescription,
  item: FieldDescription,
  cursor: Cursor,
  packed: boolean,
  target: Target,
  path: string,
): { readonly type: ResolvedType; readonly bit: number } {
  checkWidth(type, path, target);
  const container = resolveIn(type.container, target, []);
  const bit =
    target.microsoftBitFields === true
      ? placeAsMicrosoft(type, item, cursor, container)
      : placeAsUnix(type, item, cursor, packed, target, container);
  // A container with a byte order of its own (gcc's scalar_storage_order) is filled as targets of that order do.
  const endian = container.kind === 'integer' ? container.endian : target.endian;
  const order: BitOrder = endian === 'little' ? 'lsb' : 'msb';
  if (container.kind === 'boolean') {
    return { bit, type: { ...container, bits: type.width, align: 1, order, declaredBits: container.bits } };
  }
  if (container.kind !== 'integer') throw new TypeError('a container is an integer');
  const wide = type.container.kind === 'word' || type.width > 32;
  return { bit, type: { ...container, bits: type.width, align: 1, order, wide, declaredBits: container.bits } };
}

/** A bit field of a word may be wider than the words of this target; other widths were checked when they were described. */
function checkWidth(type: BitFieldDescription, path: string, target: Target): void {
  if (type.container.kind !== 'word' || type.width <= target.wordBits) return;
  throw new LayoutError(
    'LAYOUT_WIDTH',
    `found ${type.width} bits, but a word of ${target.name} has ${target.wordBits}`,
    {
      path,
      offset: 0,
      found: type.width,
      expected: `1..${target.wordBits}`,
    },
  );
}

/** A container, resolved. */
type Container = Pick<ResolvedType, 'bits' | 'align'>;

/**
 * System V x86-64 psABI 3.1.2 "Bit-Fields", AAPCS64 "Bit-fields": a bit field lies within as many units of its type's
 * alignment as the type itself; one of width 0 ends the unit, in packed structs too; an unnamed one aligns the struct on
 * some targets only. An alignment of its own (an attribute of gcc and clang) moves a field first, and changes no unit.
 */
function placeAsUnix(
  type: BitFieldDescription,
  item: FieldDescription,
  cursor: Cursor,
  packed: boolean,
  target: Target,
  container: Container,
): number {
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
  return bit;
}

/** A bit field shares the unit before it only where that is as large as its own type; one of width 0 ends such a unit. */
function placeAsMicrosoft(
  type: BitFieldDescription,
  item: FieldDescription,
  cursor: Cursor,
  container: Container,
): number {
  const shared = cursor.unit;
  if (type.width === 0) {
    if (shared !== undefined) {
      // In packed structs too.
      cursor.bit = alignUp(cursor.bit, container.align * 8);
      cursor.align = Math.max(cursor.align, container.align);
    }
    cursor.unit = undefined;
    return cursor.bit;
  }
  const fits = shared?.bits === container.bits && shared.next + type.width <= shared.end && item.align === undefined;
  // The attribute `packed` does not pack units.
  const align = Math.max(container.align, item.align ?? 1);
  cursor.align = Math.max(cursor.align, align);
  let bit: number;
  if (fits) {
    bit = shared.next;
    shared.next += type.width;
  } else {
    bit = alignUp(cursor.bit, align * 8);
    cursor.bit = bit + container.bits;
    cursor.unit = { end: cursor.bit, bits: container.bits, next: bit + type.width };
  }
  return bit;
}
