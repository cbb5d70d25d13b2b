import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { bounded } from '../support/refusal.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { withDumps } from './dump-files.js';

// Dumps that are large, or say so. What an instar may take for them is bounded: see tests/support/refusal.ts.

const PAGE = 4096;
/** Places in kdump's headers with 64-bit words (makedumpfile, diskdump_mod.h). */
const [BITMAP_BLOCKS, MAX_MAPNR] = [428 + 8, PAGE + 96];

/** The headers of a real dump, before a file with holes. */
async function headers(directory: Workdir): Promise<Buffer> {
  await withDumps(directory);
  return directory.read('dump.kdump').subarray(0, 2 * PAGE);
}

/** A kdump whose bitmaps speak of so many pages; all of it is a hole. */
async function emptyBitmaps(directory: Workdir, pages: bigint): Promise<void> {
  const start = await headers(directory);
  const perBitmap = (pages + 8n * 4096n - 1n) / (8n * 4096n);
  start.writeUInt32LE(Number(perBitmap * 2n), BITMAP_BLOCKS);
  start.writeBigUInt64LE(pages, MAX_MAPNR);
  directory.write('large', start);
  const fd = openSync(directory.file('large'), 'r+');
  ftruncateSync(fd, Number((2n + 2n * perBitmap) * 4096n));
  closeSync(fd);
}

function records(directory: Workdir, count: number, offsetOf: (index: number) => number): void {
  const header = Buffer.alloc(PAGE);
  header.write('makedumpfile\0');
  header.writeBigInt64BE(1n, 16);
  header.writeBigInt64BE(1n, 24);
  const fd = openSync(directory.file('large'), 'w');
  writeSync(fd, header);
  const batch = Buffer.alloc(17 * 65536);
  for (let done = 0; done < count; done += 65536) {
    for (let index = 0; index < 65536; index += 1) {
      batch.writeBigInt64BE(BigInt(offsetOf(done + index)), index * 17);
      batch.writeBigInt64BE(1n, index * 17 + 8);
    }
    writeSync(fd, batch);
  }
  writeSync(fd, Buffer.alloc(16, 0xff));
  closeSync(fd);
}

