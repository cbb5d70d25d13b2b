import { createHash, randomBytes } from 'node:crypto';
import { deflateSync, inflateSync } from 'node:zlib';
import { describe, expect, expectTypeOf, it } from 'vitest';
import {
  alignedTo,
  array,
  bytesOf,
  checksum,
  codec,
  digestOf,
  i8,
  lazyAt,
  LayoutError,
  optional,
  pointedTo,
  processed,
  ranged,
  sha256,
  sized,
  struct,
  textUntil,
  u16,
  u32,
  u64,
  u8,
  when,
  type Lazy,
  type Type,
} from '../src/index.js';

const invalid = (code: string, path: string): unknown => expect.objectContaining({ code, path });

describe('checksums of parts that vary', () => {
  it('SHA-256 is that of OpenSSL, whatever the length', () => {
    for (let length = 0; length < 200; length += 1) {
      const bytes = randomBytes(length);
      expect(Buffer.from(sha256.of(bytes)).equals(createHash('sha256').update(bytes).digest())).toBe(true);
    }
  });

  const Signed = struct('Signed', {
    length: u8,
    data: bytesOf('length'),
    sum: checksum(u16, 'sum16', 'length', 'data'),
    digest: digestOf(sha256, 'length', 'sum'),
  });

  it('are worked out and checked', () => {
    const data = randomBytes(250);
    const file = Buffer.from(codec(Signed).encode({ data }));
    const head = Buffer.concat([Buffer.of(250), data]);
    expect(file.readUInt16LE(251)).toBe(head.reduce((sum, byte) => sum + byte, 0) % 65_536);
    expect(file.subarray(253)).toEqual(createHash('sha256').update(file.subarray(0, 253)).digest());
    const value = codec(Signed).decode(file);
    expect(Buffer.from(codec(Signed).encode(value))).toEqual(file);
    for (const [at, path] of [
      [0xfe, 'Signed.digest'],
      [0xfb, 'Signed.sum'],
      [5, 'Signed.sum'],
    ] as const) {
      const changed = Buffer.from(file);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => codec(Signed).decode(changed)).toThrow(invalid('LAYOUT_VALUE', path));
    }
    const wrong = { data, digest: new Uint8Array(32) };
    expect(() => codec(Signed).encode(wrong)).toThrow(invalid('LAYOUT_VALUE', 'Signed.digest'));
  });
});

describe('bounds and comparisons', () => {
  const Bounded = struct('Bounded', {
    count: ranged(u8, { least: 1, most: 3 }),
    level: ranged(i8, { most: -2 }),
    wide: ranged(u64, { least: 2n ** 40n }),
    items: array(u16, 'count'),
    more: optional(u8, when('level', '<', -100)),
  });
  const bytes = (count: number, level: number, wide: bigint, ...rest: number[]): Uint8Array => {
    const head = Buffer.alloc(10);
    head.writeUInt8(count);
    head.writeInt8(level, 1);
    head.writeBigUInt64LE(wide, 2);
    return Uint8Array.from([...head, ...rest]);
  };

  it('are the same in both directions', () => {
    const bounded = codec(Bounded);
    const value = { count: 2, level: -2, wide: 2n ** 40n, items: [5, 6], more: undefined };
    const there = { ...value, level: -128, more: 9 };
    for (let turn = 0; turn < 5; turn += 1) {
      expect(bounded.decode(bytes(2, -2, 2n ** 40n, 5, 0, 6, 0))).toEqual(value);
      expect(bounded.decode(bytes(2, -128, 2n ** 40n, 5, 0, 6, 0, 9))).toEqual(there);
      expect(Buffer.from(bounded.encode({ level: -2, wide: 2n ** 40n, items: [5, 6] }))).toEqual(
        Buffer.from(bytes(2, -2, 2n ** 40n, 5, 0, 6, 0)),
      );
      expect(Buffer.from(bounded.encode(there))).toEqual(Buffer.from(bytes(2, -128, 2n ** 40n, 5, 0, 6, 0, 9)));
    }
  });

  it('are refused where they are not kept, in both directions', () => {
    const bounded = codec(Bounded);
    const fine = { level: -2, wide: 2n ** 40n, items: [1] };
    for (let turn = 0; turn < 5; turn += 1) {
      for (const [file, path] of [
        [bytes(0, -2, 2n ** 40n), 'Bounded.count'],
        [bytes(4, -2, 2n ** 40n), 'Bounded.count'],
        [bytes(1, -1, 2n ** 40n), 'Bounded.level'],
        [bytes(1, -2, 2n ** 40n - 1n), 'Bounded.wide'],
      ] as const) {
        expect(() => bounded.decode(file)).toThrow(invalid('LAYOUT_RANGE', path));
      }
      expect(() => bounded.encode({ ...fine, items: [] })).toThrow(invalid('LAYOUT_RANGE', 'Bounded.count'));
      expect(() => bounded.encode({ ...fine, items: [1, 2, 3, 4] })).toThrow(invalid('LAYOUT_RANGE', 'Bounded.count'));
      expect(() => bounded.encode({ ...fine, level: 0 })).toThrow(invalid('LAYOUT_RANGE', 'Bounded.level'));
      // Zero, as what is left out and follows from nothing.
      expect(() => bounded.encode({ ...fine, level: undefined })).toThrow(invalid('LAYOUT_RANGE', 'Bounded.level'));
      expect(() => bounded.encode({ ...fine, level: -101 })).toThrow(invalid('LAYOUT_VALUE', 'Bounded.more'));
    }
  });

  it.each([
    ['==', [5n]],
    ['!=', [3n, 4n, 6n]],
    ['<', [3n, 4n]],
    ['<=', [3n, 4n, 5n]],
    ['>', [6n]],
    ['>=', [5n, 6n]],
    ['&', [3n, 4n, 5n, 6n]],
  ] as const)('compare by %s, numbers and bigints alike', (operator, expected) => {
    const is = when('inner.field', operator, 5);
    const there = [3n, 4n, 5n, 6n].filter((field) => is({ inner: { field } }));
    expect(there).toEqual(expected);
    expect(there).toEqual([3n, 4n, 5n, 6n].filter((field) => is({ inner: { field: Number(field) } })));
    expect(is.says).toEqual({ path: 'inner.field', operator, number: 5n });
  });

  it('that say nothing are refused', () => {
    expect(() => ranged(u8, {})).toThrow(invalid('LAYOUT_RANGE', 'ranged'));
    expect(() => ranged(u8, { least: 2, most: 1 })).toThrow(invalid('LAYOUT_RANGE', 'ranged'));
    expect(() => when('a', 'constructor' as never, 1)).toThrow(invalid('LAYOUT_UNSUPPORTED', 'when'));
    expect(() => when('a b', '==', 1)).toThrow(invalid('LAYOUT_NAME', 'when'));
  });
});

