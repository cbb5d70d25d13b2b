import { describe, expect, it } from 'vitest';
import { LayoutError } from './errors.js';
import { defineStruct } from './fixed-struct.js';
import { field } from './struct.js';
import { array } from './array.js';
import { bytes, u16, u32, u64, u8 } from './types.js';

function thrown(action: () => unknown): LayoutError {
  try {
    action();
  } catch (error) {
    if (error instanceof LayoutError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('defineStruct', () => {
  it('refuses an offset that is not where the fields before it end', () => {
    const error = thrown(() => defineStruct('S', 8, '', { a: field(u32, 0, ''), b: field(u32, 8, '') }));
    expect(error).toMatchObject({ code: 'LAYOUT_OFFSET', path: 'S.b', found: 8, expected: 4 });
  });

  it('refuses hidden padding', () => {
    const error = thrown(() => defineStruct('S', 8, '', { a: field(u8, 0, ''), b: field(u32, 4, '') }));
    expect(error).toMatchObject({ code: 'LAYOUT_OFFSET', path: 'S.b' });
  });

  it('refuses a total size that the fields do not have', () => {
    const error = thrown(() => defineStruct('S', 12, '', { a: field(u64, 0, '') }));
    expect(error).toMatchObject({ code: 'LAYOUT_SIZE', found: 12, expected: 8 });
  });

  it('names the path of a value that does not fit, through arrays', () => {
    const inner = defineStruct('I', 2, '', { v: field(u16, 0, '') });
    const outer = defineStruct('O', 6, '', { items: field(array(inner, 3), 0, '') });
    const error = thrown(() => outer.encode({ items: [{ v: 1 }, { v: 70000 }] }));
    expect(error).toMatchObject({ code: 'LAYOUT_RANGE', path: 'O.items[1].v', offset: 2, found: 70000 });
  });

  it('decodes at an offset into a copy', () => {
    const type = defineStruct('S', 4, '', { a: field(u16, 0, ''), b: field(bytes(2), 2, '') });
    const memory = Uint8Array.of(9, 9, 0x34, 0x12, 7, 8);
    const value = type.decode(memory, 2);
    memory.fill(0);
    expect(value.a).toBe(0x1234);
    expect([...value.b]).toEqual([7, 8]);
  });

  it('decodes some fields and checks only those', () => {
    const type = defineStruct('S', 8, '', {
      a: field(u16, 0, ''),
      zero: field(u16, 2, '', 0),
      b: field(bytes(2), 4, ''),
      last: field(u16, 6, ''),
    });
    const memory = Uint8Array.of(9, 0x34, 0x12, 5, 0, 7, 8, 0xff, 0xee);
    expect(type.decodeFields(memory, ['last', 'a'], 1)).toEqual({ last: 0xeeff, a: 0x1234 });
    const constant = thrown(() => type.decodeFields(memory, ['a', 'zero'], 1));
    expect(constant).toMatchObject({ code: 'LAYOUT_VALUE', path: 'S.zero', offset: 3, found: 5 });
    const short = thrown(() => type.decodeFields(memory, ['a'], 2));
    expect(short).toMatchObject({ code: 'LAYOUT_TRUNCATED', found: 7, expected: 8 });
    const unknown = thrown(() => type.decodeFields(memory, ['nothing' as 'a']));
    expect(unknown).toMatchObject({ code: 'LAYOUT_NAME', path: 'S.nothing' });
  });
});
