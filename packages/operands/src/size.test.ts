import { describe, expect, it } from 'vitest';

import { OperandError } from './errors.js';
import { MAX_SIZE, parseSize } from './size.js';

function errorOf(text: string): OperandError {
  try {
    parseSize(text);
  } catch (error) {
    if (error instanceof OperandError) return error;
    throw error;
  }
  throw new Error(`'${text}' was accepted`);
}

describe('parseSize', () => {
  it.each([
    ['0', 0n],
    ['512', 512n],
    ['010', 10n],
    ['0000000000000000000000000512', 512n],
    ['  +5', 5n],
    ['\t\n\v\f\r7', 7n],
    ['1B', 1n],
    ['1b', 1n],
    ['1k', 1024n],
    ['1K', 1024n],
    ['3m', 3n << 20n],
    ['2G', 2n << 30n],
    ['1t', 1n << 40n],
    ['1P', 1n << 50n],
    ['7E', 7n << 60n],
    ['1e', 1n << 60n],
    ['-0', 0n],
  ])('reads %j', (text, value) => {
    expect(parseSize(text)).toBe(value);
  });

  it.each([
    ['1.', 1n],
    ['1.k', 1024n],
    ['.5k', 512n],
    ['+.5k', 512n],
    ['1.0', 1n],
    ['1.0B', 1n],
    ['1.5e', 3n << 59n],
    ['.0', 0n],
  ])('reads the fraction %j', (text, value) => {
    expect(parseSize(text)).toBe(value);
  });

  it('rounds products to the nearest whole number, halves upward', () => {
    expect(parseSize('0.00048828125k')).toBe(1n);
    expect(parseSize('0.000488281249k')).toBe(0n);
    expect(parseSize('0.0004k')).toBe(0n);
  });

  it('takes fractions through the precision of a double, as qemu does', () => {
    expect(parseSize('0.1E')).toBe(115292150460684704n);
    expect(parseSize('1.99999999999999999999')).toBe(2n);
    expect(errorOf('1.0000000000000000000000001').code).toBe('INVALID_SIZE');
    expect(errorOf(`1.${'0'.repeat(5000)}1`).code).toBe('INVALID_SIZE');
  });

  it.each([
    ['0x200', 512n],
    ['0X1b', 27n],
    ['0x1E', 30n],
    [' +0x10', 16n],
    ['0x7fffffffffffffff', MAX_SIZE],
    ['0x00000000000000000000000001', 1n],
  ])('reads the hexadecimal %j', (text, value) => {
    expect(parseSize(text)).toBe(value);
  });

  it.each(
    (
      '|.|.k|k|0x|0x1k|0x1.8|00x5|1e3|1.5|1.5B|1kB|1KiB|1_000|nan|inf|512 |+ 5|+-5|--5|1..5k|1.5.5k|1,5k|0b1|' +
      '\u00a05|\u0661|1\u212a|5\0|٣k'
    ).split('|'),
  )('refuses %j', (text) => {
    expect(errorOf(text).code).toBe('INVALID_SIZE');
  });

  it.each([
    '-1',
    '-5k',
    '9223372036854775808',
    '0x8000000000000000',
    '8E',
    '9'.repeat(100_000),
    '7.99999999999999999E',
  ])('refuses %.40j as out of range', (text) => {
    expect(errorOf(text).code).toBe('SIZE_OUT_OF_RANGE');
  });

  it('accepts the largest size there is', () => {
    expect(parseSize('9223372036854775807')).toBe(MAX_SIZE);
  });

  it.each([
    ['1KiB', 'write 1K'],
    ['1.5kB', 'write 1.5k'],
    ['512 ', 'blanks at its end'],
    ['', 'nothing was given'],
    ['1_000', 'without separators'],
    ['1e3', 'exponents'],
    ['0x1k', 'no fraction, suffix'],
    ['1.5', 'multiplier such as 1.5k'],
  ])('says how to mend %j', (text, advice) => {
    expect(errorOf(text).message).toContain(advice);
  });

  it('names the text as token, at position 0', () => {
    expect(errorOf('zebra')).toMatchObject({ token: 'zebra', position: { index: 0, offset: 0 } });
  });
});
