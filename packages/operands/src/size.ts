import { OperandError, type OperandErrorCode } from './errors.js';
import { quote } from './quote.js';

/** The largest size or offset there is, 2^63 - 1 bytes: offsets are signed 64-bit numbers in every tool of this field. */
export const MAX_SIZE = (1n << 63n) - 1n;

/** Multipliers are powers of 1024; `B` stands for bytes. */
const SUFFIXES: Readonly<Record<string, bigint>> = {
  B: 1n,
  K: 1n << 10n,
  M: 1n << 20n,
  G: 1n << 30n,
  T: 1n << 40n,
  P: 1n << 50n,
  E: 1n << 60n,
};

/** A size that was read, or what is wrong with the text. */
export type SizeReading =
  | { readonly ok: true; readonly value: bigint }
  | { readonly ok: false; readonly code: OperandErrorCode; readonly problem: string };

// The blanks are those of C's isspace(), not those of JavaScript's \s.
const HEXADECIMAL = /^[ \t\n\v\f\r]*\+?0[xX]([0-9a-fA-F]+)$/;
const DECIMAL = /^[ \t\n\v\f\r]*\+?([0-9]*)(?:\.([0-9]*))?([bkmgtpeBKMGTPE]?)$/;
const NEGATIVE_ZERO = /^[ \t\n\v\f\r]*-0+$/;
const NEGATIVE = /^[ \t\n\v\f\r]*-[0-9]/;

/**
 * Reads a size in bytes, or a number of blocks, as `qemu-img` reads it (`qemu_strtosz` of QEMU's util/cutils.c, 10.0).
 *
 * Decimal digits (`010` is ten) with an optional fraction and an optional suffix out of `B K M G T P E` in either case,
 * powers of 1024, `B` meaning bytes; or `0x` and hexadecimal digits, where neither fraction nor suffix is possible. Blanks
 * and a `+` may lead, nothing may trail. A fraction other than zero needs a multiplier. Products are rounded to the
 * nearest whole number, halves upward.
 *
 * @param text for example `512`, `1M`, `1.5k`, `.5G`, `0x200`
 * @returns the value, 0 to 2^63 - 1
 * @throws {@link OperandError} `INVALID_SIZE` or `SIZE_OUT_OF_RANGE`, with the text as its token
 */
export function parseSize(text: string): bigint {
  const reading = readSize(text);
  if (reading.ok) return reading.value;
  const at = { token: text, position: { index: 0, offset: 0 } };
  throw new OperandError(reading.code, `${quote(text)} ${reading.problem}`, at);
}

/** {@link parseSize} for callers that know more about where the text stands: it returns the problem as a predicate. */
export function readSize(text: string): SizeReading {
  const hexadecimal = HEXADECIMAL.exec(text)?.[1];
  if (hexadecimal !== undefined) {
    const digits = withoutLeadingZeros(hexadecimal);
    return digits.length > 16 ? tooLarge() : inRange(BigInt(`0x${digits}`));
  }

  const decimal = DECIMAL.exec(text);
  const whole = decimal?.[1] ?? '';
  const fraction = decimal?.[2] ?? '';
  if (decimal !== null && whole.length + fraction.length > 0) {
    return readDecimal(whole, fraction, decimal[3] ?? '');
  }

  if (NEGATIVE_ZERO.test(text)) return { ok: true, value: 0n };
  if (NEGATIVE.test(text)) return outOfRange('is negative: expected 0 or more');
  return invalid(`is not a size: expected a number such as 512, 1.5k, 10M or 0x200; ${remedy(text)}`);
}

function readDecimal(whole: string, fraction: string, suffix: string): SizeReading {
  const digits = withoutLeadingZeros(whole);
  if (digits.length > 20) return tooLarge();
  const fixed = (BigInt(digits) << 64n) + fixedPointFraction(fraction);

  const multiplier = SUFFIXES[suffix.toUpperCase()] ?? 1n;
  if (multiplier === 1n) {
    if ((fixed & ((1n << 64n) - 1n)) !== 0n) {
      return invalid('has a fraction of a byte or block: expected a whole number, or a multiplier such as 1.5k');
    }
    return inRange(fixed >> 64n);
  }
  return inRange((fixed * multiplier + (1n << 63n)) >> 64n);
}

/**
 * Digits behind the point as a fixed-point number with 64 fractional bits.
 *
 * QEMU takes them through a C `double`, and that shows: `0.1E` is 115292150460684704, not ...698. So this rounds the
 * exact decimal to 53 significant bits first (to nearest, ties to even), which is what strtod does. Nonzero digits never
 * become zero, but many nines become one whole (then the result is 2^64).
 */
function fixedPointFraction(digits: string): bigint {
  let significant = digits.replace(/0+$/, '');
  if (significant === '') return 0n;
  // A double of at least 2^-64, and the middle between two of them, ends within 118 binary, hence 118 decimal places.
  // Behind that only "something follows" matters; and any smaller fraction comes out as the smallest one.
  if (significant.length > 120) significant = `${significant.slice(0, 120)}1`;
  const numerator = BigInt(significant);
  const denominator = 10n ** BigInt(significant.length);

  let shift = 53n + BigInt(Math.max(0, bitLength(denominator) - bitLength(numerator) - 1));
  if ((numerator << shift) / denominator < 1n << 52n) shift += 1n;

  let mantissa = (numerator << shift) / denominator;
  const twiceRest = 2n * ((numerator << shift) % denominator);
  if (twiceRest > denominator || (twiceRest === denominator && (mantissa & 1n) === 1n)) mantissa += 1n;

  const fixed = (mantissa << 64n) >> shift;
  return fixed === 0n ? 1n : fixed;
}

function bitLength(value: bigint): number {
  return value.toString(2).length;
}

function withoutLeadingZeros(digits: string): string {
  return digits.replace(/^0+(?=.)/, '') || '0';
}

function inRange(value: bigint): SizeReading {
  return value > MAX_SIZE ? tooLarge() : { ok: true, value };
}

function tooLarge(): SizeReading {
  return outOfRange(`is too large: expected at most ${MAX_SIZE} (2^63 - 1)`);
}

function outOfRange(problem: string): SizeReading {
  return { ok: false, code: 'SIZE_OUT_OF_RANGE', problem };
}

function invalid(problem: string): SizeReading {
  return { ok: false, code: 'INVALID_SIZE', problem };
}

/** Advice for the mistakes that people make. */
function remedy(text: string): string {
  if (text.trim() === '') return 'nothing was given';
  if (text !== text.trimEnd()) return 'remove the blanks at its end';
  if (/^\s*\+?0[xX]/.test(text)) return 'hexadecimal numbers take no fraction, suffix or separator';
  const unit = /^\s*\+?([0-9.]+[kmgtpe])i?b$/i.exec(text)?.[1];
  if (unit !== undefined) return `suffixes are one letter, powers of 1024: write ${unit}`;
  if (/^[\s+0-9]+[_,'][\s0-9_,']*/.test(text)) return 'write the digits without separators';
  if (/e[-+]?[0-9]+$/i.test(text)) return 'exponents are not understood: E is the suffix for 1024^6';
  return 'suffixes are B K M G T P E, powers of 1024';
}
