import { byteSize, resolve, type Endian, type Type } from '@instar/layout';
import type { Random } from '../../../../tests/support/random.js';
import { DiskDumpHeader, KdumpSubHeader, PageDescriptor } from '../../src/structures/diskdump.js';
import { Ehdr, Nhdr, Phdr32, Phdr64, Shdr } from '../../src/structures/elf.js';
import { dumpTarget } from '../../src/structures/targets.js';

/** Where a number of a structure may stand, in any of the dumps: most places mean nothing in most dumps, and some do. */
interface Place {
  readonly offset: number;
  readonly size: number;
}

function placesOf(type: Type, base: number, bits: 32 | 64): Place[] {
  const layout = resolve(type, dumpTarget('little', bits));
  if (layout.kind !== 'struct') return [];
  return layout.fields
    .filter((field) => field.type.bits <= 64)
    .map((field) => ({ offset: base + field.offset, size: field.type.bits / 8 }));
}

const PLACES: readonly Place[] = [
  ...([32, 64] as const).flatMap((bits) => [
    ...placesOf(Ehdr, 0, bits),
    ...placesOf(DiskDumpHeader, 0, bits),
    ...placesOf(KdumpSubHeader, 4096, bits),
    ...placesOf(Nhdr, 4096 + byteSize(resolve(KdumpSubHeader, dumpTarget('little', bits))), bits),
    ...placesOf(PageDescriptor, 4096 * 4, 64),
    ...placesOf(PageDescriptor, 4096 * 4 + 24 * 7, 64),
    ...placesOf(Shdr, 64, bits),
  ]),
  ...[0, 1, 2, 3].flatMap((index) => placesOf(Phdr64, 64 + 56 * index, 64)),
  ...[0, 1, 2, 3].flatMap((index) => placesOf(Phdr32, 52 + 32 * index, 32)),
  // A flattened stream: its header, its first records, and the header of the file in its first record.
  ...[16, 24, 4096, 4104].map((offset) => ({ offset, size: 8 })),
  ...placesOf(Ehdr, 4112, 64),
  ...placesOf(DiskDumpHeader, 4112, 64),
  ...placesOf(KdumpSubHeader, 4112 + 4096, 64),
];

function interesting(random: Random, length: number): bigint {
  const near = BigInt(length) + BigInt(random.between(-2, 2));
  const shifted = 1n << BigInt(random.below(64));
  return random.pick<bigint>([
    0n,
    1n,
    2n,
    7n,
    0xffn,
    0xffffn,
    0x7fff_ffffn,
    0x8000_0000n,
    0xffff_ffffn,
    0xffff_ffff_ffff_ffffn,
    4095n,
    4096n,
    0x20_0000_0000_0000n,
    near,
    near / 2n,
    shifted,
    shifted - 1n,
  ]);
}

function put(bytes: Buffer, { offset, size }: Place, value: bigint, endian: Endian): void {
  for (let index = 0; index < size && offset + index < bytes.length; index += 1) {
    const shift = BigInt(8 * (endian === 'little' ? index : size - 1 - index));
    bytes[offset + index] = Number((value >> shift) & 0xffn);
  }
}

/** Damages a dump in one to four ways. */
export function mutate(seed: Buffer, random: Random): Buffer {
  let bytes = Buffer.from(seed);
  const [first, ...rest] = PLACES;
  if (first === undefined) return bytes;
  for (let count = random.between(1, 4); count > 0; count -= 1) {
    const at = random.below(Math.max(bytes.length, 1));
    switch (random.below(8)) {
      case 0:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
        break;
      case 1:
        bytes = bytes.subarray(0, at);
        break;
      case 2:
        random.bytes(random.between(1, 64)).copy(bytes, at);
        break;
      case 3:
        // A piece of the dump over another one: tables that overlap, records that repeat.
        Buffer.from(bytes.subarray(at, at + random.between(1, 4096))).copy(bytes, random.below(bytes.length + 1));
        break;
      default: {
        const place = random.pick([first, ...rest]);
        put(bytes, place, interesting(random, bytes.length), random.pick(['little', 'big']));
      }
    }
  }
  return bytes;
}
