import {
  excludePages,
  openDump,
  VmcoreError,
  writeDump,
  type Dump,
  type MemoryImage,
  type PageKind,
} from '@instar/vmcore';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { program } from '../support/command.js';
import { requireJudge } from '../support/judge.js';
import { Random } from '../support/random.js';
import { workdir } from '../support/workdir.js';
import { DIRECT } from './kernel-memory.js';
import { PAGE_PLACES, PAGES, pagesKernel, type PageVariant } from './page-memory.js';
import { MAKEDUMPFILE } from './tools.js';

/** Changed dumps; more with the environment's INSTAR_KERNEL_CASES. */
const CASES = Number(process.env['INSTAR_KERNEL_CASES'] ?? 300);

/** Flags of Linux 3.10, 4.19 and 6.12 (include/linux/page-flags.h of each, with the configuration of distributions). */
const VARIANTS: readonly PageVariant[] = [
  {
    name: '3.10, flat memory',
    release: '3.10.0-test',
    memory: 'flat',
    flags: { lru: 5, private: 11, swapCache: 16, slab: 7, hwpoison: 23, head: 14 },
    states: { buddy: -128 },
    compound: 'list',
    judged: true,
  },
  {
    name: '4.19, sparse memory with a table of roots',
    release: '4.19.0-test',
    memory: 'extreme',
    flags: { lru: 5, private: 12, swapCache: 10, swapBacked: 18, slab: 8, hwpoison: 22, head: 15 },
    states: { buddy: -129 },
    compound: 'members',
    judged: true,
  },
  {
    name: '5.4, a pointer to the table of roots',
    release: '5.4.0-test',
    memory: 'pointer to extreme',
    flags: { lru: 4, private: 13, swapCache: 10, swapBacked: 19, slab: 9, hwpoison: 23, head: 16 },
    states: { buddy: -129, offline: -257 },
    compound: 'members',
    judged: true,
  },
  {
    name: '5.10, sections in one array',
    release: '5.10.0-test',
    memory: 'static',
    flags: { lru: 4, private: 13, swapCache: 10, swapBacked: 19, slab: 9, hwpoison: 23, head: 16 },
    states: { buddy: -129, offline: -257 },
    compound: 'members',
    judged: true,
  },
  {
    name: '6.10, types of pages as bits',
    release: '6.10.0-test',
    memory: 'extreme',
    flags: { lru: 5, private: 14, swapCache: 11, swapBacked: 18, slab: 30, hwpoison: 22, head: 6 },
    states: { buddy: ~0x80, slab: ~0x1000, offline: ~0x100, hugetlb: ~0x800 },
    compound: 'flags',
    judged: false,
  },
  {
    name: '6.12, types of pages as numbers',
    release: '6.12.0-test',
    memory: 'extreme',
    flags: { lru: 5, private: 14, swapCache: 11, swapBacked: 17, slab: 30, hwpoison: 21, head: 6 },
    states: { buddy: 0xf0 << 24, slab: 0xf5 << 24, offline: 0xf1 << 24, hugetlb: 0xf4 << 24 },
    compound: 'flags',
    judged: false,
  },
];

async function excludedOf(dump: Dump | MemoryImage): Promise<number[]> {
  const pages: number[] = [];
  for await (const { start, length, kind } of dump.extents()) {
    for (let at = start; kind === 'excluded' && at < start + length; at += 4096n) pages.push(Number(at / 4096n));
  }
  return pages;
}

/** Pages of kinds, in ascending order. */
function pagesOf({ states }: PageVariant, ...kinds: readonly string[]): number[] {
  const known = kinds.filter((kind) => kind !== 'offline' || states.offline !== undefined);
  return known.flatMap((kind) => PAGES[kind] ?? []).sort((a, b) => a - b);
}

