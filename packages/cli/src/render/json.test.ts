import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { toJson } from './json.js';

describe('toJson', () => {
  it('is JSON.stringify with four spaces where there are no bigints', () => {
    const values = [null, true, 1.5, 'a"b\\\n\u0000', [], {}, [1, [2]], { a: { b: [] }, c: undefined, 'd e': [{}] }];
    for (const value of values) expect(toJson(value)).toBe(JSON.stringify(value, null, 4));
  });

  it('writes bigints as they are, beyond 2^53 too', () => {
    expect(toJson([0n, -1n, 2n ** 63n])).toBe('[\n    0,\n    -1,\n    9223372036854775808\n]');
  });

  it('leaves strings strings, whatever an image puts into them', () => {
    for (const text of ['\u00005\u0000', '5n', '"\u00001\u0000"', '\\u00001\\u0000']) {
      expect(JSON.parse(toJson({ text }))).toEqual({ text });
    }
  });

  it('escapes what a terminal, a log or an editor acts upon, and means the same text', () => {
    const parts = [
      '\u009b31m',
      '\u0085',
      '\u202e',
      '\u2066',
      '\u200f',
      '\u2028',
      '\u2029',
      '\ufeff',
      '\ud800',
      '\u{e0041}',
      '\u007f',
      'ä',
      '𝄞',
    ];
    const { text, names } = fc.sample(
      fc.record({
        text: fc.array(fc.constantFrom(...parts)),
        names: fc.array(fc.constantFrom(...parts), { minLength: 2 }),
      }),
      { numRuns: 1, seed: 4 },
    )[0] ?? { text: [], names: [] };
    for (const value of [...parts, text.join(''), names.join('')]) {
      const json = toJson({ [value]: value });
      expect(json).not.toMatch(/[\p{Cf}\p{Zl}\p{Zp}\p{Cs}]|(?!\n)\p{Cc}/u);
      expect(JSON.parse(json)).toEqual({ [value]: value });
    }
    expect(toJson('ä𝄞')).toBe('"ä𝄞"');
  });
});
