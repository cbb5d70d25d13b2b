import type { Endian } from '@instar/layout';
import { VmcoreError } from '../errors.js';
import type { Utsname } from '../image.js';
import { bytesAt, type ByteSource } from '../source/byte-source.js';
import {
  DISKDUMP_SIGNATURE,
  DiskDumpHeader,
  KDUMP_SIGNATURE,
  KDUMP_VERSION,
  KdumpSubHeader,
} from '../structures/diskdump.js';
import { machineOfUtsname, type Machine } from '../structures/machines.js';
import { dumpTarget, structureCodec, type WordBits } from '../structures/targets.js';

/** Most pages of a bitmap: 64 TiB of 4 KiB pages, 2 GiB of file. */
export const MAX_PAGES = 1n << 34n;
const [MIN_BLOCK, MAX_BLOCK] = [512, 1 << 20];

/** A range of bytes in the file. */
export interface FileRange {
  readonly offset: bigint;
  readonly size: bigint;
}

/** What a kdump-compressed file's headers say. Offsets and sizes are bytes and inside the file. */
export interface KdumpHeader {
  readonly byteOrder: Endian;
  readonly wordBits: WordBits;
  readonly version: number;
  readonly machine: Machine;
  readonly utsname: Utsname;
  readonly timestamp: Date;
  readonly status: number;
  readonly blockSize: number;
  /** Pages that the bitmaps speak of. */
  readonly maxMapnr: bigint;
  readonly bitmap1: bigint;
  readonly bitmap2: bigint;
  readonly descriptors: bigint;
  readonly physBase: bigint;
  readonly dumpLevel: number;
  readonly split: { readonly startPfn: bigint; readonly endPfn: bigint } | undefined;
  readonly vmcoreinfo: FileRange | undefined;
  readonly note: FileRange | undefined;
  readonly eraseInfo: FileRange | undefined;
}

/** Whether the first bytes of a file are those of a kdump-compressed dump, or of its predecessor. */
export function isKdump(start: Uint8Array): boolean {
  const text = String.fromCharCode(...start.subarray(0, 8));
  return text === KDUMP_SIGNATURE || text === DISKDUMP_SIGNATURE;
}

/** How the numbers of a kdump-compressed file are stored. */
export interface Shape {
  readonly byteOrder: Endian;
  readonly wordBits: WordBits;
}

function plausible(block: Uint8Array, shape: Shape, fileSize: bigint | undefined): boolean {
  const header = structureCodec(DiskDumpHeader, dumpTarget(shape.byteOrder, shape.wordBits)).decode(block);
  const { block_size: size, sub_hdr_size: sub, bitmap_blocks: bitmaps } = header;
  if (header.header_version < 0 || header.header_version > 0xffff) return false;
  if (size < MIN_BLOCK || size > MAX_BLOCK || !Number.isInteger(Math.log2(size))) return false;
  if (bitmaps === 0) return false;
  return fileSize === undefined || (1n + BigInt(sub) + BigInt(bitmaps)) * BigInt(size) <= fileSize;
}

/**
 * The header does not say its own byte order and width: the one under which its numbers make sense is taken.
 * @throws VmcoreError `BAD_DUMP`, `TRUNCATED`
 */
export function shapeOf(block: Uint8Array, source: ByteSource): Shape {
  const shapes: Shape[] = [
    { byteOrder: 'little', wordBits: 64 },
    { byteOrder: 'big', wordBits: 64 },
    { byteOrder: 'little', wordBits: 32 },
    { byteOrder: 'big', wordBits: 32 },
  ];
  const found = shapes.filter((shape) => plausible(block, shape, source.size));
  const [first] = found;
  if (first === undefined && shapes.some((shape) => plausible(block, shape, undefined))) {
    throw new VmcoreError('TRUNCATED', 'the file ends before its bitmaps do', {
      file: source.name,
      field: 'sub_hdr_size, bitmap_blocks',
      offset: 412n,
      found: `a file of ${source.size} bytes`,
    });
  }
  if (first === undefined) {
    throw new VmcoreError('BAD_DUMP', 'the header of the kdump-compressed file makes no sense in any byte order', {
      file: source.name,
      field: 'block_size, sub_hdr_size, bitmap_blocks',
      offset: 412n,
      expected: `a block size from ${MIN_BLOCK} to ${MAX_BLOCK} and a bitmap`,
    });
  }
  // Where two widths make sense the machine's name decides.
  const named = found.find((shape) => {
    const codec = structureCodec(DiskDumpHeader, dumpTarget(shape.byteOrder, shape.wordBits));
    const machine = machineOfUtsname(codec.decode(block).utsname.machine);
    return machine !== 'unknown' && (machine === 'i386' || machine === 'arm') === (shape.wordBits === 32);
  });
  return named ?? first;
}

