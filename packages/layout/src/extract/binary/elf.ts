import { inflateSync } from 'node:zlib';
import type { Endian, Target } from '../../layout/target.js';
import * as targets from '../../layout/target.js';
import { ExtractError } from '../errors.js';

// Reads sections of an ELF file (gABI 4 to 6): those that hold types. Every number of the file is checked.

/** Bytes that one section may come to; more is an attack on memory. */
const MOST_BYTES = 2 ** 30;

/** Bytes of the longest header of a file. */
export const HEADER = 64;

/** The target of a machine, by its number in the header (gABI, "e_machine"). */
function machineOf(machine: number, is64: boolean, endian: Endian): Target | undefined {
  const big = endian === 'big';
  switch (machine) {
    case 3:
      return targets.i386;
    case 8:
      return is64 ? (big ? targets.mips64 : targets.mips64el) : big ? targets.mips : targets.mipsel;
    case 20:
      return targets.ppc;
    case 21:
      return big ? targets.ppc64 : targets.ppc64le;
    case 22:
      return targets.s390x;
    case 40:
      return targets.arm;
    case 62:
      return targets.x86_64;
    case 183:
      return big ? targets.aarch64_be : targets.aarch64;
    case 243:
      return is64 ? targets.riscv64 : targets.riscv32;
    default:
      return undefined;
  }
}

/** Relocations that add a symbol's address, in as many bytes, by machine. Others do not stand in debug information. */
const ABSOLUTE: Readonly<Record<number, Readonly<Record<number, 4 | 8>>>> = {
  3: { 1: 4 },
  8: { 2: 4, 18: 8 },
  20: { 1: 4 },
  21: { 1: 4, 38: 8 },
  22: { 4: 4, 22: 8 },
  40: { 2: 4 },
  62: { 1: 8, 10: 4, 11: 4 },
  183: { 257: 8, 258: 4 },
  243: { 1: 4, 2: 8 },
};

function damaged(what: string): ExtractError {
  return new ExtractError('EXTRACT_BINARY', `the file is damaged: ${what}`);
}

interface Header {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
}

/** The sections of an ELF file. */
export interface Elf {
  readonly endian: Endian;
  readonly target: Target;
  /** A section's bytes, decompressed and relocated. */
  readonly section: (name: string) => { readonly bytes: Uint8Array };
  readonly has: (name: string) => boolean;
}

