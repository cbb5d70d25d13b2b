import { layoutError } from '../layout/errors.js';
import type { ResolvedInteger, ResolvedIntegral } from '../layout/resolved.js';
import { isLeftOut, keysOf, type Member } from './members.js';

/** Bits of an integer as an unsigned number → its value: sign extended, `bigint` where the type is wide. */
export function fromBits(type: ResolvedInteger, raw: number | bigint): number | bigint {
  if (type.wide) {
    const big = BigInt(raw);
    return type.signed ? BigInt.asIntN(type.bits, big) : big;
  }
  const small = Number(raw);
  return type.signed && small >= 2 ** (type.bits - 1) ? small - 2 ** type.bits : small;
}

/**
 * A value of an integer → its bits as an unsigned number.
 * @throws LayoutError `LAYOUT_VALUE` for a value of the wrong type, `LAYOUT_RANGE` for one that does not fit.
 */
export function toBits(type: ResolvedInteger, value: unknown, path: string, offset: number): number | bigint {
  const name = `${type.signed ? 'i' : 'u'}${type.bits}`;
  const expected = type.wide ? 'bigint' : 'number';
  if (typeof value !== expected) {
    throw layoutError(
      'LAYOUT_VALUE',
      `found ${typeof value}, expected ${expected} (${name})`,
      path,
      offset,
      value,
      expected,
    );
  }
  const number = value as number | bigint;
  const low = type.signed ? -(2 ** (type.bits - 1)) : 0;
  const limit = low + 2 ** type.bits;
  // Powers of two are exact as doubles, and comparing a bigint to a double is exact.
  if ((typeof number === 'number' && !Number.isInteger(number)) || number < low || number >= limit) {
    throw layoutError(
      'LAYOUT_RANGE',
      `${String(number)} does not fit ${name}`,
      path,
      offset,
      number,
      `${BigInt(low)}..${BigInt(limit) - 1n}`,
    );
  }
  if (typeof number === 'bigint') return BigInt.asUintN(type.bits, number);
  return number < 0 ? number + 2 ** type.bits : number;
}

/** The bits `[shift, shift + width)` of an unsigned integer of `bits` bits. */
export function slice(raw: number | bigint, shift: number, width: number): number | bigint {
  if (typeof raw === 'number') return Math.floor(raw / 2 ** shift) % 2 ** width;
  const part = BigInt.asUintN(width, raw >> BigInt(shift));
  return width <= 32 ? Number(part) : part;
}

/** Splits the bits of an integral struct into its fields. */
export function splitIntegral(
  type: ResolvedIntegral,
  raw: number | bigint,
  path: string,
  offset: number,
): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const item of type.fields) {
    const part = slice(raw, item.shift, item.width);
    if (item.type.kind === 'integral') {
      value[item.name] = splitIntegral(item.type, part, `${path}.${item.name}`, offset);
      continue;
    }
    const found = fromBits(item.type, part);
    checkConstant(item.value, found, `${path}.${item.name}`, offset);
    value[item.name] = found;
  }
  return value;
}

/** Joins the fields of an integral struct to its bits; fields left out are zero or their constant. */
export function joinIntegral(type: ResolvedIntegral, value: unknown, path: string, offset: number): number | bigint {
  const given = checkObject(value, path, offset);
  checkKeys(type.fields, given, path, offset);
  let raw = 0n;
  for (const item of type.fields) {
    const inner = `${path}.${item.name}`;
    const chosen = given[item.name];
    let part: number | bigint;
    if (item.type.kind === 'integral') {
      part = joinIntegral(item.type, chosen ?? {}, inner, offset);
    } else {
      const kept = chosen ?? item.value ?? (item.type.wide ? 0n : 0);
      checkConstant(item.value, kept, inner, offset);
      part = toBits(item.type, kept, inner, offset);
    }
    raw = (raw << BigInt(item.width)) | BigInt(part);
  }
  return type.bits <= 32 ? Number(raw) : raw;
}

/** @throws LayoutError `LAYOUT_VALUE` where a constant field has another value. */
export function checkConstant(
  expected: number | bigint | undefined,
  found: unknown,
  path: string,
  offset: number,
): void {
  if (expected === undefined || found === expected) return;
  throw layoutError(
    'LAYOUT_VALUE',
    `found ${String(found)}, expected ${String(expected)}`,
    path,
    offset,
    found,
    expected,
  );
}

/** @throws LayoutError `LAYOUT_VALUE` for what is not an object with fields. */
export function checkObject(value: unknown, path: string, offset: number): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>;
  throw layoutError(
    'LAYOUT_VALUE',
    `found ${value === null ? 'null' : typeof value}, expected an object with fields`,
    path,
    offset,
    value,
  );
}

/**
 * Refuses keys that are no fields where a field was left out: one of them is misspelt, and would be written as zero.
 * @throws LayoutError `LAYOUT_NAME`.
 */
export function checkKeys(
  fields: readonly Member[],
  given: Readonly<Record<string, unknown>>,
  path: string,
  offset: number,
): void {
  const missing = fields.filter((item) => isLeftOut(item, given));
  if (missing.length === 0) return;
  for (const key of Object.keys(given)) {
    if (given[key] === undefined || fields.some((item) => keysOf(item).includes(key))) continue;
    const expected = missing.flatMap(keysOf).join(', ');
    throw layoutError(
      'LAYOUT_NAME',
      `found no such field, expected ${expected}`,
      `${path}.${key}`,
      offset,
      key,
      expected,
    );
  }
}
