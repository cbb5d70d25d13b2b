import { array, codec, resolve, struct, text, u8, x86_64, type Struct } from '@instar/layout';
import { describe, expect, it } from 'vitest';
import { fieldDump, leafCount, leavesOf, valueText } from './field-dump.js';

const plain = (words: string): string => words;

describe('the dump of a value', () => {
  it('shows text from strangers without what moves a cursor or turns the direction', () => {
    const type = resolve(text(16), x86_64);
    expect(valueText(type, 'a\u009b31m\u007f\u202eb\n\u001b[2J"\\')).toBe(
      String.raw`"a\x9b31m\x7f\u{202e}b\x0a\x1b[2J\"\\"`,
    );
  });

  it('has room for more fields than a function takes arguments', () => {
    const type = struct('Large', { all: array(u8, 200_000) });
    const bytes = new Uint8Array(200_000);
    const leaves = leavesOf(resolve(type, x86_64), codec(type).decode(bytes));
    expect(fieldDump(leaves, bytes, [plain], plain).split('\n')).toHaveLength(200_001);
  });

  it('is counted before it is made', () => {
    const none = struct('None', {});
    const count = (fields: Parameters<typeof struct>[1]): number => leafCount(resolve(struct('S', fields), x86_64));
    expect(count({ a: u8, b: array(u8, 7) })).toBe(8);
    // Values of no bytes take time, too.
    expect(count({ a: array(none, 2 ** 40) })).toBe(2 ** 40);
    let inner: Struct<unknown> = struct('S0', { a: u8, b: u8 });
    for (let index = 1; index < 40; index += 1) inner = struct(`S${index}`, { a: inner, b: inner });
    expect(leafCount(resolve(inner, x86_64))).toBe(2 ** 40);
  });
});
