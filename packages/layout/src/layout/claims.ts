import type { LayoutError } from './errors.js';
import { layoutError } from './errors.js';
import type { ResolvedInteger, ResolvedType } from './resolved.js';
import type { FieldDescription, StructDescription } from './types.js';

// What an author claims of a layout (offsets, sizes, constants) against what was computed.

export function checkConstant(path: string, offset: number, item: FieldDescription, type: ResolvedType): void {
  if (item.value === undefined) return;
  if (type.kind !== 'integer') {
    throw layoutError('LAYOUT_VALUE', `found a constant of type ${type.kind}, expected an integer`, path, offset);
  }
  const expected = type.wide ? 'bigint' : 'number';
  if (typeof item.value !== expected) {
    throw layoutError('LAYOUT_VALUE', `found ${typeof item.value}, expected ${expected}`, path, offset, item.value);
  }
  const value = BigInt(item.value);
  const [low, high] = integerRange(type);
  if (value < low || value > high) {
    throw layoutError('LAYOUT_RANGE', `found ${value}, expected ${low} to ${high}`, path, offset, item.value);
  }
}

/** Smallest and largest value of an integer. */
function integerRange(type: ResolvedInteger): readonly [low: bigint, high: bigint] {
  const bits = BigInt(type.bits);
  return type.signed ? [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n] : [0n, (1n << bits) - 1n];
}

export function checkOffset(
  type: StructDescription,
  item: FieldDescription,
  path: string,
  bit: number,
  before: number,
  align: number,
): void {
  const gap = type.explicit && bit !== before;
  if (!gap && (item.at === undefined || item.at * 8 === bit)) return;
  throw layoutError(
    'LAYOUT_OFFSET',
    `declared at ${item.at ?? 'no offset'}, but the fields before it end at ${before / 8} and its alignment is ${align}; ` +
      'declare the padding or correct the offset',
    path,
    Math.floor(bit / 8),
    item.at,
    bit / 8,
  );
}

export function checkSize(type: StructDescription, bits: number): void {
  if (type.size === undefined || type.size * 8 === bits) return;
  throw sizeError(type.name, bits / 8, `declared ${type.size} bytes, the fields need ${bits / 8}`, type.size, bits / 8);
}

export function sizeError(path: string, offset: number, message: string, found: number, expected: number): LayoutError {
  return layoutError('LAYOUT_SIZE', message, path, offset, found, expected);
}
