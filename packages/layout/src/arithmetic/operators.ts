import { operand, type Operand, type TypedInteger } from './typed-integer.js';

// GNU poke's rules (manual, "Integers", "Operations with Integers"; seen in 2.4): operands are promoted to the wider of
// the two widths, unsigned where one of them is; unsigned results wrap around; signed ones that do not fit are errors.

/** A calculation that has no result of its type. */
export class ArithmeticError extends Error {
  override readonly name = 'ArithmeticError';
  readonly code: 'ARITHMETIC_OVERFLOW' | 'ARITHMETIC_DIVISION_BY_ZERO' | 'ARITHMETIC_SHIFT';

  constructor(code: ArithmeticError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

function typeText({ bits, signed }: TypedInteger): string {
  return `${signed ? 'int' : 'uint'}<${bits}>`;
}

/** A result in a type: an unsigned one wraps around, a signed one must fit. */
function fit(value: bigint, type: TypedInteger, what: string): TypedInteger {
  const { bits, signed } = type;
  if (!signed) return { bits, signed, value: BigInt.asUintN(bits, value) };
  if (BigInt.asIntN(bits, value) === value) return { bits, signed, value };
  throw new ArithmeticError(
    'ARITHMETIC_OVERFLOW',
    `${what}: found ${value}, which does not fit ${typeText(type)}; cast an operand to a wider type`,
  );
}

function promote(left: Operand, right: Operand): readonly [TypedInteger, TypedInteger] {
  const [a, b] = [operand(left), operand(right)];
  const bits = Math.max(a.bits, b.bits);
  const signed = a.signed && b.signed;
  const value = (from: TypedInteger): TypedInteger => ({
    bits,
    signed,
    value: signed ? from.value : BigInt.asUintN(bits, from.value),
  });
  return [value(a), value(b)];
}

type Operator = (left: Operand, right: Operand) => TypedInteger;

function operator(name: string, calculate: (a: bigint, b: bigint) => bigint): Operator {
  return (left, right) => {
    const [a, b] = promote(left, right);
    return fit(calculate(a.value, b.value), a, name);
  };
}

function nonZero(name: string, calculate: (a: bigint, b: bigint) => bigint): Operator {
  return operator(name, (a, b) => {
    if (b === 0n) throw new ArithmeticError('ARITHMETIC_DIVISION_BY_ZERO', `${name}: found 0 as the divisor`);
    return calculate(a, b);
  });
}

/** `left + right`. @throws ArithmeticError `ARITHMETIC_OVERFLOW` when both are signed and the sum does not fit. */
export const add: Operator = /* @__PURE__ */ operator('add', (a, b) => a + b);
/** `left - right`. @throws ArithmeticError `ARITHMETIC_OVERFLOW`. */
export const subtract: Operator = /* @__PURE__ */ operator('subtract', (a, b) => a - b);
/** `left * right`. @throws ArithmeticError `ARITHMETIC_OVERFLOW`. */
export const multiply: Operator = /* @__PURE__ */ operator('multiply', (a, b) => a * b);
/** `left / right`, cut towards zero. @throws ArithmeticError `ARITHMETIC_DIVISION_BY_ZERO`, `ARITHMETIC_OVERFLOW`. */
export const divide: Operator = /* @__PURE__ */ nonZero('divide', (a, b) => a / b);
/**
 * `left /^ right`: the smallest integer that is not below the quotient. GNU poke 2.4 calculates (left + right - 1) / right,
 * which is another number for negative operands, and where the sum wraps around.
 * @throws ArithmeticError as {@link divide}.
 */
export const divideUp: Operator = /* @__PURE__ */ nonZero('divideUp', (a, b) => {
  const quotient = a / b;
  return a % b !== 0n && a > 0n === b > 0n ? quotient + 1n : quotient;
});
/**
 * `left % right`, with the sign of `left`.
 * @throws ArithmeticError `ARITHMETIC_DIVISION_BY_ZERO`, and `ARITHMETIC_OVERFLOW` where the quotient would not fit.
 */
export const modulo: Operator = (left, right) => {
  const quotient = divide(left, right);
  const [a, b] = promote(left, right);
  return { ...quotient, value: a.value - quotient.value * b.value };
};
/** `left & right`. */
export const and: Operator = /* @__PURE__ */ operator('and', (a, b) => a & b);
/** `left | right`. */
export const or: Operator = /* @__PURE__ */ operator('or', (a, b) => a | b);
/** `left ^ right`. */
export const xor: Operator = /* @__PURE__ */ operator('xor', (a, b) => a ^ b);

/** `left ** right`, of the type of `left`. @throws ArithmeticError `ARITHMETIC_OVERFLOW`, also for a negative exponent. */
export function power(left: Operand, right: Operand): TypedInteger {
  const [a, { value: exponent }] = [operand(left), operand(right)];
  if (exponent < 0n)
    throw new ArithmeticError('ARITHMETIC_OVERFLOW', `power: found the exponent ${exponent}, expected 0 or more`);
  if (a.signed) return signedPower(a, exponent);
  let result = 1n;
  for (let base = a.value, rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest % 2n === 1n) result = BigInt.asUintN(a.bits, result * base);
    base = BigInt.asUintN(a.bits, base * base);
  }
  return { ...a, value: BigInt.asUintN(a.bits, result) };
}

/** Each product on the way must fit. */
function signedPower(base: TypedInteger, exponent: bigint): TypedInteger {
  // From -1 to 1 the products repeat themselves; any other base leaves 64 bits within 64 steps.
  const steps = exponent > 66n ? 66n + (exponent % 2n) : exponent;
  let result: TypedInteger = { ...base, value: 1n };
  for (let step = 0n; step < steps; step += 1n) result = fit(result.value * base.value, base, 'power');
  return result;
}

/**
 * `left <<. count`, of the type of `left`; bits that leave it are lost.
 * @throws ArithmeticError `ARITHMETIC_SHIFT` when the count is not below the width.
 */
export function shiftLeft(left: Operand, count: Operand): TypedInteger {
  const [a, { value: by }] = [operand(left), operand(count)];
  checkCount('shiftLeft', by, a);
  const moved = a.value << by;
  return { ...a, value: a.signed ? BigInt.asIntN(a.bits, moved) : BigInt.asUintN(a.bits, moved) };
}

/**
 * `left .>> count`, of the type of `left`; a signed value keeps its sign.
 * @throws ArithmeticError `ARITHMETIC_SHIFT` when the count is not below the width (where GNU poke 2.4 gives what the
 *   processor gives).
 */
export function shiftRight(left: Operand, count: Operand): TypedInteger {
  const [a, { value: by }] = [operand(left), operand(count)];
  checkCount('shiftRight', by, a);
  return { ...a, value: a.value >> by };
}

function checkCount(what: string, count: bigint, type: TypedInteger): void {
  if (count >= 0n && count < BigInt(type.bits)) return;
  throw new ArithmeticError(
    'ARITHMETIC_SHIFT',
    `${what}: found ${count}, expected 0 to ${type.bits - 1} for ${typeText(type)}`,
  );
}

/** `-value`. @throws ArithmeticError `ARITHMETIC_OVERFLOW` for the smallest signed value. */
export function negate(value: Operand): TypedInteger {
  const a = operand(value);
  return fit(-a.value, a, 'negate');
}

/** `~value`. */
export function not(value: Operand): TypedInteger {
  const a = operand(value);
  return fit(~a.value, a, 'not');
}

/** -1, 0 or 1, compared after promotion: a negative value beside an unsigned one is a large one. */
export function compare(left: Operand, right: Operand): -1 | 0 | 1 {
  const [a, b] = promote(left, right);
  return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
}