describe('a dump that is large, or says so, takes bounded time and memory', () => {
  it('bitmaps of 64 TiB of memory', async () => {
    const directory = workdir();
    await emptyBitmaps(directory, 1n << 34n);
    const told = bounded(instar('vmcore', 'info', 'large'), directory);
    expect(told.stdout).toMatch(/memory: +0 B/);
  });

  it('bitmaps of more than that', async () => {
    const directory = workdir();
    await emptyBitmaps(directory, (1n << 34n) + 1n);
    const refused = bounded(instar('vmcore', 'info', 'large'), directory);
    expect(refused.stderr).toMatch(/max_mapnr: the bitmaps are too large/);
  });

  it('half a million segments', async () => {
    const directory = await withDumps(workdir());
    const elf = readFileSync(directory.file('dump.elf')).subarray(0, 64);
    const count = (1 << 19) - 1;
    elf.writeUInt16LE(0xffff, 56);
    elf.writeBigUInt64LE(64n, 32);
    elf.writeBigUInt64LE(BigInt(64 + 56 * count), 40);
    const table = Buffer.alloc(56 * count + 64 + 4096);
    for (let index = 0; index < count; index += 1) {
      const at = 56 * index;
      table.writeUInt32LE(1, at);
      table.writeBigUInt64LE(BigInt(64 + table.length - 4096), at + 8);
      // Every other one lies inside the one before it.
      table.writeBigUInt64LE(BigInt(index >> 1) * 0x10_0000n, at + 24);
      table.writeBigUInt64LE(index === 0 ? 4096n : 0n, at + 32);
      table.writeBigUInt64LE(4096n, at + 40);
    }
    table.writeUInt32LE(count, 56 * count + 44);
    directory.write('large', Buffer.concat([elf, table]));
    const told = bounded(instar('vmcore', 'info', 'large'), directory);
    expect(told.stdout).toMatch(/memory: +4 KiB/);
    expect(told.stdout).toMatch(/and \d+ more/);
  });

  it('records of one byte each, in reverse', () => {
    const directory = workdir();
    records(directory, 16 * 65536, (index) => 0x1000_0000 - 2 * index);
    const refused = bounded(instar('vmcore', 'info', 'large'), directory);
    expect(refused.stderr).toMatch(/is not a guest memory dump/);
  });

  it('records of one byte that all overlap', () => {
    const directory = workdir();
    records(directory, 16 * 65536, () => 5);
    const refused = bounded(instar('vmcore', 'info', 'large'), directory);
    expect(refused.stderr).toMatch(/is not a guest memory dump/);
  });

  it('more records than are indexed', () => {
    const directory = workdir();
    records(directory, 33 * 65536, (index) => 2 * index);
    const refused = bounded(instar('vmcore', 'info', 'large'), directory);
    expect(refused.stderr).toMatch(/too many records/);
  });

  it('notes that take 7 MiB, all of them empty', async () => {
    const directory = workdir();
    const start = await headers(directory);
    const notes = Buffer.alloc(12 * 600_000);
    for (let at = 0; at < notes.length; at += 12) notes.writeUInt32LE(1, at + 8);
    start.writeBigUInt64LE(1n << 20n, PAGE + 48);
    start.writeBigUInt64LE(BigInt(notes.length), PAGE + 56);
    directory.write('large', Buffer.concat([start, Buffer.alloc((1 << 20) - start.length), notes]));
    const refused = bounded(instar('vmcore', 'notes', 'large'), directory);
    expect(refused.stderr).toMatch(/too many notes/);
  });

  it.each(['info', 'notes'])('notes that take 8 MiB, registers of CPUs all of them (%s --json)', async (command) => {
    const directory = workdir();
    const start = await headers(directory);
    const size = 12 + 8 + 336;
    const notes = Buffer.alloc(8 << 20);
    for (let at = 0; at + size <= notes.length; at += size) {
      notes.writeUInt32LE(5, at);
      notes.writeUInt32LE(336, at + 4);
      notes.writeUInt32LE(1, at + 8);
      notes.write('CORE', at + 12);
      notes.fill(0xfe, at + 20, at + size);
    }
    start.writeBigUInt64LE(1n << 20n, PAGE + 48);
    start.writeBigUInt64LE(BigInt(notes.length), PAGE + 56);
    directory.write('large', Buffer.concat([start, Buffer.alloc((1 << 20) - start.length), notes]));
    const told = bounded(instar('vmcore', command, '--json', 'large'), directory);
    expect(told.stdout).toContain('"cpu-count": 23563');
  });

  it('a gigabyte of pages that all share one page of a few bytes', async () => {
    const directory = workdir();
    const start = await headers(directory);
    const pages = 1 << 18;
    const perBitmap = pages / 8 / PAGE;
    start.writeUInt32LE(perBitmap * 2, BITMAP_BLOCKS);
    start.writeBigUInt64LE(BigInt(pages), MAX_MAPNR);
    const dataAt = (2 + 2 * perBitmap) * PAGE + 24 * pages;
    const { deflateSync } = await import('node:zlib');
    const data = deflateSync(Buffer.alloc(PAGE, 'a'));
    const descriptors = Buffer.alloc(24 * pages);
    for (let index = 0; index < pages; index += 1) {
      descriptors.writeBigUInt64LE(BigInt(dataAt), index * 24);
      descriptors.writeUInt32LE(data.length, index * 24 + 8);
      descriptors.writeUInt32LE(1, index * 24 + 12);
    }
    const bitmaps = Buffer.alloc(2 * perBitmap * PAGE, 0xff);
    directory.write('large', Buffer.concat([start, bitmaps, descriptors, data]));
    const told = bounded(instar('vmcore', 'verify', 'large'), directory);
    expect(told.stdout).toBe('1 GiB of memory can be read\n');
  });
});
