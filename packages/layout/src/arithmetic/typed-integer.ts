import { LayoutError } from '../layout/errors.js';
import { joinIntegral, splitIntegral, toBits } from '../codec/integers.js';
import { resolve } from '../layout/resolve.js';
import { x86_64 } from '../layout/target.js';
import type { Integer, IntegerDescription, IntegralDescription, Type, Typed } from '../layout/types.js';
import type { Partly } from '../codec/codec.js';

/** An integer that knows its width: what an integral struct is when it is calculated with. */
export interface TypedInteger {
  /** 1 to 64. */
  readonly bits: number;
  readonly signed: boolean;
  readonly value: bigint;
}

/** A number as an operand: `int<32>` where it fits, else `int<64>`, as GNU poke reads a literal. */
export type Operand = TypedInteger | number | bigint;

function wrap(value: bigint, bits: number, signed: boolean): TypedInteger {
  return { bits, signed, value: signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value) };
}

/**
 * An operand with its type.
 * @throws LayoutError `LAYOUT_RANGE` for a number that is not whole or needs more than 64 bits.
 */
export function operand(value: Operand): TypedInteger {
  if (typeof value === 'object') return value;
  const whole = typeof value === 'bigint' || Number.isSafeInteger(value);
  const big = whole ? BigInt(value) : 0n;
  for (const bits of [32, 64]) {
    if (whole && BigInt.asIntN(bits, big) === big) return { bits, signed: true, value: big };
  }
  const advice = whole && BigInt.asUintN(64, big) === big ? '; say typed(u64, …) for an unsigned one' : '';
  throw new LayoutError('LAYOUT_RANGE', `found ${value}, expected a whole number of 64 signed bits${advice}`, {
    path: 'operand',
    offset: 0,
    found: value,
  });
}

/** The integer type that a described type stands for. */
function containerOf(type: IntegerDescription | IntegralDescription): IntegerDescription {
  return type.kind === 'integral' ? type.container : type;
}

/**
 * An integral struct's (or an integer's) value as one integer of its container's type: `value as uint<64>`.
 * @throws LayoutError as encoding the value does.
 */
export function toInteger<T>(
  type: (IntegralDescription & Typed<T>) | (IntegerDescription & Typed<T>),
  value: Partly<T>,
): TypedInteger {
  const { bits, signed } = containerOf(type);
  const resolved = resolve(type as Type<T>, x86_64);
  const raw =
    resolved.kind === 'integral'
      ? joinIntegral(resolved, value, resolved.name, 0)
      : toBits(asInteger(resolved), value, 'value', 0);
  return wrap(BigInt(raw), bits, signed);
}

function asInteger(type: ReturnType<typeof resolve>): Parameters<typeof toBits>[0] {
  if (type.kind === 'integer') return type;
  throw new LayoutError('LAYOUT_UNSUPPORTED', `found ${type.kind}, expected an integer or an integral struct`, {
    path: 'value',
    offset: 0,
  });
}

/**
 * An integer as the value of an integral struct: cut or sign-extended to the container, then split from the most
 * significant bit down (GNU poke manual, "Casting Integral Structs").
 */
export function fromInteger<T>(type: IntegralDescription & Typed<T>, value: Operand): T {
  const resolved = resolve(type, x86_64);
  const { value: cut } = cast(value, type.container);
  const raw = BigInt.asUintN(resolved.bits, cut);
  return splitIntegral(resolved, resolved.bits <= 32 ? Number(raw) : raw, type.name, 0) as T;
}

/**
 * An integer of another type: cut from the top, or extended with its own sign. A number may have any 64 bits, signed or
 * unsigned: the type says how they are read.
 */
export function cast(value: Operand, type: IntegerDescription): TypedInteger {
  const isUnsigned = typeof value === 'bigint' && value >= 0n && BigInt.asUintN(64, value) === value;
  return wrap(isUnsigned ? value : operand(value).value, type.bits, type.signed);
}

/** The value as TypeScript has it for such a type: a `number` up to 32 bits, a `bigint` above. */
export function toValue(integer: TypedInteger): number | bigint {
  return integer.bits <= 32 ? Number(integer.value) : integer.value;
}

/** A typed integer out of a value that a field has. @throws LayoutError `LAYOUT_RANGE` when it does not fit. */
export function typed<T extends number | bigint>(type: Integer<T>, value: NoInfer<T>): TypedInteger {
  return toInteger(type, value as Partly<T>);
}
