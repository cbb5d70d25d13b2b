import { describe, expect, it } from 'vitest';
import {
  array,
  bytesOf,
  codec,
  LayoutError,
  placesOf,
  pointedTo,
  s390x,
  struct,
  textUntil,
  u16,
  u32,
  u8,
  variant,
  x86_64,
} from '../src/index.js';
import { RandomVariable } from './support/random-variable.js';

const CASES = Number(process.env['INSTAR_CASES'] ?? 300);
const SEED = Number(process.env['INSTAR_SEED'] ?? 5_000_000);

describe('where the parts of a value lie', () => {
  const Item = struct('Item', {
    size: u8,
    body: variant('body', 'size', { none: [0, struct('None', {})], some: ['otherwise', bytesOf('size')] }),
  });
  const Table = struct('Table', {
    count: u16,
    items: array(Item, 'count'),
    at: u8,
    pairs: array(struct('Pair', { x: u8, y: u16 }), 1),
    name: textUntil(),
    far: pointedTo('at', u32),
  });
  const file = Uint8Array.from([9, 9, 2, 0, 0, 3, 1, 2, 3, 16, 5, 0, 6, 0, 0x61, 0x62, 0, 0, 7, 0, 0, 0, 1]);

  it('is said by paths, from where a value was decoded', () => {
    const { value, places, next } = placesOf(Table, file, { offset: 2 });
    expect(value).toEqual(codec(Table).decode(file, 2));
    expect(next).toBe(17);
    expect(places.map(({ path, offset, size, value: found }) => [path, offset, size, found])).toEqual([
      ['count', 2, 2, 2],
      ['items[0].size', 4, 1, 0],
      ['items[0].body.none', 5, 0, {}],
      ['items[1].size', 5, 1, 3],
      ['items[1].body.some', 6, 3, Uint8Array.of(1, 2, 3)],
      ['at', 9, 1, 16],
      ['pairs', 10, 4, [{ x: 5, y: 6 }]],
      ['name', 14, 3, 'ab'],
      ['far', 18, 4, 7],
    ]);
    expect(places[6]?.layout).toMatchObject({ kind: 'array', count: 1, bits: 32 });
    expect(placesOf(u16, file, { offset: 2 }).places).toMatchObject([{ path: '', offset: 2, size: 2, value: 2 }]);
  });

  it('is bounded, and refused outside of the memory', () => {
    expect(() => placesOf(Table, file, { offset: 2, most: 8 })).toThrow(/more than 8 places/);
    for (const offset of [-1, 1.5, file.length + 1])
      expect(() => placesOf(Table, file, { offset })).toThrow(LayoutError);
    expect(() => placesOf(Table, file.subarray(0, 20), { offset: 2 })).toThrow(LayoutError);
  });

  it(`leaves no byte out, and none twice: ${CASES} random types`, () => {
    let compared = 0;
    for (let seed = SEED; seed < SEED + CASES; seed += 1) {
      // Without values elsewhere, which lie where they lie.
      const { type, value } = new RandomVariable(seed, true).struct(2, true);
      for (const target of [x86_64, s390x]) {
        const bytes = codec(type, target).encode(value());
        let expected: unknown;
        try {
          expected = codec(type, target).decode(bytes);
        } catch {
          continue;
        }
        const { value: found, places, next } = placesOf(type, bytes, { target });
        expect(found).toEqual(expected);
        let end = 0;
        for (const { offset, size } of places) {
          expect(offset).toBe(end);
          end = offset + size;
        }
        expect(end).toBe(next);
        compared += places.length;
      }
    }
    expect(compared).toBeGreaterThan(CASES * 5);
  });
});
