import { LayoutError } from './errors.js';
import { resolve } from './resolve.js';
import type { ResolvedField, ResolvedIntegral, ResolvedStruct, ResolvedType } from './resolved.js';
import type { Target } from './target.js';
import type { Description } from './types.js';

/** The integer in memory that holds a bit field: read it in the target's byte order, then shift and mask. */
export interface StorageUnit {
  /** Bytes from the start of the struct. */
  readonly offset: number;
  /** Bits; a multiple of 8. */
  readonly bits: number;
}

/** Where a field lies in an integer, for languages without bit fields. */
export interface Manifest {
  /** Name of the field; fields of nested integral structs are joined with `_`. */
  readonly name: string;
  /** Bits below the field. */
  readonly shift: number;
  /** Bits of the field. */
  readonly width: number;
  /** The field's bits in place. */
  readonly mask: bigint;
  readonly signed: boolean;
  /** Set for a C bit field; an integral struct is an integer of its own. */
  readonly unit?: StorageUnit;
}

function entry(name: string, shift: number, width: number, signed: boolean, unit?: StorageUnit): Manifest {
  const mask = ((1n << BigInt(width)) - 1n) << BigInt(shift);
  return { name, shift, width, mask, signed, ...(unit === undefined ? {} : { unit }) };
}

function slices(type: ResolvedIntegral, prefix: string, below: number): Manifest[] {
  return type.fields.flatMap((item) => {
    const name = `${prefix}${item.name}`;
    const shift = below + item.shift;
    return item.type.kind === 'integral'
      ? slices(item.type, `${name}_`, shift)
      : [entry(name, shift, item.width, item.type.signed)];
  });
}

/** Whether a field is a C bit field. */
export function isBitField(
  item: ResolvedField,
): item is ResolvedField & { readonly type: { readonly kind: 'integer' | 'boolean'; readonly declaredBits: number } } {
  return (item.type.kind === 'integer' || item.type.kind === 'boolean') && item.type.declaredBits !== undefined;
}

/**
 * The storage unit of a bit field: the naturally aligned integer of its declared type where that holds the field and lies
 * inside the struct, else the bytes that the field touches (at most 9, for 64 bits that begin inside a byte).
 */
function unitOf(bit: number, width: number, declared: number, structBits: number): StorageUnit {
  const start = Math.floor(bit / declared) * declared;
  if (declared >= 8 && bit + width <= start + declared && start + declared <= structBits) {
    return { offset: start / 8, bits: declared };
  }
  const first = Math.floor(bit / 8);
  return { offset: first, bits: (Math.ceil((bit + width) / 8) - first) * 8 };
}

/** Shift, width and mask of a bit field in its storage unit. */
export function manifestOf(item: ResolvedField, structBits: number): Manifest | undefined {
  if (!isBitField(item)) return undefined;
  const { bits: width, order, declaredBits } = item.type;
  const unit = unitOf(item.bit, width, declaredBits, structBits);
  const inside = item.bit - unit.offset * 8;
  const shift = order === 'lsb' ? inside : unit.bits - inside - width;
  return entry(item.name, shift, width, item.type.kind === 'integer' && item.type.signed, unit);
}

function bitFields(type: ResolvedStruct): Manifest[] {
  return type.fields.flatMap((item) => {
    const found = item.unnamed ? undefined : manifestOf(item, type.bits);
    return found === undefined ? [] : [found];
  });
}

/** A nested `a` with `b` inside and a field `a_b` beside it would be one name. */
function distinct(owner: string, places: readonly Manifest[]): Manifest[] {
  const seen = new Set<string>();
  for (const { name } of places) {
    if (seen.has(name)) {
      throw new LayoutError('LAYOUT_NAME', `found the constants of ${name} twice, expected each name once`, {
        path: `${owner}.${name}`,
        offset: 0,
        found: name,
      });
    }
    seen.add(name);
  }
  return [...places];
}

/** {@link manifest} of a type that is resolved already. */
export function manifestOfResolved(type: ResolvedType): Manifest[] {
  if (type.kind === 'integral') return distinct(type.name, slices(type, '', 0));
  if (type.kind === 'struct') return bitFields(type);
  throw new LayoutError('LAYOUT_UNSUPPORTED', `found ${type.kind}, expected an integral struct or a struct`, {
    path: 'name' in type ? type.name : type.kind,
    offset: 0,
    found: type.kind,
  });
}

/**
 * The manifest constants of a type: of an integral struct each field's place in the integer, nested ones flattened; of a
 * C struct each named bit field's place in its storage unit.
 * @throws LayoutError `LAYOUT_UNSUPPORTED` for a type that is neither.
 */
export function manifest(type: Description, target: Target): Manifest[] {
  return manifestOfResolved(resolve(type, target));
}

/** A field's value out of its integer; signed ones are sign-extended. Takes numbers up to 53 bits, and gives what it takes. */
export function getField(place: Manifest, integer: number): number;
export function getField(place: Manifest, integer: bigint): bigint;
export function getField(place: Manifest, integer: number | bigint): number | bigint {
  const raw = (BigInt(integer) & place.mask) >> BigInt(place.shift);
  const value = place.signed ? BigInt.asIntN(place.width, raw) : raw;
  return typeof integer === 'bigint' ? value : Number(value);
}

/**
 * An integer with one field replaced; the result is unsigned.
 * @throws LayoutError `LAYOUT_RANGE` for a value that does not fit the field.
 */
export function setField(place: Manifest, integer: number, value: number | bigint): number;
export function setField(place: Manifest, integer: bigint, value: number | bigint): bigint;
export function setField(place: Manifest, integer: number | bigint, value: number | bigint): number | bigint {
  const wanted = BigInt(value);
  const kept = place.signed ? BigInt.asIntN(place.width, wanted) : BigInt.asUintN(place.width, wanted);
  if (kept !== wanted) {
    throw new LayoutError('LAYOUT_RANGE', `${wanted} does not fit ${place.signed ? 'i' : 'u'}${place.width}`, {
      path: place.name,
      offset: place.unit?.offset ?? 0,
      found: value,
    });
  }
  const rest = BigInt(integer) & ~place.mask;
  const joined = rest | (BigInt.asUintN(place.width, wanted) << BigInt(place.shift));
  return typeof integer === 'bigint' ? joined : Number(joined);
}
