import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../../tests/support/random.js';
import {
  openDump,
  providedImage,
  repairDump,
  splitDump,
  verifyDump,
  writeDump,
  type Compression,
  type LostPages,
  type RepairReport,
} from '../src/index.js';
import { DiskDumpHeader } from '../src/structures/diskdump.js';
import { dumpTarget, structureCodec } from '../src/structures/targets.js';

const directory = mkdtempSync(join(tmpdir(), 'instar-repair-'));
const path = (name: string): string => join(directory, name);
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const PAGE = 4096;
const PAGES = 250;
const DESCRIPTOR = 24;
/** Physical memory with a hole, so that bitmaps are more than ones. */
const START = 0x20_0000;
const CODECS = ['none', 'zlib', 'lzo', 'snappy', 'zstd'] as const satisfies readonly Compression[];

/** Pages of text, of noise and of zeros in turn, none like another but those of zeros. */
function madeUp(): Buffer {
  const bytes = Buffer.alloc(PAGES * PAGE);
  const random = new Random(20);
  for (let page = 0; page < PAGES; page += 1) {
    const at = page * PAGE;
    if (page % 5 < 3) bytes.fill(`this is page ${page} of many; `, at, at + PAGE);
    if (page % 5 === 3) random.bytes(PAGE).copy(bytes, at);
  }
  return bytes;
}

const memory = madeUp();
const image = providedImage({
  machine: 'x86_64',
  ranges: [{ start: BigInt(START), length: BigInt(memory.length) }],
  read: (address, target) => {
    memory.copy(target, 0, Number(address) - START);
  },
  cpus: [{ registers: { rip: 0xffff_ffff_8100_0000n } }],
  vmcoreinfo: 'OSRELEASE=6.1.0\nPAGESIZE=4096\n',
});

const whole = new Map<Compression, Buffer>();
beforeAll(async () => {
  for (const compression of CODECS) {
    await writeDump(image, { file: path('whole') }, { format: 'kdump', compression });
    whole.set(compression, readFileSync(path('whole')));
  }
});

/** Where the parts of a dump lie. */
function layoutOf(dump: Buffer): { bitmap1: number; bitmap2: number; descriptors: number } {
  const { sub_hdr_size: sub, bitmap_blocks: blocks } = structureCodec(DiskDumpHeader, dumpTarget('little', 64)).decode(
    dump,
  );
  const bitmap1 = (1 + sub) * PAGE;
  return { bitmap1, bitmap2: bitmap1 + (blocks / 2) * PAGE, descriptors: bitmap1 + blocks * PAGE };
}

interface Repaired {
  readonly report: RepairReport;
  readonly lost: readonly LostPages[];
}

/** Damages a dump and repairs it into the file `repaired`. */
async function repaired(compression: Compression, damage: (dump: Buffer) => void): Promise<Repaired> {
  const dump = Buffer.from(whole.get(compression) ?? []);
  damage(dump);
  writeFileSync(path('damaged'), dump);
  const lost: LostPages[] = [];
  const onLost = (pages: LostPages): void => void lost.push(pages);
  const report = await repairDump(path('damaged'), { file: path('repaired') }, { onLost });
  expect(readFileSync(path('damaged')).equals(dump)).toBe(true);
  return { report, lost };
}

/** All memory of the repaired dump but for some pages, which are left out of it. */
async function expectMemory(...without: readonly number[]): Promise<void> {
  const dump = await openDump(path('repaired'));
  for (let page = 0; page < PAGES; page += 1) {
    const read = dump.read(BigInt(START + page * PAGE), PAGE);
    if (without.includes(page)) {
      await expect(read).rejects.toMatchObject({ code: 'PAGE_EXCLUDED' });
      continue;
    }
    if (!memory.subarray(page * PAGE, (page + 1) * PAGE).equals(await read)) throw new Error(`page ${page} differs`);
  }
  expect((await verifyDump(dump)).problems).toEqual([]);
  expect(dump.vmcoreinfo?.osRelease).toBe('6.1.0');
  expect(dump.cpus).toHaveLength(1);
  await dump.close();
}

