import { OperandError, type TokenReference } from './errors.js';
import { quote } from './quote.js';

/** Milliseconds of each unit; a number alone is seconds. */
const UNITS: Readonly<Record<string, number>> = { '': 1000, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** Most milliseconds: an unsigned 32-bit number, 49 days. */
const MOST = 0xffff_ffff;

/**
 * Reads a time: decimal digits with an optional fraction, and `ms`, `s` (which may be left out), `m` or `h`.
 * @param text for example `30`, `1.5m`, `250ms`
 * @param at where the text stands, for the error
 * @returns milliseconds, 1 to 2^32 - 1
 * @throws {@link OperandError} `INVALID_DURATION`
 */
export function parseDuration(text: string, at?: TokenReference): number {
  const [, digits = '', unit = ''] = /^([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|[smh]|)$/.exec(text) ?? [];
  const milliseconds = Math.round(Number(digits) * (UNITS[unit] ?? 0));
  if (digits !== '' && milliseconds >= 1 && milliseconds <= MOST) return milliseconds;
  const where = at ?? { token: text, position: { index: 0, offset: 0 } };
  const message = `${quote(text)} is not a time: expected a number above 0 with ms, s, m or h, at most 49 days, as in 30s`;
  throw new OperandError('INVALID_DURATION', message, where);
}