describe.each(VARIANTS)('pages of a kernel $name', (variant) => {
  it.each([
    [['cache'], ['cache']],
    [['private'], ['cache', 'private']],
    [['user'], ['user']],
    [['free'], ['free']],
    [
      ['cache', 'private', 'user', 'free'],
      ['cache', 'private', 'user', 'free'],
    ],
  ] as const satisfies readonly (readonly [readonly PageKind[], readonly string[]])[])(
    'are told by their use: %j',
    async (kinds, uses) => {
      const directory = workdir();
      await writeDump(pagesKernel(variant), { file: directory.file('dump') }, { format: 'elf' });
      const dump = await openDump(directory.file('dump'));
      const { image, unknown, left } = await excludePages(dump, kinds);
      const wanted = pagesOf(variant, ...uses, 'hwpoison', 'offline');
      expect(await excludedOf(image)).toEqual(wanted);
      expect(Object.values(left).reduce((sum, count) => sum + count, 0)).toBe(wanted.length);
      expect(unknown).toBe(0);
      await dump.close();
    },
  );
});

describe.each(VARIANTS.filter(({ judged }) => judged))('pages of a kernel $name', (variant) => {
  it.for([2, 4, 8, 16, 30])('are those that makedumpfile -d %i leaves out', async (level, context) => {
    requireJudge(context, MAKEDUMPFILE);
    const directory = workdir();
    await writeDump(pagesKernel(variant), { file: directory.file('dump') }, { format: 'elf' });
    program('makedumpfile', '-c', '-d', String(level), directory.file('dump'), directory.file('judged')).must();
    const dump = await openDump(directory.file('dump'));
    const judgedDump = await openDump(directory.file('judged'));
    const kinds = (['zero', 'cache', 'private', 'user', 'free'] as const).filter(
      (_kind, bit) => ((level >> bit) & 1) !== 0,
    );
    const { image } = await excludePages(dump, kinds);
    expect(await excludedOf(image)).toEqual(await excludedOf(judgedDump));
    expect(image.dumpLevel).toBe(judgedDump.dumpLevel);
    await dump.close();
    await judgedDump.close();
  });
});

describe('page structures of a stranger', () => {
  it('come to an image or to a typed error, in little time', async () => {
    const random = new Random(90_210);
    const directory = workdir();
    const [, variant] = VARIANTS;
    if (variant === undefined) throw new RangeError('there are variants');
    const image = pagesKernel(variant);
    await writeDump(image, { file: directory.file('dump') }, { format: 'elf' });
    const bytes = readFileSync(directory.file('dump'));
    const memoryAt = bytes.length - Number(image.addressLimit);
    const ends = new Map<string, number>();
    const started = performance.now();
    for (let round = 0; round < CASES; round += 1) {
      const changed: (readonly [number, bigint])[] = [];
      for (let change = 1 + random.below(4); change > 0; change -= 1) {
        const [start, length] = random.pick(PAGE_PLACES);
        const at = memoryAt + start + 8 * random.below(length / 8);
        changed.push([at, bytes.readBigUInt64LE(at)]);
        const any = random.bytes(8).readBigUInt64LE();
        const evil = [
          0n,
          ~0n & ((1n << 64n) - 1n),
          any,
          any & 0xffffn,
          0xffff_ff7f_0000_0000n,
          DIRECT,
          DIRECT | 3n,
        ] as const;
        bytes.writeBigUInt64LE(random.pick(evil), at);
      }
      const dump = await openDump(bytes);
      let end = 'read';
      try {
        const { pages, left } = await excludePages(dump, ['cache', 'private', 'user', 'free']);
        const sum = Object.values(left).reduce((total, count) => total + count, 0);
        // Nothing is left out twice, however large a page says that it is.
        expect(sum).toBeLessThanOrEqual(pages);
      } catch (error) {
        if (!(error instanceof VmcoreError)) throw error;
        end = error.code;
      }
      ends.set(end, (ends.get(end) ?? 0) + 1);
      for (const [at, value] of changed.reverse()) bytes.writeBigUInt64LE(value, at);
    }
    expect((performance.now() - started) / CASES).toBeLessThan(200);
    expect(ends.get('read') ?? 0).toBeGreaterThan(CASES / 50);
    expect(CASES - (ends.get('read') ?? 0)).toBeGreaterThan(0);
  });
});
