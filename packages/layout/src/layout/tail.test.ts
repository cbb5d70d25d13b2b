import { describe, expect, it } from 'vitest';
import { codec } from '../codec/compiled.js';
import { indexOfPointer, pointerOfIndex } from './table-pointer.js';
import { struct } from './struct.js';
import { headOf, headSize, loadHead, truncateTail } from './tail.js';
import { compareTargets } from './target-report.js';
import { i386, s390x, x86_64, type Target } from './target.js';
import { array } from './array.js';
import { pointer, tablePointer, u16, u32, u64, u8, uword } from './types.js';

/** A target that nobody makes: 32 bits, big endian. */
const BIG32: Target = { name: 'big32', endian: 'big', wordBits: 32, align64: 8, unnamedBitFieldsAlign: false };

const head = { fault_code: u32, flags: u32, fault_info: u64 };
const On64 = struct('Process', { ...head, registers: array(u64, 16) }, { tail: 'registers' });
const On32 = struct('Process', { ...head, registers: array(u32, 8) }, { tail: 'registers' });

describe('records with a tail', () => {
  it('have a head that is the same everywhere', () => {
    expect(headOf(On64).fields.map((item) => item.name)).toEqual(['fault_code', 'flags', 'fault_info']);
    expect([headSize(On64, x86_64), headSize(On32, BIG32)]).toEqual([16, 16]);
  });

  it('are cut for a file, and loaded for another target with its own registers and byte order', () => {
    const memory = codec(On64, x86_64).encode({ fault_code: 1, fault_info: 0x20_0000n, registers: [7n] });
    const file = truncateTail(On64, memory, x86_64);
    expect([...file]).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0]);
    const foreign = loadHead(On32, file, x86_64, BIG32);
    expect([...foreign.subarray(0, 16)]).toEqual([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0]);
    expect(foreign).toHaveLength(48);
    expect(codec(On32, BIG32).decode(foreign).registers).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('are refused where the file holds less than the head', () => {
    expect(() => loadHead(On32, new Uint8Array(15), x86_64, BIG32)).toThrow(
      /^Process at byte 0: needs 16 bytes, 15 are there$/,
    );
  });

  it('are refused where the head differs, naming the field and both targets', () => {
    const type = struct('Process', { next: uword, state: u32, registers: u64 }, { tail: 'registers' });
    expect(() => headOf(type, [x86_64, i386])).toThrow(
      /^Process\.next at byte 0: found 4 bytes at 0 on i386 and 8 at 0 on x86_64/,
    );
    expect(() => headOf(struct('S', { a: u8 }))).toThrow(/found no tail/);
  });
});

describe('where targets differ', () => {
  it('is reported for each field and for the whole', () => {
    const type = struct('Node', { kind: u8, next: pointer('Node'), count: u16, total: u64 });
    const found = compareTargets(type, [x86_64, i386, s390x]);
    expect(found.map((item) => item.path)).toEqual(['Node', 'Node.next', 'Node.count', 'Node.total']);
    expect(found[2]?.places.map((place) => [place.target, place.bit / 8])).toEqual([
      ['x86_64', 16],
      ['i386', 8],
      ['s390x', 16],
    ]);
  });

  it('is nothing where one layout is good for all', () => {
    expect(compareTargets(struct('S', { a: u32, b: u16, c: array(u8, 3) }))).toEqual([]);
  });
});

describe('pointers into a table', () => {
  const entry = tablePointer('OTEntry', 16);
  const table = { base: 0x1000n, count: 4n };

  it('become indexes and pointers again', () => {
    for (let index = 0n; index < 4n; index += 1n) {
      expect(indexOfPointer(entry, pointerOfIndex(entry, index, table), table)).toBe(index);
    }
    expect(pointerOfIndex(entry, 3n, table)).toBe(0x1030n);
  });

  it.each([0xff0n, 0x1008n, 0x1040n])('refuse the pointer %s', (address) => {
    expect(() => indexOfPointer(entry, address, table)).toThrow(
      /^OTEntry at byte 0: found 0x[0-9a-f]+, expected the address of an entry/,
    );
  });

  it('refuse an index outside, and a word that leads into no table', () => {
    expect(() => pointerOfIndex(entry, 4n, table)).toThrow(/found the index 4, expected 0 to 3/);
    expect(() => pointerOfIndex(pointer(), 0n, table)).toThrow(/leads into no table/);
  });
});
