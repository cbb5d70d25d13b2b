import { openDump, providedImage, verifyDump, writeDump } from '@instar/vmcore';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { requireJudge } from '../support/judge.js';
import { Workdir } from '../support/workdir.js';
import { readWithCrash } from './judges/crash.js';
import { readWithKdumpfile } from './judges/kdumpfile.js';
import { convertWithMakedumpfile } from './judges/makedumpfile.js';
import { OS_RELEASE, X86_64 } from './readers/machines.js';
import { CRASH, LIBKDUMPFILE, MAKEDUMPFILE } from './tools.js';

const PAGE = 4096;
const DESCRIPTOR = 24;
const { memory } = X86_64;

let directory: Workdir;

beforeAll(async () => {
  directory = new Workdir();
  await writeDump(providedImage(X86_64.provider), { file: directory.file('elf') }, { format: 'elf' });
});

afterAll(() => {
  directory.remove();
});

interface Damaged {
  readonly file: string;
  /** Pages of the dump. */
  readonly pages: number;
  /** Physical address of the page whose data is noise. */
  readonly lost: bigint;
}

/** What makedumpfile packed, damaged: no bitmap of stored pages, no sense in two descriptors, noise for a page of data. */
function damaged(): Damaged {
  const [packed, file] = [directory.file('packed'), directory.file('damaged')];
  convertWithMakedumpfile(directory.file('elf'), packed, ['-c', '-d', '0']);
  const bytes = readFileSync(packed);
  // disk_dump_header.sub_hdr_size and .bitmap_blocks (makedumpfile's diskdump_mod.h).
  const [sub, bitmaps] = [bytes.readUInt32LE(432), bytes.readUInt32LE(436)];
  const [bitmap1, half] = [(1 + sub) * PAGE, (bitmaps / 2) * PAGE];
  const descriptors = bitmap1 + 2 * half;
  const frames: bigint[] = [];
  for (const { start, length } of memory.ranges) {
    for (let at = start; at < start + length; at += BigInt(PAGE)) frames.push(at);
  }
  const at = (page: number): number => descriptors + page * DESCRIPTOR;
  const isPacked = (page: number): boolean => bytes.readUInt32LE(at(page) + 12) !== 0;
  bytes.fill(0, bitmap1 + half, descriptors);
  const packedPages = [...frames.keys()].filter((page) => isPacked(page) && page > 100);
  const [first = 0, second = 0, third = 0] = [packedPages[0], packedPages[20], packedPages[40]];
  bytes.fill(0xff, at(first), at(first + 1));
  bytes.fill(0, at(second), at(second + 1));
  const data = Number(bytes.readBigUInt64LE(at(third)));
  bytes.fill(0x77, data, data + bytes.readUInt32LE(at(third) + 8));
  writeFileSync(file, bytes);
  return { file, pages: frames.length, lost: frames[third] ?? 0n };
}

describe('what makedumpfile wrote and was damaged', () => {
  it('is repaired, so that makedumpfile, crash and libkdumpfile read all but what is lost', async (context) => {
    for (const judge of [MAKEDUMPFILE, CRASH, LIBKDUMPFILE]) requireJudge(context, judge);
    const { file, pages, lost } = damaged();
    const [repaired, again] = [directory.file('repaired'), directory.file('again')];
    const told = instar('vmcore', 'repair', '--json', file, repaired).must().stdout;
    expect(JSON.parse(told)).toMatchObject({
      mended: [
        `the bitmap of stored pages had 0 pages of ${pages}: it is recomputed`,
        '2 page descriptors made no sense: recomputed',
      ],
      'lost-bytes': PAGE,
      lost: [{ start: Number(lost), length: PAGE, code: 'BAD_DUMP' }],
    });
    convertWithMakedumpfile(repaired, again, ['-l', '-d', '0']);
    const wanted = memory.ranges.flatMap(({ start, length }) => {
      const inside = lost >= start && lost < start + length;
      if (!inside) return [{ address: start, length: Number(length) }];
      const behind = lost + BigInt(PAGE);
      return [
        { address: start, length: Number(lost - start) },
        { address: behind, length: Number(start + length - behind) },
      ];
    });
    for (const result of [repaired, again]) {
      expect(readWithCrash(result)).toEqual({ osRelease: OS_RELEASE });
      const { bytes = [] } = readWithKdumpfile(result, wanted, []);
      expect(wanted.map((place, index) => bytes[index]?.equals(memory.bytes(place)))).toEqual(wanted.map(() => true));
      const dump = await openDump(result);
      expect((await verifyDump(dump)).problems).toEqual([]);
      await expect(dump.read(lost, 16)).rejects.toMatchObject({ code: 'PAGE_EXCLUDED' });
      await dump.close();
    }
  });

  it('is told in words, one line each', (context) => {
    requireJudge(context, MAKEDUMPFILE);
    const { file, pages, lost } = damaged();
    const { stdout, stderr } = instar('vmcore', 'repair', file, directory.file('repaired')).must();
    expect(stdout.split('\n')).toEqual([
      `the bitmap of stored pages had 0 pages of ${pages}: it is recomputed`,
      '2 page descriptors made no sense: recomputed',
      expect.stringMatching(/^[\d.]+ MiB of memory written, 4 KiB left out$/),
      '',
    ]);
    expect(stderr.split('\n')).toEqual([
      expect.stringContaining(`warning: 4096 bytes of memory from 0x${lost.toString(16)} on are left out: `),
      '',
    ]);
  });
});

it('refuses an ELF file with one line that says what to do instead', () => {
  const { status, stderr } = instar('vmcore', 'repair', directory.file('elf'), directory.file('none')).run();
  expect([status, stderr.split('\n')]).toEqual([1, [expect.stringMatching(/^instar: .*convert with salvage/), '']]);
  expect(existsSync(directory.file('none'))).toBe(false);
});
