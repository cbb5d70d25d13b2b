import { describe, expect, it } from 'vitest';
import { RandomTypes } from '../../test/support/random-types.js';
import {
  array,
  bitField,
  bitStruct,
  bytes,
  integral,
  resolve,
  s390x,
  struct,
  tagged,
  u16,
  u32,
  u64,
  u8,
  uint,
  unnamedBits,
  x86_64,
  type Target,
} from '../layout/index.js';
import { asciiEmitter } from './ascii.js';
import type { NamedDescription } from './emitter.js';
import { markdownEmitter } from './markdown.js';
import { pictureOf } from './picture.js';
import { svgEmitter } from './svg.js';

function unit(...types: NamedDescription[]): Parameters<typeof asciiEmitter.emit>[0] {
  return { title: 'test', regions: [], constants: [], sets: [], types };
}

const Mix = struct('Mix', {
  a: u8,
  b: u32,
  f: bitField(u32, 3),
  _0: unnamedBits(u32, 2),
  g: bitField(u32, 11),
  c: u16,
  rest: bytes(40),
});

function ascii(type: NamedDescription, target: Target = x86_64): string[] {
  return asciiEmitter.emit(unit(type), { target }).split('\n');
}

describe('pictures', () => {
  it('of fields of any size are small, and drawn at once', () => {
    const large = bytes(2 ** 40);
    const pictures = [
      struct('Large', { a: u8, large, b: u8 }),
      bitStruct('LargeBits', { a: uint(3), large, b: uint(5) }),
      bitStruct('FarAway', { a: u8, b: { type: u8, label: 2 ** 45 } }),
    ];
    for (const type of pictures) {
      const lines = ascii(type);
      expect(lines.length).toBeLessThan(30);
      expect(lines.join('\n')).toMatch(/: +\d{12,} bytes +:/);
    }
    const names = Array.from({ length: 50_000 }, (_, index) => [`f${index}`, u8] as const);
    expect(pictureOf(resolve(struct('Many', Object.fromEntries(names)), x86_64)).rows).toHaveLength(6250);
  });

  it('show padding, bit fields as their integer, and leave out rows that look the same', () => {
    expect(ascii(Mix)).toEqual([
      'Mix (52 bytes, alignment 4)',
      '',
      '       0       1       2       3       4       5       6       7',
      '      +-------+-----------------------+-------------------------------+',
      '0x000 | a: u8 |///////////////////////| b: u32                        |',
      '      +-------+-----------------------+-------------------------------+',
      '       15  14  13  12  11  10  9   8   7   6   5   4   3   2   1   0',
      '      +-------------------------------------------+-------+-----------+',
      '0x008 | g: u11                                    |///////| f: u3     |',
      '      +-------------------------------------------+-------+-----------+',
      '       0       1       2       3       4       5       6       7',
      '      +---------------+-----------------------------------------------+',
      '0x00a | c: u16        | rest: u8[40]                                  |',
      '      :                            24 bytes                           :',
      '      +---------------+-----------------------------------------------+',
      '0x02a | (rest): u8[40]                                                |',
      '      +---------------+-----------------------------------------------+',
      '0x032 | (rest): u8[40]|',
      '      +---------------+',
      '',
    ]);
  });

  it('show bit fields from the other end on a big-endian target', () => {
    expect(ascii(Mix, s390x)[8]).toBe('0x008 | f: u3     |///////| g: u11                                    |');
  });

  it('number the bits of an integer down and those of a packed struct up', () => {
    const Word = integral('Word', u16, { hi: uint(4), lo: uint(12) });
    expect(ascii(Word)[2]).toMatch(/^ +15 +14 +13 .* 1 +0$/);
    expect(ascii(bitStruct('Record', { hi: uint(4), lo: uint(12) }))[2]).toMatch(/^ +0 +1 +2 .* 14 +15$/);
  });

  it('tile their rows, whatever the type', () => {
    for (let seed = 0; seed < 300; seed += 1) {
      const types = new RandomTypes(seed);
      const type = types.random.chance(2) ? types.struct() : types.integral();
      for (const { rows } of [pictureOf(resolve(type, x86_64)), pictureOf(resolve(type, s390x))]) {
        for (const { cells } of rows) {
          let end = 0;
          for (const cell of cells) {
            expect(cell.from, `seed ${seed}`).toBeCloseTo(end);
            expect(cell.to).toBeGreaterThan(cell.from);
            end = cell.to;
          }
          expect(end).toBeLessThanOrEqual(64.0001);
        }
      }
    }
  });

  it('are drawn as SVG with every name in it, escaped', () => {
    const Body = tagged('Body', 'kind', { none: [0, u64], list: [3, array(u16, 3)] });
    const svg = svgEmitter.emit(
      { ...unit(Mix, struct('S', { kind: u32, body: Body })), title: 'a < b & c' },
      { target: x86_64 },
    );
    for (const name of ['Mix', 'rest', 'u8[40]', '3: list', 'chosen by kind', 'a &lt; b &amp; c'])
      expect(svg).toContain(name);
    const opened = [...svg.matchAll(/<([a-z]+)(?: [^>]*[^/])?>/g)].map((found) => found[1]);
    const closed = [...svg.matchAll(/<\/([a-z]+)>/g)].map((found) => found[1]);
    expect(closed.sort()).toEqual(opened.sort());
  });
});

describe('tables', () => {
  it('have a section for each type, with bits where fields are no whole bytes', () => {
    const Word = integral('Word', u32, { kind: { type: uint(6), doc: 'what it is | was' }, rest: uint(26) }, 'A word.');
    const text = markdownEmitter.emit(unit(struct('S', { word: Word, a: bitField(u8, 3) })), { target: x86_64 });
    expect(text).toContain('## Word\n\nA word. One integer of 32 bits.\n');
    expect(text).toContain('| 31–26 | u6 | kind | what it is \\| was |');
    expect(text).toContain('| 0 | Word | word |  |');
    expect(text).toContain('| bits 32–34 | u3 | a |  |');
  });
});
