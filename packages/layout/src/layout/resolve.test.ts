import { describe, expect, it } from 'vitest';
import { bitField, i386, resolve, s390x, struct, u32, u64, u8, union, uword, x86_64 } from './index.js';

// Random structs are compared with what compilers do in test/compilers; here is what no compiler could be asked.
describe('bit fields', () => {
  it('of words are refused where words are narrower', () => {
    const Wide = struct('Wide', { low: u8, high: bitField(uword, 40) });
    expect(resolve(Wide, s390x).bits).toBe(64);
    expect(() => resolve(Wide, i386)).toThrow(/^Wide\.high at byte 0: found 40 bits, but a word of i386 has 32$/);
    const Either = union('Either', { word: u32, high: bitField(uword, 33) });
    expect(() => resolve(Either, i386)).toThrow(/^Either\.high .*found 33 bits/);
  });

  it('with an alignment of their own move first, and may then still not cross their unit', () => {
    const place = (align: number, width: number): number | undefined => {
      const fields = { low: bitField(u8, 3), high: { type: bitField(u64, width), align } };
      return resolve(struct('Moved', fields), x86_64).fields[1]?.bit;
    };
    expect([place(1, 20), place(2, 20), place(2, 50), place(16, 20)]).toEqual([8, 16, 64, 128]);
  });
});
