import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, describe, expect, it } from 'vitest';
import {
  memorySource,
  openDump,
  openSource,
  openStream,
  providedImage,
  splitDump,
  verifyDump,
  writeDump,
  type Dump,
  type MemoryImage,
  type WriteOptions,
} from '../src/index.js';
import { DiskDumpHeader } from '../src/structures/diskdump.js';
import { dumpTarget, structureCodec } from '../src/structures/targets.js';
import { Random } from '../../../tests/support/random.js';

const directory = mkdtempSync(join(tmpdir(), 'instar-damaged-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const PAGE = 4096;
const PAGES = 600;
const memory = new Random(77).bytes(PAGES * PAGE);
const headerCodec = structureCodec(DiskDumpHeader, dumpTarget('little', 64));

function machine(): MemoryImage {
  return providedImage({
    machine: 'x86_64',
    ranges: [{ start: 0n, length: BigInt(memory.length) }],
    read: (address, target) => {
      memory.copy(target, 0, Number(address));
    },
    cpus: [{ registers: { rip: 0xffff_ffff_8123_4567n } }],
    vmcoreinfo: 'OSRELEASE=6.1.0\nPAGESIZE=4096\n',
  });
}

async function written(image: MemoryImage, options: WriteOptions): Promise<Buffer> {
  const file = join(directory, 'dump');
  await writeDump(image, { file }, options);
  return readFileSync(file);
}

const opened = async (bytes: Uint8Array): Promise<Dump> => openSource(memorySource(bytes, 'dump'));

function descriptorsAt(bytes: Buffer): number {
  const { sub_hdr_size: sub, bitmap_blocks: bitmaps } = headerCodec.decode(bytes);
  return (1 + sub + bitmaps) * PAGE;
}

/** Bytes of memory that can be read, each page by itself; all of it must be right. */
async function readable(dump: Dump): Promise<number> {
  let pages = 0;
  for (let page = 0; page < PAGES; page += 1) {
    const bytes = await dump.read(BigInt(page * PAGE), PAGE).catch(() => undefined);
    if (bytes === undefined) continue;
    expect(memory.subarray(page * PAGE, (page + 1) * PAGE).equals(bytes)).toBe(true);
    pages += 1;
  }
  return pages;
}

const KINDS = [
  ['an ELF file', { format: 'elf' }],
  ['a kdump', { format: 'kdump', compression: 'none' }],
  ['a flattened kdump', { format: 'kdump', compression: 'none', flattened: true }],
  ['a flattened ELF file', { format: 'elf', flattened: true }],
] as const satisfies readonly (readonly [string, WriteOptions])[];

describe('a copy that broke off', () => {
  it.each(KINDS)('of %s says so, and what is there is read and salvaged', async (_kind, options) => {
    const whole = await written(machine(), options);
    expect(await (await opened(whole)).cutOff()).toBeUndefined();
    for (const share of [0.3, 0.6, 0.999]) {
      const dump = await opened(whole.subarray(0, Math.floor(whole.length * share)));
      const cut = await dump.cutOff();
      expect(cut?.found).toBe(BigInt(Math.floor(whole.length * share)));
      const left = await readable(dump);
      // All memory is noise of a page each: what is there follows from the file's length.
      expect(Math.abs(left - PAGES * share)).toBeLessThan(25);
      await expect(written(dump, { format: 'kdump' })).rejects.toMatchObject({ code: 'TRUNCATED' });
      for (const format of ['elf', 'kdump'] as const) {
        const warnings: string[] = [];
        const onWarning = (warning: string): void => void warnings.push(warning);
        const salvaged = await opened(await written(dump, { format, salvage: true, onWarning }));
        expect(await readable(salvaged)).toBe(left);
        await expect(salvaged.read(BigInt((PAGES - 1) * PAGE), 16)).rejects.toMatchObject({ code: 'PAGE_EXCLUDED' });
        expect(warnings).toEqual([expect.stringMatching(/cannot be read and are left out/)]);
      }
    }
  });

  it('is told where only the end mark of a stream is missing', async () => {
    const whole = await written(machine(), { format: 'kdump', flattened: true });
    const dump = await opened(whole.subarray(0, whole.length - 16));
    expect(await dump.cutOff()).toMatchObject({ found: BigInt(whole.length - 16), missing: 0n });
    expect(await readable(dump)).toBe(PAGES);
  });

  it('tells how much of an ELF file and of a kdump is missing', async () => {
    for (const format of ['elf', 'kdump'] as const) {
      const whole = await written(machine(), { format, compression: 'none' });
      const dump = await opened(whole.subarray(0, whole.length - 10 * PAGE));
      expect(await dump.cutOff()).toEqual({
        file: 'dump',
        found: BigInt(whole.length - 10 * PAGE),
        expected: BigInt(whole.length),
        missing: BigInt(10 * PAGE),
      });
    }
  });
});

describe('a dump that makedumpfile could not finish', () => {
  it('is converted without the pages that have no descriptor', async () => {
    const bytes = await written(machine(), { format: 'kdump', compression: 'none' });
    headerCodec.encodeInto(bytes, { ...headerCodec.decode(bytes), status: 8 });
    bytes.fill(0, descriptorsAt(bytes) + 24 * 500, descriptorsAt(bytes) + 24 * PAGES);
    const warnings: string[] = [];
    const dump = await opened(bytes);
    const output = await written(dump, { format: 'kdump', onWarning: (warning) => void warnings.push(warning) });
    expect(await readable(await opened(output))).toBe(500);
    expect(warnings).toEqual([`dump: ${100 * PAGE} bytes of memory cannot be read and are left out`]);
    // What is damaged besides is no reason to leave more out without being asked.
    bytes.writeUInt32LE(5000, descriptorsAt(bytes) + 24 * 7 + 8);
    await expect(written(dump, { format: 'kdump' })).rejects.toMatchObject({ code: 'BAD_DUMP' });
    expect(await readable(await opened(await written(dump, { format: 'elf', salvage: true })))).toBe(499);
  });
});

describe('verify', () => {
  it('sums equal causes up, and names each page to who asks', async () => {
    const bytes = await written(machine(), { format: 'kdump', compression: 'none' });
    for (let page = 100; page < 350; page += 1) bytes.writeUInt32LE(5000 + page, descriptorsAt(bytes) + 24 * page + 8);
    bytes.writeBigUInt64LE(1n << 44n, descriptorsAt(bytes) + 24 * 400);
    let named = 0;
    const report = await verifyDump(await opened(bytes), {
      onProblem: () => {
        named += 1;
      },
    });
    expect(report.causes.map(({ first, pages }) => [first.code, pages])).toEqual([
      ['BAD_DUMP', 250n],
      ['TRUNCATED', 1n],
    ]);
    expect([named, report.problems.length]).toEqual([251, 100]);
  });
});

describe('a dump from a stream', () => {
  async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
  }
  it.each(KINDS)('is opened whatever its pieces are: %s', async (_kind, options) => {
    const whole = await written(machine(), options);
    for (const size of [7001, whole.length]) {
      const dump = await openStream(pieces(whole, size), { directory });
      expect(await readable(dump)).toBe(PAGES);
      await dump.close();
    }
    const ended = openStream(Readable.from([whole.subarray(0, 5)]), { directory });
    await expect(ended).rejects.toMatchObject({ name: 'VmcoreError' });
  });

  it('ends when it is cancelled while nothing comes', async () => {
    const controller = new AbortController();
    const silent = new Readable({ read: () => undefined });
    const opening = openStream(silent, { directory, signal: controller.signal });
    setTimeout(() => {
      controller.abort();
    }, 50);
    await expect(opening).rejects.toMatchObject({ code: 'ABORTED' });
  });
});

describe('several parts', () => {
  it('are read as one, though notes are kept of the first alone', async () => {
    const many = 5000;
    const image = providedImage({
      machine: 'x86_64',
      ranges: [{ start: 0n, length: BigInt(many * PAGE) }],
      read: (address, target) => {
        const first = Number(address);
        for (let at = 0; at < target.length; at += 1) target[at] = Math.floor((first + at) / PAGE) % 251;
      },
      vmcoreinfo: 'OSRELEASE=6.1.0\n',
      cpus: [{ registers: { rip: 0x1234n } }],
    });
    const files = [0, 1, 2, 3].map((index) => join(directory, `part${index}`));
    await splitDump(image, files, {});
    const dump = await openDump([...files].reverse());
    expect([dump.cpus[0]?.programCounter, dump.vmcoreinfo?.osRelease]).toEqual([0x1234n, '6.1.0']);
    for (const page of [4999, 0, 2500, 1023, 1024, 3000, 1]) {
      expect((await dump.read(BigInt(page * PAGE), 1))[0]).toBe(page % 251);
    }
    await dump.close();
  });

  it('are refused before all are opened when one is no part', async () => {
    const file = join(directory, 'elf');
    writeFileSync(file, await written(machine(), { format: 'elf' }));
    await expect(openDump([file, join(directory, 'nothing')])).rejects.toMatchObject({ code: 'BAD_DUMP' });
  });
});

describe('a file that is something else', () => {
  it.each([
    ['zstd', [0x28, 0xb5, 0x2f, 0xfd], /is packed by zstd .*zstd -d/],
    ['gzip', [0x1f, 0x8b, 8, 0], /is packed by gzip/],
    ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], /is packed by xz/],
    ['LiME', [0x45, 0x4d, 0x69, 0x4c], /LiME/],
    ['qcow2', [0x51, 0x46, 0x49, 0xfb], /disk image/],
  ])('is named with what to do: %s', async (_name, start, message) => {
    const bytes = Buffer.concat([Buffer.from(start), Buffer.alloc(1000)]);
    await expect(opened(bytes)).rejects.toMatchObject({ code: 'NOT_A_DUMP' });
    await expect(opened(bytes)).rejects.toThrow(message);
  });
});