describe('bitmaps', () => {
  it.each([
    ['the one of stored pages is gone', 'bitmap2', (bits: Buffer) => bits.fill(0)],
    ['the one of stored pages has holes', 'bitmap2', (bits: Buffer) => bits.fill(0, 70, 73)],
    ['the one of existing pages is gone', 'bitmap1', (bits: Buffer) => bits.fill(0)],
    ['the one of existing pages has holes', 'bitmap1', (bits: Buffer) => bits.fill(0x41, 80, 82)],
  ] as const)('are recomputed from each other where %s', async (_what, which, damage) => {
    const { report, lost } = await repaired('zlib', (dump) => {
      const at = layoutOf(dump)[which];
      damage(dump.subarray(at, at + PAGE));
    });
    expect([report.mended, report.lost, lost]).toEqual([[expect.stringMatching(/bitmap of .* recomputed/)], 0n, []]);
    await expectMemory();
  });

  it('are recomputed where each has what the other lacks', async () => {
    const { report } = await repaired('zlib', (dump) => {
      const { bitmap1, bitmap2 } = layoutOf(dump);
      dump.fill(0, bitmap1 + 66, bitmap1 + 69);
      dump.fill(0, bitmap2 + 90, bitmap2 + 93);
    });
    expect(report.mended).toHaveLength(2);
    await expectMemory();
  });

  it('are refused where neither fits the descriptors', async () => {
    const damage = (dump: Buffer): void => {
      const { bitmap1, bitmap2 } = layoutOf(dump);
      for (const at of [bitmap1, bitmap2]) dump.fill(0, at + 66, at + 69);
    };
    await expect(repaired('zlib', damage)).rejects.toMatchObject({ code: 'BAD_DUMP', field: 'bitmaps' });
  });

  it.each([0n, 5n, 1n << 40n])('count pages where the header says %i', async (said) => {
    const { report } = await repaired('zlib', (dump) => dump.writeBigUInt64LE(said, PAGE + 96));
    expect(report.mended).toEqual([expect.stringContaining('max_mapnr_64 was')]);
    await expectMemory();
  });
});

describe('page descriptors', () => {
  const at = (dump: Buffer, page: number): number => layoutOf(dump).descriptors + page * DESCRIPTOR;
  const wipe = (dump: Buffer, byte: number, ...pages: readonly number[]): void => {
    for (const page of pages) dump.fill(byte, at(dump, page), at(dump, page + 1));
  };

  it.each(CODECS)('that are destroyed are recomputed by what lies around them: %s', async (compression) => {
    // Text; noise; zeros; two of text; text, text, noise; the last one with data.
    const { report, lost } = await repaired(compression, (dump) => {
      wipe(dump, 0, 10, 24, 50, 51, 101, 102, 103);
      wipe(dump, 0xff, 33, 248);
    });
    expect([report.mended, lost]).toEqual([[expect.stringMatching(/^9 page descriptors made no sense/)], []]);
    await expectMemory();
  });

  it('that point elsewhere are recomputed too', async () => {
    for (const compression of ['none', 'zlib'] as const) {
      const { report } = await repaired(compression, (dump) => {
        // To the data of another page of the same size.
        const other = dump.readBigUInt64LE(at(dump, 203));
        dump.writeBigUInt64LE(other, at(dump, 103));
        dump.writeUInt32LE(PAGE, at(dump, 103) + 8);
      });
      expect(report.mended).toEqual([expect.stringMatching(/^1 page descriptor made no sense/)]);
      await expectMemory();
    }
  });

  it('are lost among pages of zeros that nobody can tell from them', async () => {
    const { report, lost } = await repaired('zlib', (dump) => {
      wipe(dump, 0, 12, 13, 14);
    });
    expect([report.mended, report.lost]).toEqual([[], BigInt(3 * PAGE)]);
    expect(lost.map(({ start }) => Number(start))).toEqual([12, 13, 14].map((page) => START + page * PAGE));
    await expectMemory(12, 13, 14);
  });
});

