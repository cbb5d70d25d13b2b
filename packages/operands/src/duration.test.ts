import { expect, it } from 'vitest';
import { OperandError } from './errors.js';
import { parseDuration } from './duration.js';

it.each([
  ['30', 30_000],
  ['0.25', 250],
  ['250ms', 250],
  ['1.5m', 90_000],
  ['2h', 7_200_000],
  ['4294967295ms', 4_294_967_295],
])('reads %s', (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds);
});

it.each(['', '0', '0.0001', '-1', '1e3', '1 s', '1d', 'ms', '50d', '1200h', 'NaN', '٣'])('refuses %j', (text) => {
  expect(() => parseDuration(text)).toThrow(OperandError);
});
