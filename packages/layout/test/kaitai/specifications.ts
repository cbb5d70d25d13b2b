import { deflateSync } from 'node:zlib';

/** A specification in Kaitai's language, and a file that it describes. */
export interface Specified {
  readonly name: string;
  readonly document: { readonly meta: Readonly<Record<string, string>> } & Readonly<Record<string, unknown>>;
  readonly file: Uint8Array;
}

const ascii = (text: string): number[] => [...Buffer.from(text, 'latin1')];
const le = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, index) => Math.floor(value / 256 ** index) % 256);
const be = (value: number, bytes: number): number[] => le(value, bytes).reverse();
const file = (...parts: readonly (readonly number[])[]): Uint8Array => Uint8Array.from(parts.flat());

/** Counts, lengths, terminators, repetitions of each kind. */
const lists: Specified = {
  name: 'lists',
  document: {
    meta: { id: 'lists', endian: 'le', encoding: 'UTF-8' },
    seq: [
      { id: 'magic', contents: ['LS', 1, 2] },
      { id: 'version', type: 'u2', valid: 3 },
      { id: 'num_points', type: 'u1' },
      { id: 'points', type: 'point', repeat: 'expr', 'repeat-expr': 'num_points' },
      { id: 'pair', type: 's2be', repeat: 'expr', 'repeat-expr': 2 },
      { id: 'len_name', type: 'u1' },
      { id: 'name', type: 'str', size: 'len_name' },
      { id: 'path', type: 'strz' },
      { id: 'label', type: 'strz', size: 6, encoding: 'ASCII' },
      { id: 'line', terminator: 10 },
      { id: 'words', type: 'word', repeat: 'until', 'repeat-until': '_.more == 0 or _.value > 0xfff0' },
      { id: 'big', type: 'u8' },
      { id: 'half', type: 'f4be' },
      { id: 'rest', type: 's4', repeat: 'eos' },
    ],
    types: {
      point: {
        seq: [
          { id: 'x', type: 's2' },
          { id: 'y', type: 's2' },
        ],
      },
      word: {
        seq: [
          { id: 'more', type: 'u1' },
          { id: 'value', type: 'u2be' },
        ],
      },
    },
  },
  file: file(
    [...ascii('LS'), 1, 2, 3, 0, 2],
    [...le(1, 2), ...le(0xfffe, 2), ...le(3, 2), ...le(4, 2), 0xff, 0xfe, 0, 9],
    [5, ...ascii('hello'), ...ascii('a/b\0'), ...ascii('ab\0\0\0\0'), ...ascii('line\n')],
    [1, 0, 5, 1, 0, 6, 0, 0, 7, 8, 7, 6, 5, 4, 3, 2, 1, 0x3f, 0x80, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
  ),
};

/** Choices, conditions, enumerations, sizes, places, names of the types around. */
const choices: Specified = {
  name: 'choices',
  document: {
    meta: { id: 'choices', endian: 'be' },
    seq: [
      { id: 'flags', type: 'u1' },
      { id: 'extra', type: 'u2', if: 'flags & 2 != 0 and not (flags == 255)' },
      { id: 'missing', type: 'u2', if: 'flags & 4 != 0' },
      { id: 'ofs_tail', type: 'u4' },
      { id: 'num_records', type: 'u1' },
      { id: 'records', type: 'record', repeat: 'expr', 'repeat-expr': 'num_records' },
    ],
    instances: {
      tail: { pos: 'ofs_tail', size: 4 },
      first: { pos: 0, type: 'u1' },
      doubled: { value: 'flags * 2' },
    },
    enums: { kind: { 1: 'number', 2: { id: 'pair', doc: 'two' } } },
    types: {
      record: {
        seq: [
          { id: 'kind', type: 'u1', enum: 'kind' },
          { id: 'len', type: 'u1' },
          {
            id: 'body',
            size: 'len',
            type: { 'switch-on': 'kind', cases: { 'kind::number': 'number', 'kind::pair': 'pair' } },
          },
          {
            id: 'mark',
            type: { 'switch-on': '_parent.flags', cases: { 3: 'u2', _: 'u1' } },
          },
        ],
        types: { number: { seq: [{ id: 'value', type: 'u4' }] } },
      },
      pair: {
        seq: [
          { id: 'one', type: 'u1' },
          { id: 'two', size: 2 },
        ],
      },
    },
  },
  file: file(
    [3, ...be(77, 2), ...be(31, 4), 3],
    [1, 4, ...be(0x01020304, 4), 0, 8],
    [2, 3, 9, 8, 7, 0, 9],
    [5, 2, 0xaa, 0xbb, 0, 10],
    [0, 0, 1, 2, 3, 4],
  ),
};

/** Bits, from the most and from the least significant on. */
const bits = (order: 'be' | 'le'): Specified => ({
  name: `bits ${order}`,
  document: {
    meta: { id: 'bits', endian: 'le', 'bit-endian': order },
    seq: [
      { id: 'a', type: 'b3' },
      { id: 'b', type: 'b1' },
      { id: 'c', type: 'b12' },
      { id: 'after', type: 'u2' },
      { id: 'd', type: 'b5' },
      { id: 'text', size: 'after' },
      { id: 'e', type: 'b4', if: 'true' },
    ].slice(0, 6),
  },
  file: file([0b1010_1100, 0x5a, 3, 0, 0b1101_1000, 1, 2, 3]),
});

const crc = (bytes: readonly number[]): number[] => {
  let sum = 0xffff_ffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ ((sum & 1) === 1 ? 0xedb8_8320 : 0);
  }
  return be(~sum >>> 0, 4);
};
const chunk = (type: string, data: readonly number[]): number[] => [
  ...be(data.length, 4),
  ...ascii(type),
  ...data,
  ...crc([...ascii(type), ...data]),
];

/** PNG, third edition, 5.3. */
const png: Specified = {
  name: 'png',
  document: {
    meta: { id: 'png_file', endian: 'be', encoding: 'ASCII' },
    seq: [
      { id: 'signature', contents: [0x89, 'PNG', 13, 10, 26, 10] },
      { id: 'chunks', type: 'chunk', repeat: 'until', 'repeat-until': '_.kind == "IEND"' },
    ],
    types: {
      chunk: {
        seq: [
          { id: 'len_data', type: 'u4' },
          { id: 'kind', type: 'str', size: 4 },
          { id: 'data', size: 'len_data' },
          { id: 'crc', type: 'u4' },
        ],
      },
    },
  },
  file: file(
    [0x89, ...ascii('PNG\r\n\u001a\n')],
    chunk('IHDR', [...be(2, 4), ...be(1, 4), 8, 0, 0, 0, 0]),
    chunk('IDAT', [...deflateSync(Buffer.from([0, 1, 2]))]),
    chunk('IEND', []),
  ),
};

export const SPECIFIED: readonly Specified[] = [lists, choices, bits('be'), bits('le'), png];