/** @throws VmcoreError `BAD_DUMP`, `UNSUPPORTED`, `TRUNCATED`, `TOO_LARGE` */
export async function readKdumpHeader(source: ByteSource): Promise<KdumpHeader> {
  const file = source.name;
  const block = await bytesAt(source, 0n, 464, 'disk_dump_header');
  if (String.fromCharCode(...block.subarray(0, 8)) === DISKDUMP_SIGNATURE) {
    throw new VmcoreError('UNSUPPORTED', 'diskdump files of before kdump are not read', {
      file,
      field: 'signature',
      offset: 0n,
      found: 'DISKDUMP',
      expected: 'KDUMP',
    });
  }
  const shape = shapeOf(block, source);
  const target = dumpTarget(shape.byteOrder, shape.wordBits);
  const header = structureCodec(DiskDumpHeader, target).decode(block);
  if (header.header_version > KDUMP_VERSION) {
    throw new VmcoreError('UNSUPPORTED', 'this version of the kdump-compressed format is not known', {
      file,
      field: 'header_version',
      offset: 8n,
      found: String(header.header_version),
      expected: `at most ${KDUMP_VERSION}`,
    });
  }
  const sub = await readSubHeader(source, shape, header.header_version, header.block_size, header.sub_hdr_size);
  const bitmapBytes = (BigInt(header.bitmap_blocks) / 2n) * BigInt(header.block_size);
  const maxMapnr = header.header_version >= 6 ? sub.max_mapnr_64 : BigInt(header.max_mapnr);
  checkPages(maxMapnr, bitmapBytes, file);
  const bitmap1 = BigInt(1 + header.sub_hdr_size) * BigInt(header.block_size);
  const since = (version: number, offset: bigint, size: bigint): FileRange | undefined =>
    header.header_version >= version && offset > 0n && size > 0n ? { offset, size } : undefined;
  const wide = header.header_version >= 6;
  return {
    ...shape,
    version: header.header_version,
    machine: machineOfUtsname(header.utsname.machine),
    utsname: header.utsname,
    timestamp: timestampOf(header.timestamp),
    status: header.status,
    blockSize: header.block_size,
    maxMapnr,
    bitmap1,
    bitmap2: bitmap1 + bitmapBytes,
    descriptors: bitmap1 + BigInt(header.bitmap_blocks) * BigInt(header.block_size),
    // An unsigned long here, but Linux counts it from where it was linked, which may be above.
    physBase: shape.wordBits === 64 ? BigInt.asIntN(64, sub.phys_base) : sub.phys_base,
    dumpLevel: header.header_version >= 1 ? sub.dump_level : 0,
    split:
      header.header_version >= 2 && sub.split !== 0
        ? { startPfn: wide ? sub.start_pfn_64 : sub.start_pfn, endPfn: wide ? sub.end_pfn_64 : sub.end_pfn }
        : undefined,
    vmcoreinfo: since(3, sub.offset_vmcoreinfo, sub.size_vmcoreinfo),
    note: since(4, sub.offset_note, sub.size_note),
    eraseInfo: since(5, sub.offset_eraseinfo, sub.size_eraseinfo),
  };
}

/** Sub headers of older versions are shorter, but there is a block for them: the rest counts for nothing. */
async function readSubHeader(source: ByteSource, shape: Shape, version: number, blockSize: number, blocks: number) {
  const codec = structureCodec(KdumpSubHeader, dumpTarget(shape.byteOrder, shape.wordBits));
  if (blocks === 0) {
    if (version === 0) return codec.zero();
    throw new VmcoreError('BAD_DUMP', 'the kdump-compressed file has no sub header', {
      file: source.name,
      field: 'sub_hdr_size',
      found: '0',
      expected: 'at least 1 block',
    });
  }
  return codec.decode(await bytesAt(source, BigInt(blockSize), codec.size, 'kdump_sub_header'));
}

function checkPages(maxMapnr: bigint, bitmapBytes: bigint, file: string): void {
  if (maxMapnr > bitmapBytes * 8n) {
    throw new VmcoreError('BAD_DUMP', 'the bitmaps are too short for the memory', {
      file,
      field: 'max_mapnr',
      found: `${maxMapnr} pages in ${bitmapBytes} bytes`,
      expected: 'a bit for each page in each half of bitmap_blocks',
    });
  }
  if (maxMapnr > MAX_PAGES) {
    throw new VmcoreError('TOO_LARGE', 'the bitmaps are too large', {
      file,
      field: 'max_mapnr',
      found: `${maxMapnr} pages`,
      expected: `at most ${MAX_PAGES}`,
    });
  }
}

function timestampOf({ tv_sec: seconds, tv_usec: micros }: { tv_sec: bigint; tv_usec: bigint }): Date {
  const milliseconds = seconds * 1000n + micros / 1000n;
  // Dates end in the year 275760; what lies behind it is no time of a dump.
  return new Date(milliseconds <= 8_640_000_000_000_000n ? Number(milliseconds) : 0);
}
