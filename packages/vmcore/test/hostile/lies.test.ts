import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { memorySource, openSource, VmcoreError, writeDump, type Compression } from '../../src/index.js';
import { DiskDumpHeader, KdumpSubHeader, PAGE_DESCRIPTOR_SIZE } from '../../src/structures/diskdump.js';
import { dumpTarget, structureCodec } from '../../src/structures/targets.js';
import { madeUpImage } from '../support/memory.js';

const directory = mkdtempSync(join(tmpdir(), 'instar-lies-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const PAGE = 4096;
const target = dumpTarget('little', 64);
const [headerCodec, subCodec] = [structureCodec(DiskDumpHeader, target), structureCodec(KdumpSubHeader, target)];
const map = { seed: 3, pageSize: PAGE, ranges: [{ start: 0n, length: 64n * 4096n }] };
let elf: Buffer;
let flat: Buffer;
const kdumps = new Map<Compression, Buffer>();

beforeAll(async () => {
  const image = madeUpImage(map, { machine: 'x86_64', vmcoreinfo: 'OSRELEASE=6.1\n', cpus: [{ registers: {} }] });
  const write = async (options: Parameters<typeof writeDump>[2]): Promise<Buffer> => {
    await writeDump(image, { file: join(directory, 'd') }, options);
    return readFileSync(join(directory, 'd'));
  };
  elf = await write({ format: 'elf' });
  flat = await write({ format: 'kdump', flattened: true });
  for (const compression of ['zlib', 'lzo', 'snappy', 'zstd'] as const) {
    kdumps.set(compression, await write({ format: 'kdump', compression }));
  }
});

const kdump = (compression: Compression = 'zlib'): Buffer => Buffer.from(kdumps.get(compression) ?? []);

/** What becomes of a dump when it is opened and all its memory is read. */
async function fate(bytes: Uint8Array): Promise<VmcoreError> {
  try {
    const dump = await openSource(memorySource(bytes, 'hostile'));
    for await (const { start, length } of dump.extents()) {
      await dump.read(start, Math.min(Number(length), 1 << 20));
    }
  } catch (error) {
    if (error instanceof VmcoreError) return error;
    throw error;
  }
  throw new Error('the dump was read without an error');
}

function withHeader(change: Partial<ReturnType<typeof headerCodec.decode>>): Buffer {
  const bytes = kdump();
  headerCodec.encodeInto(bytes, { ...headerCodec.decode(bytes), ...change });
  return bytes;
}

function withSubHeader(change: Partial<ReturnType<typeof subCodec.decode>>): Buffer {
  const bytes = kdump();
  subCodec.encodeInto(bytes, { ...subCodec.decode(bytes, PAGE), ...change }, PAGE);
  return bytes;
}

/** Where the first page descriptor stands. */
function descriptorsAt(bytes: Buffer): number {
  const { sub_hdr_size: sub, bitmap_blocks: bitmaps } = headerCodec.decode(bytes);
  return (1 + sub + bitmaps) * PAGE;
}

function withDescriptor(change: (view: DataView, at: number) => void, compression: Compression = 'zlib'): Buffer {
  const bytes = kdump(compression);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let index = 0; index < 64; index += 1) change(view, descriptorsAt(bytes) + index * PAGE_DESCRIPTOR_SIZE);
  return bytes;
}

function withProgramHeader(index: number, offset: number, value: bigint): Buffer {
  const bytes = Buffer.from(elf);
  bytes.writeBigUInt64LE(value, 64 + 56 * index + offset);
  return bytes;
}

/** The size of the first note's descriptor, behind the sub header. */
function withLongNote(): Buffer {
  const bytes = kdump();
  bytes.writeUInt32LE(0xffff_fff0, PAGE + subCodec.size + 4);
  return bytes;
}

function withLongName(): Buffer {
  const bytes = kdump();
  bytes.writeUInt32LE(300, PAGE + subCodec.size);
  return bytes;
}

const [P_OFFSET, P_FILESZ] = [8, 32];

describe('a dump that lies is refused where it lies', () => {
  const cases: readonly (readonly [string, () => Buffer, string, string])[] = [
    ['a segment behind the end of the file', () => withProgramHeader(1, P_OFFSET, 1n << 40n), 'TRUNCATED', 'p_offset'],
    [
      'a segment whose end wraps around',
      () => withProgramHeader(1, P_OFFSET, (1n << 64n) - 2n),
      'TRUNCATED',
      'p_offset',
    ],
    ['a segment of more bytes than the file', () => withProgramHeader(1, P_FILESZ, 1n << 50n), 'TRUNCATED', 'p_offset'],
    ['notes behind the end of the file', () => withProgramHeader(0, P_OFFSET, 1n << 33n), 'TRUNCATED', 'PT_NOTE'],
    ['a note of 4 GiB', withLongNote, 'BAD_DUMP', 'n_namesz'],
    ['bitmaps of 4 GiB', () => withHeader({ bitmap_blocks: 1 << 21 }), 'TRUNCATED', 'bitmap_blocks'],
    [
      'more pages than the bitmaps have bits',
      () => withSubHeader({ max_mapnr_64: 1n << 40n }),
      'BAD_DUMP',
      'max_mapnr',
    ],
    ['no sub header', () => withHeader({ sub_hdr_size: 0 }), 'BAD_DUMP', 'sub_hdr_size'],
    ['a header of version 7', () => withHeader({ header_version: 7 }), 'UNSUPPORTED', 'header_version'],
    ['a block of 3000 bytes', () => withHeader({ block_size: 3000 }), 'BAD_DUMP', 'block_size'],
    ['a note whose name is longer than names are', withLongName, 'BAD_DUMP', 'n_namesz'],
    ['notes of 1 GiB', () => withSubHeader({ size_note: 1n << 30n }), 'TRUNCATED', 'offset_note'],
    ['notes at 2^63', () => withSubHeader({ offset_note: 1n << 63n }), 'TRUNCATED', 'offset_note'],
    [
      'VMCOREINFO behind the end',
      () => withSubHeader({ offset_vmcoreinfo: 1n << 40n }),
      'TRUNCATED',
      'offset_vmcoreinfo',
    ],
    [
      'a page behind the end of the file',
      () =>
        withDescriptor((view, at) => {
          view.setBigUint64(at, 1n << 45n, true);
        }),
      'TRUNCATED',
      'page_desc',
    ],
    [
      'a page of 4 GiB',
      () =>
        withDescriptor((view, at) => {
          view.setUint32(at + 8, 0xffff_ffff, true);
        }),
      'BAD_DUMP',
      'page_desc',
    ],
    [
      'a page with two codecs',
      () =>
        withDescriptor((view, at) => {
          view.setUint32(at + 12, 3, true);
        }),
      'BAD_DUMP',
      'page_desc',
    ],
    [
      'a page that is stored raw in fewer bytes',
      () =>
        withDescriptor((view, at) => {
          view.setUint32(at + 8, 100, true);
          view.setUint32(at + 12, 0, true);
        }),
      'BAD_DUMP',
      'page_desc',
    ],
  ];
  it.each(cases)('%s', async (_name, make, code, field) => {
    const error = await fate(make());
    expect([error.code, error.message.includes(field), error.file]).toEqual([code, true, 'hostile']);
  });

  it.each(['zlib', 'lzo', 'snappy', 'zstd'] as const)('a page whose %s data is damaged', async (compression) => {
    const bytes = kdump(compression);
    bytes.fill(0xa5, descriptorsAt(bytes) + 64 * PAGE_DESCRIPTOR_SIZE + PAGE);
    const error = await fate(bytes);
    expect(error.code).toBe('BAD_DUMP');
    expect(error.message).toMatch(/page \d+ cannot be decompressed/);
  });

  it('a dump that ends anywhere', async () => {
    for (const whole of [elf, flat, kdump()]) {
      // The last bytes of an ELF file and of a kdump are memory; of a flattened stream its end mark.
      for (let length = 0; length < whole.length; length += 1 + Math.floor(whole.length / 60)) {
        const error = await fate(whole.subarray(0, length));
        expect(['TRUNCATED', 'NOT_A_DUMP', 'BAD_DUMP']).toContain(error.code);
      }
    }
  });

  it('a flattened stream whose record goes beyond 2^53, or is negative', async () => {
    for (const [offset, size] of [
      [1n << 60n, 8n],
      [-5n, 8n],
      [0n, -2n],
      [1n << 52n, (1n << 53n) - 1n],
    ] as const) {
      const bytes = Buffer.from(flat);
      bytes.writeBigInt64BE(offset, 4096);
      bytes.writeBigInt64BE(size, 4104);
      const error = await fate(bytes);
      expect([error.code, error.field]).toEqual(['BAD_DUMP', 'makedumpfile_data_header']);
    }
  });

  it('segments that claim the same bytes of the file again and again', async () => {
    const count = 1000;
    const bytes = Buffer.alloc(64 + 56 * count + 65536);
    elf.copy(bytes, 0, 0, 64);
    bytes.writeUInt16LE(count, 56);
    for (let index = 0; index < count; index += 1) {
      const at = 64 + 56 * index;
      bytes.writeUInt32LE(1, at);
      bytes.writeBigUInt64LE(BigInt(64 + 56 * count), at + 8);
      bytes.writeBigUInt64LE(BigInt(index) << 20n, at + 24);
      bytes.writeBigUInt64LE(65536n, at + 32);
      bytes.writeBigUInt64LE(65536n, at + 40);
    }
    const error = await fate(bytes);
    expect([error.code, error.field]).toEqual(['BAD_DUMP', 'p_filesz']);
  });
});

describe('an address that a dump does not have', () => {
  it('is an error of its own, and memory that was left out is another', async () => {
    const dump = await openSource(memorySource(kdump()));
    await expect(dump.read(64n * 4096n, 1)).rejects.toMatchObject({ code: 'NO_MEMORY', offset: 64n * 4096n });
    await expect(dump.read(1n << 60n, 1)).rejects.toMatchObject({ code: 'NO_MEMORY' });
    await expect(dump.read(-1n, 1)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const bytes = kdump();
    const { sub_hdr_size: sub } = headerCodec.decode(bytes);
    // The second bitmap begins a block behind the first: page 0 existed and was not dumped.
    const second = (1 + sub + 1) * PAGE;
    bytes[second] = (bytes[second] ?? 0) & 0xfe;
    const filtered = await openSource(memorySource(bytes));
    await expect(filtered.read(0n, 10)).rejects.toMatchObject({ code: 'PAGE_EXCLUDED', offset: 0n });
    expect(await filtered.read(0n, 10, { excluded: 'zero' })).toEqual(new Uint8Array(10));
  });
});