/** Whether a file begins as an ELF file does. */
export function isElf(bytes: Uint8Array): boolean {
  return bytes.length >= 52 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

/**
 * Reads the section headers of an ELF file.
 * @param fill called before bytes of the file are looked at, for a file that is read as it is needed
 * @throws ExtractError `EXTRACT_BINARY`.
 */
export function readElf(file: Uint8Array, fill: (from: number, to: number) => void = () => undefined): Elf {
  fill(0, HEADER);
  const is64 = file[4] === 2;
  const endian: Endian = file[5] === 2 ? 'big' : 'little';
  const little = endian === 'little';
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const u16 = (at: number): number => (at + 2 <= file.length ? view.getUint16(at, little) : fail());
  const u32 = (at: number): number => (at + 4 <= file.length ? view.getUint32(at, little) : fail());
  const word = (at: number): number => {
    if (!is64) return u32(at);
    if (at + 8 > file.length) fail();
    const value = Number(view.getBigUint64(at, little));
    if (!Number.isSafeInteger(value)) fail();
    return value;
  };
  function fail(): never {
    throw damaged('it ends too early, or its numbers lead out of it');
  }
  const machine = u16(18);
  const target = machineOf(machine, is64, endian);
  if (target === undefined) {
    throw new ExtractError('EXTRACT_BINARY', `found the machine ${machine}, of which no target is known`);
  }
  const start = word(is64 ? 40 : 32);
  const size = u16(is64 ? 58 : 46);
  let count = u16(is64 ? 60 : 48);
  let names = u16(is64 ? 62 : 50);
  if (start === 0 || size < (is64 ? 64 : 40)) throw damaged('it has no section headers');
  // gABI, "e_shnum": what does not fit the header is in the first section header.
  fill(start, start + size);
  if (count === 0) count = word(start + (is64 ? 32 : 20));
  if (names === 0xffff) names = u32(start + (is64 ? 40 : 24));
  if (count * size > file.length) fail();
  fill(start, start + count * size);
  const raw = Array.from({ length: count }, (_, index) => {
    const at = start + index * size;
    const field = (wide: number, narrow: number): number => word(at + (is64 ? wide : narrow));
    const flags = field(8, 8);
    const place = { offset: field(24, 16), size: field(32, 20) };
    return {
      nameAt: u32(at),
      type: u32(at + 4),
      flags,
      ...place,
      link: u32(at + (is64 ? 40 : 24)),
      info: u32(at + (is64 ? 44 : 28)),
    };
  });
  const bytesAt = (item: { readonly type: number; readonly offset: number; readonly size: number }): Uint8Array => {
    if (item.type === 8) return new Uint8Array(0);
    if (item.offset + item.size > file.length) fail();
    fill(item.offset, item.offset + item.size);
    return file.subarray(item.offset, item.offset + item.size);
  };
  const namesHeader = raw[names];
  const strings = namesHeader === undefined ? new Uint8Array(0) : bytesAt(namesHeader);
  const headers = raw.map((item): Header => {
    const end = strings.indexOf(0, item.nameAt);
    return {
      ...item,
      name: Buffer.from(strings.subarray(item.nameAt, end < 0 ? item.nameAt : end)).toString('latin1'),
    };
  });
  const inflated = (item: Header): Uint8Array => {
    const stored = bytesAt(item);
    if ((item.flags & 0x800) === 0) return stored;
    // gABI, "Section compression": type, size, alignment, then zlib.
    const inner = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
    if (stored.length < (is64 ? 24 : 12) || inner.getUint32(0, little) !== 1)
      throw damaged('a section is compressed otherwise than by zlib');
    try {
      return inflateSync(stored.subarray(is64 ? 24 : 12), { maxOutputLength: MOST_BYTES });
    } catch {
      throw damaged('a compressed section cannot be decompressed');
    }
  };
  const relocated = (item: Header, index: number): Uint8Array => {
    const relocations = headers.filter((other) => (other.type === 4 || other.type === 9) && other.info === index);
    if (u16(16) !== 1 || relocations.length === 0) return inflated(item);
    const bytes = Uint8Array.from(inflated(item));
    const out = new DataView(bytes.buffer);
    for (const list of relocations) {
      const symbols = headers[list.link];
      if (symbols === undefined) fail();
      fill(list.offset, list.offset + list.size);
      fill(symbols.offset, symbols.offset + symbols.size);
      const hasAddend = list.type === 4;
      const step = (is64 ? 16 : 8) + (hasAddend ? (is64 ? 8 : 4) : 0);
      for (let at = list.offset; at + step <= list.offset + list.size; at += step) {
        const info = is64 ? 0 : u32(at + 4);
        const [symbol, kind] = is64
          ? little
            ? [u32(at + 12), u32(at + 8)]
            : [u32(at + 8), u32(at + 12)]
          : [info >>> 8, info & 0xff];
        const width = ABSOLUTE[machine]?.[kind];
        const place = word(at);
        if (width === undefined || place + width > bytes.length) continue;
        const value = word(symbols.offset + symbol * (is64 ? 24 : 16) + (is64 ? 8 : 4));
        const addend = hasAddend
          ? is64
            ? Number(view.getBigInt64(at + 16, little))
            : view.getInt32(at + 8, little)
          : out.getUint32(place, little);
        if (width === 8) out.setBigUint64(place, BigInt.asUintN(64, BigInt(value + addend)), little);
        else out.setUint32(place, (value + addend) >>> 0, little);
      }
    }
    return bytes;
  };
  const known = new Map<string, Uint8Array>();
  return {
    endian,
    target,
    has: (name) => headers.some((item) => item.name === name && item.size > 0),
    section(name) {
      const index = headers.findIndex((item) => item.name === name);
      const item = headers[index];
      if (item === undefined) throw new ExtractError('EXTRACT_BINARY', `the file has no section ${name}`);
      const bytes = known.get(name) ?? relocated(item, index);
      known.set(name, bytes);
      return { bytes };
    },
  };
}