it('names pages whose data is damaged, and leaves them out', async () => {
  const { report, lost } = await repaired('zlib', (dump) => {
    const { descriptors } = layoutOf(dump);
    const dataOf = (page: number): number => Number(dump.readBigUInt64LE(descriptors + page * DESCRIPTOR));
    dump.fill(0x5a, dataOf(55), dataOf(57));
    dump.fill(0, descriptors + 230 * DESCRIPTOR, descriptors + 231 * DESCRIPTOR);
  });
  expect(report.mended).toEqual([expect.stringMatching(/^1 page descriptor /)]);
  expect(lost).toEqual(
    [55, 56].map((page) => ({
      start: BigInt(START + page * PAGE),
      length: BigInt(PAGE),
      problem: expect.objectContaining({ problem: `page ${START / PAGE + page} cannot be decompressed` }) as unknown,
    })),
  );
  await expectMemory(55, 56);
});

it('takes areas outside the file as missing', async () => {
  const { report } = await repaired('lzo', (dump) => dump.writeBigUInt64LE(1n << 45n, PAGE + 32));
  expect(report.mended).toEqual([expect.stringContaining('offset_vmcoreinfo lies outside the file')]);
  // VMCOREINFO is among the notes as well.
  await expectMemory();
});

it('keeps what is whole, compressed as it was or otherwise', async () => {
  const { report } = await repaired('snappy', () => undefined);
  expect(report).toMatchObject({ mended: [], lost: 0n });
  await expectMemory();
  const dump = await openDump(path('repaired'));
  expect(dump.compression).toEqual(['snappy']);
  await dump.close();
  await repairDump(path('damaged'), { file: path('repaired') }, { compression: 'zstd', flattened: true });
  await expectMemory();
});

it('rearranges and salvages a flattened stream that was cut off', async () => {
  await writeDump(image, { file: path('flat') }, { format: 'kdump', compression: 'none', flattened: true });
  const bytes = readFileSync(path('flat'));
  writeFileSync(path('flat'), bytes.subarray(0, bytes.length - 20 * PAGE));
  const report = await repairDump(path('flat'), { file: path('repaired') });
  expect(report.lost).toBeGreaterThan(0n);
  const dump = await openDump(path('repaired'));
  const read = await dump.read(BigInt(START), 100 * PAGE);
  expect(memory.subarray(0, 100 * PAGE).equals(read)).toBe(true);
  expect(dump.files[0]?.flattened).toBe(false);
  await dump.close();
});

it('refuses what it cannot repair, and says what can', async () => {
  const into = { file: path('none') };
  await writeDump(image, { file: path('elf') }, { format: 'elf' });
  await expect(repairDump(path('elf'), into)).rejects.toThrow(/ELF dump has no bitmaps.*convert with salvage/);
  await splitDump(image, [path('part1'), path('part2')], {});
  await expect(repairDump(path('part1'), into)).rejects.toThrow(/part of a split dump.*reassemble/);
  writeFileSync(path('text'), 'no dump');
  await expect(repairDump(path('text'), into)).rejects.toMatchObject({ code: 'NOT_A_DUMP' });
  await expect(repairDump(path('elf'), into, { salvage: true } as object)).rejects.toMatchObject({
    code: 'INVALID_OPTION',
  });
  await expect(repairDump(path('part1'), { file: path('part1') })).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  writeFileSync(path('damaged'), whole.get('zlib') ?? '');
  await expect(repairDump(path('damaged'), { file: path('damaged') })).rejects.toMatchObject({ code: 'SAME_FILE' });
});
