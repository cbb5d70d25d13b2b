import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  filterImage,
  memorySource,
  openDump,
  openSource,
  providedImage,
  startDump,
  writeDump,
  type DumpState,
  type MemoryImage,
} from '../src/index.js';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'instar-write-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});
const file = (name: string): string => join(directory, name);

/** The file may be 2 GiB of holes. */
function firstBytes(name: string, length: number): Buffer {
  const fd = openSync(name, 'r');
  const bytes = Buffer.alloc(length);
  readSync(fd, bytes, 0, length, 0);
  closeSync(fd);
  return bytes;
}

const SIZE = 48n << 20n;

/** Memory of 48 MiB, each page filled with its own number; `read` may be slowed down or fail. */
function image(read: (address: bigint, target: Uint8Array) => Promise<void> | void = fill): MemoryImage {
  return providedImage({ machine: 'x86_64', ranges: [{ start: 0x1000n, length: SIZE }], read });
}

function fill(address: bigint, target: Uint8Array): void {
  for (let at = 0; at < target.length; at += 4096) {
    target.fill(Number(((address + BigInt(at)) / 4096n) % 251n), at, at + 4096);
  }
}

describe('the state of a dump', () => {
  it('goes from active to completed, with the bytes that there are and those that are written', async () => {
    const seen: DumpState[] = [];
    const job = startDump(
      image(),
      { file: file('d') },
      { format: 'kdump', compression: 'lzo', onProgress: (state) => seen.push(state) },
    );
    expect(job.state()).toMatchObject({ status: 'active', detached: true, hasFilter: false, writtenSize: 0n });
    const end = await job.completed;
    expect(end).toEqual(job.state());
    expect(end).toMatchObject({ status: 'completed', totalSize: SIZE, writtenSize: SIZE });
    expect(seen.length).toBeGreaterThan(0);
    const written = seen.map((state) => state.writtenSize);
    expect(written).toEqual([...written].sort((a, b) => Number(a - b)));
  });

  it('counts what a filter leaves', async () => {
    const filter = { begin: 0x1801n, length: 10_000n };
    const state = await writeDump(image(), { file: file('d') }, { format: 'elf', filter });
    expect(state).toMatchObject({
      hasFilter: true,
      begin: 0x1801n,
      length: 10_000n,
      totalSize: 10_000n,
      detached: false,
    });
  });

  it.each(['elf', 'kdump'] as const)(
    'is failed when memory cannot be read, and the old file stays (%s)',
    async (format) => {
      writeFileSync(file('d'), 'as it was');
      let reads = 0;
      const broken = image((address, target) => {
        reads += 1;
        if (reads > 5) throw new Error('the machine is gone');
        fill(address, target);
      });
      const job = startDump(broken, { file: file('d') }, { format });
      await expect(job.completed).rejects.toThrow('the machine is gone');
      expect(job.state().status).toBe('failed');
      expect(readFileSync(file('d'), 'utf8')).toBe('as it was');
      expect(readdirSync(directory)).toEqual(['d']);
    },
  );

  it.each(['elf', 'kdump'] as const)('is failed when it is cancelled, and nothing is left (%s)', async (format) => {
    const controller = new AbortController();
    const slow = image(async (address, target) => {
      if (address > SIZE / 2n) controller.abort();
      await new Promise(setImmediate);
      fill(address, target);
    });
    const job = startDump(slow, { file: file('d') }, { format, signal: controller.signal });
    await expect(job.completed).rejects.toMatchObject({ code: 'ABORTED' });
    expect(job.state().status).toBe('failed');
    expect(readdirSync(directory)).toEqual([]);
  });

  it('is failed when the disk takes no more', async () => {
    const full = new Writable({
      write(_chunk, _encoding, done) {
        done(Object.assign(new Error('no space'), { errno: -28, code: 'ENOSPC' }));
      },
    });
    const job = startDump(image(), { stream: full }, { format: 'elf' });
    await expect(job.completed).rejects.toMatchObject({ code: 'WRITE_FAILED' });
    await expect(job.completed).rejects.toThrow('no space left on device (ENOSPC)');
  });
});