describe('padding', () => {
  const Entry = struct('Entry', { name: textUntil(), gap: alignedTo(4), value: u8, tail: alignedTo(2) });
  const zeros = Uint8Array.of(0x61, 0, 0, 0, 7, 0);

  it.each([
    ['of zeros', zeros],
    ['with old bytes', Uint8Array.of(0x61, 0, 0xde, 0xad, 7, 0xff)],
    ['of none', Uint8Array.of(0x61, 0x62, 0x63, 0, 7, 0)],
    ['that is zero in part', Uint8Array.of(0x61, 0, 0, 1, 7, 0)],
  ])('%s comes back as it was', (_, bytes) => {
    const entry = codec(Entry);
    for (let turn = 0; turn < 5; turn += 1) {
      expect([...entry.encode(entry.decode(bytes))]).toEqual([...bytes]);
    }
  });

  it('of zeros has no value, and what has no value is written as zeros', () => {
    const entry = codec(Entry);
    for (let turn = 0; turn < 5; turn += 1) {
      expect(entry.decode(zeros)).toEqual({ name: 'a', value: 7 });
      expect([...entry.encode({ name: 'a', value: 7 })]).toEqual([...zeros]);
    }
  });

  it('and what is there only sometimes have types that say so', () => {
    expectTypeOf(codec(Entry).decode(zeros).gap).toEqualTypeOf<Uint8Array | undefined>();
    const Sometimes = struct('Sometimes', { more: u8, word: optional(u16, ({ more }) => more === 1) });
    expectTypeOf(codec(Sometimes).decode(Uint8Array.of(0)).word).toEqualTypeOf<number | undefined>();
    expect(codec(Sometimes).decode(Uint8Array.of(1, 2, 0)).word).toBe(2);
  });

  it('that does not fit the gap is refused', () => {
    const entry = codec(Entry);
    for (let turn = 0; turn < 5; turn += 1) {
      expect(() => entry.encode({ name: 'ab', value: 7, gap: Uint8Array.of(1, 2) })).toThrow(
        /^Entry\.gap at byte 3: found 2 bytes, expected 1 bytes, or nothing$/,
      );
    }
  });
});

describe('parts that a program unpacks', () => {
  const zlib = { decode: (bytes: Uint8Array) => inflateSync(bytes, { maxOutputLength: 1 << 16 }), encode: deflateSync };
  const Inner = struct('Inner', { count: u8, names: array(textUntil(), 'count') });
  const Packed = struct('Packed', { length: u16, body: processed(zlib, Inner, 'length'), end: u8 });

  it('are read and written through what it has for them', () => {
    const plain = Buffer.from('\u0002first\0second\0', 'latin1');
    const stored = deflateSync(plain);
    const file = Buffer.concat([Buffer.of(stored.length, 0), stored, Buffer.of(9)]);
    const value = codec(Packed).decode(file);
    expect(value).toEqual({ length: stored.length, body: { count: 2, names: ['first', 'second'] }, end: 9 });
    expect(Buffer.from(codec(Packed).encode({ body: { names: ['first', 'second'] }, end: 9 }))).toEqual(file);
  });

  it('are used up, and what fails in them is told', () => {
    const stored = deflateSync(Buffer.from('\u0000more', 'latin1'));
    const file = Buffer.concat([Buffer.of(stored.length, 0), stored, Buffer.of(9)]);
    expect(() => codec(Packed).decode(file)).toThrow(invalid('LAYOUT_SIZE', 'Packed.body'));
    const bomb = deflateSync(Buffer.alloc(1 << 20));
    const large = Buffer.concat([Buffer.of(bomb.length & 255, bomb.length >> 8), bomb, Buffer.of(9)]);
    expect(() => codec(Packed).decode(large)).toThrow(/larger than/);
  });
});

