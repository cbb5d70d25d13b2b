import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { directoryOf, nameBytes, nameText, splitName } from './names.js';

describe('the text of a file name', () => {
  it('has the same bytes again, whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect(nameBytes(nameText(bytes))).toEqual(Buffer.from(bytes));
      }),
    );
  });

  it('is what it says where it is text, and a lone surrogate for each other byte', () => {
    expect(nameText(Buffer.from('größe 𝄞'))).toBe('größe 𝄞');
    expect(nameText(Buffer.from([0x6f, 0xfe, 0xc3, 0xa4, 0xe2, 0x82]))).toBe('o\udcfeä\udce2\udc82');
    // A surrogate in UTF-8 is none (RFC 3629).
    expect(nameText(Buffer.from([0xed, 0xb2, 0x80]))).toBe('\udced\udcb2\udc80');
  });

  it('is refused where it stands for no byte', () => {
    expect(() => nameBytes('x\ud800y')).toThrow(RangeError);
  });
});

describe('the directory of a name', () => {
  it('is what stands before the last slash, as it is written', () => {
    const split = (name: string): string[] => Object.values(splitName(Buffer.from(name))).map(String);
    expect(split('a')).toEqual(['.', 'a']);
    expect(split('/a')).toEqual(['/', 'a']);
    expect(split('link/../b//a')).toEqual(['link/../b/', 'a']);
    expect(split('a/')).toEqual(['a', '']);
    expect(['a', '/a', 'b/a', '/b/../a'].map(directoryOf)).toEqual(['.', '/', 'b', '/b/..']);
  });
});