describe('an output', () => {
  it('is private, whatever the umask says, and a file of holes where memory is zeros', async () => {
    const zeros = image((_address, target) => {
      target.fill(0);
    });
    await writeDump(zeros, { file: file('d') }, { format: 'elf' });
    const { mode, blocks, size } = statSync(file('d'));
    expect(mode & 0o777).toBe(0o600);
    expect(size).toBeGreaterThan(Number(SIZE));
    expect(blocks * 512).toBeLessThan(1 << 20);
  });

  it('is flattened in a stream, where a kdump cannot be written otherwise', async () => {
    const stream = new PassThrough();
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(Buffer.from(chunk)));
    await writeDump(image(), { stream }, { format: 'kdump' });
    const dump = await openSource(memorySource(Buffer.concat(chunks)));
    expect(dump.files[0]?.flattened).toBe(true);
    expect((await dump.read(0x3000n, 1))[0]).toBe(3);
    await expect(
      writeDump(image(), { stream: new PassThrough() }, { format: 'kdump', flattened: false }),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('is refused where its options contradict each other', async () => {
    const part = { startPfn: 0n, endPfn: 1n };
    for (const options of [
      { format: 'elf', compression: 'zlib' },
      { format: 'elf', part },
      { format: 'kdump', threads: 0 },
      { format: 'elf', filter: { begin: 0n, length: 0n } },
    ] as const) {
      await expect(writeDump(image(), { file: file('d') }, options)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
    const nothing = { begin: 1n << 40n, length: 4096n };
    await expect(filterImage(image(), nothing)).rejects.toMatchObject({ code: 'NOTHING_TO_DUMP' });
    const high = providedImage({ machine: 'i386', ranges: [{ start: 1n << 33n, length: 4096n }], read: fill });
    await expect(writeDump(high, { file: file('d') }, { format: 'elf' })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
    });
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('raw memory', () => {
  it('lies where it lay, with holes where there was none', async () => {
    await writeDump(image(), { file: file('raw') }, { format: 'raw' });
    const bytes = readFileSync(file('raw'));
    expect(bytes).toHaveLength(Number(SIZE) + 0x1000);
    expect(bytes.subarray(0, 0x1000).every((byte) => byte === 0)).toBe(true);
    const wanted = Buffer.alloc(Number(SIZE));
    fill(0x1000n, wanted);
    expect(bytes.subarray(0x1000).equals(wanted)).toBe(true);
  });

  it('begins where a filter does', async () => {
    const filter = { begin: 0x3000n, length: 0x2000n };
    await writeDump(image(), { file: file('raw') }, { format: 'raw', filter });
    expect([...new Set(readFileSync(file('raw')))]).toEqual([3, 4]);
  });

  it.each([
    ['split', { part: { startPfn: 0n, endPfn: 1n } }],
    ['flattened', { flattened: true }],
    ['compressed', { compression: 'zlib' }],
  ] as const)('is never %s', async (_how, options) => {
    await expect(writeDump(image(), { file: file('raw') }, { format: 'raw', ...options })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('page frame numbers beyond 32 bits', () => {
  it.each([false, true])('are written and read (flattened: %s)', async (flattened) => {
    const start = 1n << 45n;
    const far = providedImage({
      machine: 'x86_64',
      ranges: [
        { start: 0x1000n, length: 4096n },
        { start, length: 3n * 4096n },
      ],
      read: fill,
    });
    await writeDump(far, { file: file('far') }, { format: 'kdump', flattened });
    // Both bitmaps are holes but for their ends, or records that are not there.
    expect(statSync(file('far')).blocks * 512).toBeLessThan(1 << 20);
    const dump = await openDump(file('far'));
    expect(dump.addressLimit).toBe(start + 3n * 4096n);
    expect((await dump.read(start + 4096n, 1))[0]).toBe(Number((start / 4096n + 1n) % 251n));
    await expect(dump.read(1n << 44n, 1)).rejects.toMatchObject({ code: 'NO_MEMORY' });
    await dump.close();
    if (flattened) return;
    const header = firstBytes(file('far'), 8192);
    // disk_dump_header.max_mapnr is clamped, kdump_sub_header.max_mapnr_64 is not.
    expect(header.readUInt32LE(440)).toBe(0xffff_ffff);
    expect(header.readBigUInt64LE(4096 + 96)).toBe(start / 4096n + 3n);
  });
});