describe('values elsewhere', () => {
  const Entry = struct('Entry', { at: u8, size: u8, data: pointedTo('at', sized('size', bytesOf())) });
  const List = struct('List', { count: u8, place: u8, entries: pointedTo('place', array(Entry, 'count')) });
  // The list is behind what it leads to, which is not in its order.
  const file = Uint8Array.of(2, 8, 0, 0x21, 0x22, 0x23, 0, 0x11, 7, 1, 3, 3);

  it('lie in any order, and come back where they were', () => {
    const list = codec(List);
    for (let turn = 0; turn < 5; turn += 1) {
      const value = list.decode(file);
      expect(value.entries.map(({ data }) => [...data])).toEqual([[0x11], [0x21, 0x22, 0x23]]);
      expect([...list.encode(value)]).toEqual([...file]);
    }
  });

  it('do not lie in each other, and those without bytes lie anywhere', () => {
    const list = codec(List);
    const entry = (at: number, ...data: number[]): object => ({ at, data: Uint8Array.from(data) });
    const encode = (...entries: object[]): number[] => [...list.encode({ place: 8, entries })];
    for (let turn = 0; turn < 5; turn += 1) {
      expect(() => encode(entry(2, 1, 2, 3, 4, 5, 6, 7))).toThrow(
        /^List\.entries\[0\]\.data at byte 2: found 7 bytes, 6 are free there$/,
      );
      expect(() => encode(entry(3, 1, 2), entry(4, 3))).toThrow(invalid('LAYOUT_OFFSET', 'List.entries[1].data'));
      expect(encode(entry(3, 1, 2), entry(4))).toEqual([2, 8, 0, 1, 2, 0, 0, 0, 3, 2, 4, 0]);
      expect(encode(entry(5, 1, 2), entry(2, 7, 8, 9))).toEqual([2, 8, 7, 8, 9, 1, 2, 0, 5, 2, 2, 3]);
    }
  });
});

interface Node {
  readonly value: number;
  readonly next: number;
  readonly rest: Lazy<Node>;
}
const Entry: Type<Node> = struct('Entry', { value: u8, next: u16, rest: lazyAt('next', (): Type<Node> => Entry) });

describe('values elsewhere that are read when they are asked for', () => {
  it('are the same value where a list leads back to its start', () => {
    const ring = Uint8Array.of(1, 3, 0, 2, 6, 0, 3, 0, 0);
    const first = codec(Entry).decode(ring);
    const [second, third] = [first.rest.get(), first.rest.get().rest.get()];
    expect([first.value, second.value, third.value, third.rest.get().value]).toEqual([1, 2, 3, 1]);
    expect(third.rest.get().rest.get()).toBe(second);
    let entry = first;
    for (let step = 0; step < 300_000; step += 1) entry = entry.rest.get();
    expect(entry.value).toBe(1);
  });

  it('are written once each, in a ring too', () => {
    const third: Partial<Record<keyof Node, unknown>> = { value: 3 };
    const second = { value: 2, rest: { get: () => third } };
    const first = { value: 1, rest: { get: () => second } };
    third.rest = { get: () => first };
    const file = codec(Entry).encode(first);
    expect([...file]).toEqual([1, 3, 0, 2, 6, 0, 3, 0, 0]);
    third.rest = { get: () => second };
    expect([...codec(Entry).encode(first as never)]).toEqual([1, 3, 0, 2, 6, 0, 3, 3, 0]);
  });

  it('cost nothing where nobody asks, and end with an error where they lead outside', () => {
    const lost = codec(Entry).decode(Uint8Array.of(1, 200, 0));
    expect(lost.value).toBe(1);
    expect(() => lost.rest.get()).toThrow(LayoutError);
    expect(() => lost.rest.get()).toThrow(invalid('LAYOUT_TRUNCATED', 'Entry.rest.value'));
  });

  it('take numbers for places and lengths', () => {
    const Far = struct('Far', { part: sized(2, array(u8)), far: lazyAt(6, () => u32) });
    const bytes = Uint8Array.of(1, 2, 0, 0, 0, 0, 5, 0, 0, 0);
    const value = codec(Far).decode(bytes);
    expect([value.part, value.far.get()]).toEqual([[1, 2], 5]);
    expect([...codec(Far).encode(value)]).toEqual([...bytes]);
    expect(() => codec(Far).encode({ part: [1], far: value.far })).toThrow(invalid('LAYOUT_RANGE', 'Far.part'));
  });
});
