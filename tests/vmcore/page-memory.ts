import type { MemoryImage } from '@instar/vmcore';
import { common, directOf, hexDigits, imageOf, KernelMemory, LOADED, SIZE, virtualOf } from './kernel-memory.js';

/** Where the structures of all pages lie, and the table of sections. */
const [STRUCTURES, SECTIONS] = [0x1d0_0000, LOADED + 0x31_0000];
/** Bytes of struct page. */
const PAGE = 64;
/** Pages of a section of x86-64. */
const SECTION = 1 << 15;

/** Numbers of flags, of one release each: bits move with nearly all of them. */
interface Flags {
  readonly lru: number;
  readonly private: number;
  readonly swapCache: number;
  readonly swapBacked?: number;
  readonly slab: number;
  readonly hwpoison: number;
  readonly head: number;
}

/** What a kernel of some release has where. */
export interface PageVariant {
  readonly name: string;
  readonly release: string;
  readonly memory: 'flat' | 'extreme' | 'pointer to extreme' | 'static';
  readonly flags: Flags;
  /** Words of `_mapcount`, as the kernel stores them. */
  readonly states: {
    readonly buddy: number;
    readonly slab?: number;
    readonly offline?: number;
    readonly hugetlb?: number;
  };
  /** How a compound page says its order and that it is of hugetlbfs. */
  readonly compound: 'list' | 'members' | 'flags';
  /** Whether Debian's makedumpfile knows the release. */
  readonly judged: boolean;
}

/** Offsets in struct page; of those in VMCOREINFO makedumpfile needs each. */
const AT = { flags: 0, lru: 8, mapping: 24, private: 40, mapcount: 48, refcount: 52 } as const;
const FREE_HUGE_PAGE = 0x55_0000;
const HUGETLB_DTOR = 2;

/** Kinds of pages, and which are of each. */
export const PAGES: Readonly<Record<string, readonly number[]>> = {
  free: [...range(64, 8), 77],
  cache: [100, 110, ...range(144, 4)],
  private: [101],
  user: [102, ...range(128, 4), 209, ...range(512, 512)],
  hwpoison: [104],
  offline: [105],
};

function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

/** Where structures of pages and of sections lie: what a stranger would change. */
export const PAGE_PLACES: readonly [readonly [number, number], ...(readonly [number, number])[]] = [
  [STRUCTURES + 64 * PAGE, 64 * PAGE],
  [STRUCTURES + 128 * PAGE, 4 * PAGE],
  [STRUCTURES + 512 * PAGE, 2 * PAGE],
  [SECTIONS, 16],
  [SECTIONS + 0x1_0000, 32],
];

/** Memory of a kernel whose pages have the uses above. */
export function pagesKernel({ release, memory: model, flags, states, compound }: PageVariant): MemoryImage {
  const memory = new KernelMemory(false);
  const { bytes } = memory;
  const at = (page: number): number => STRUCTURES + page * PAGE;
  const set = (page: number, bits: readonly (number | undefined)[]): void => {
    const value = bits.reduce<bigint>((sum, bit) => (bit === undefined ? sum : sum | (1n << BigInt(bit))), 0n);
    // The node and the zone stand in the highest bits.
    bytes.writeBigUInt64LE(value | (0x2n << 62n), at(page) + AT.flags);
  };
  for (let page = 0; page < SIZE / 4096; page += 1) bytes.writeUInt32LE(0xffff_ffff, at(page) + AT.mapcount);
  const state = (page: number, word: number): number => bytes.writeUInt32LE(word >>> 0, at(page) + AT.mapcount);
  const anonymous = (page: number): number => bytes.writeUInt8(1, at(page) + AT.mapping);
  const head = (page: number, order: number, isHuge: boolean): void => {
    const second = at(page + 1);
    if (compound === 'list') {
      bytes.writeBigUInt64LE(BigInt(order), second + AT.lru + 8);
      if (isHuge) bytes.writeBigUInt64LE(virtualOf(LOADED + FREE_HUGE_PAGE), second + AT.lru);
    } else if (compound === 'members') {
      bytes.writeUInt8(isHuge ? HUGETLB_DTOR : 1, second + AT.lru + 8);
      bytes.writeUInt8(order, second + AT.lru + 9);
    } else {
      bytes.writeUInt8(order, second + AT.flags);
      if (isHuge) state(page, states.hugetlb ?? 0);
    }
    if (compound === 'list') return;
    for (let tail = 1; tail < 2 ** order; tail += 1) {
      bytes.writeBigUInt64LE(directOf(at(page)) | 1n, at(page + tail) + AT.lru);
    }
  };

  for (const [page, order] of [[64, 3] as const, [77, 0] as const]) {
    state(page, states.buddy);
    bytes.writeUInt8(order, at(page) + AT.private);
  }
  set(100, [flags.lru]);
  set(101, [flags.lru, flags.private]);
  set(102, [flags.lru]);
  anonymous(102);
  set(103, states.slab === undefined ? [flags.slab] : []);
  if (states.slab !== undefined) {
    state(103, states.slab);
    // A slab's own word at the place of `mapping` may be odd, which makedumpfile 1.7.2 takes for a process's page.
    anonymous(103);
  }
  set(104, [flags.hwpoison]);
  if (states.offline !== undefined) state(105, states.offline);
  // In the swap cache only beside PG_swapbacked, where there is such a flag.
  set(110, [flags.swapCache, flags.swapBacked]);
  if (flags.swapBacked !== undefined) set(111, [flags.swapCache]);
  // A huge page of a process, one of a file, and one of hugetlbfs.
  set(128, [flags.lru, flags.head]);
  anonymous(128);
  head(128, 2, false);
  set(144, [flags.lru, flags.head]);
  head(144, 2, false);
  set(512, [flags.head]);
  head(512, 9, true);
  // A compound page of the kernel, and one whose order cannot be.
  set(200, [flags.head]);
  head(200, 3, false);
  set(209, [flags.lru, flags.head]);
  anonymous(209);
  head(209, 5, false);

  const info = common(memory, false, release).filter((line) => !/mem_map|OFFSET\(page/.test(line));
  const lines = [
    `OFFSET(page.flags)=${AT.flags}`,
    `OFFSET(page._refcount)=${AT.refcount}`,
    `OFFSET(page.mapping)=${AT.mapping}`,
    `OFFSET(page.lru)=${AT.lru}`,
    `OFFSET(page._mapcount)=${AT.mapcount}`,
    `OFFSET(page.private)=${AT.private}`,
    'OFFSET(list_head.next)=0',
    'OFFSET(list_head.prev)=8',
    'LENGTH(zone.free_area)=11',
    `NUMBER(PG_lru)=${flags.lru}`,
    `NUMBER(PG_private)=${flags.private}`,
    `NUMBER(PG_swapcache)=${flags.swapCache}`,
    `NUMBER(PG_slab)=${flags.slab}`,
    `NUMBER(PG_hwpoison)=${flags.hwpoison}`,
    `NUMBER(PG_head_mask)=${2 ** flags.head}`,
    `NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=${states.buddy | 0}`,
    ...(flags.swapBacked === undefined ? [] : [`NUMBER(PG_swapbacked)=${flags.swapBacked}`]),
    ...(states.slab === undefined ? [] : [`NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=${states.slab | 0}`]),
    ...(states.offline === undefined ? [] : [`NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=${states.offline | 0}`]),
    ...(states.hugetlb === undefined ? [] : [`NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=${states.hugetlb | 0}`]),
    ...(compound === 'list' ? [`SYMBOL(free_huge_page)=${hexDigits(virtualOf(LOADED + FREE_HUGE_PAGE))}`] : []),
    ...(compound === 'members'
      ? [
          `OFFSET(page.compound_dtor)=${AT.lru + 8}`,
          `OFFSET(page.compound_order)=${AT.lru + 9}`,
          `NUMBER(HUGETLB_PAGE_DTOR)=${HUGETLB_DTOR}`,
        ]
      : []),
    ...(compound === 'list' ? [] : [`OFFSET(page.compound_head)=${AT.lru}`]),
  ];
  const map = directOf(STRUCTURES);
  if (model === 'flat') {
    bytes.writeBigUInt64LE(map, LOADED + 0x30_2000);
    return imageOf(memory, [...info, ...lines, `SYMBOL(mem_map)=${hexDigits(virtualOf(LOADED + 0x30_2000))}`]);
  }
  // Sections: a word with the structures' address and marks, and one that nobody needs. The first one is the only one.
  const [table, root] = [SECTIONS, SECTIONS + 0x1_0000];
  const section = model === 'static' ? table : root;
  if (model !== 'static') bytes.writeBigUInt64LE(directOf(root), table);
  bytes.writeBigUInt64LE(map | 3n, section);
  if (SIZE / 4096 > SECTION) throw new RangeError('memory has more than one section');
  bytes.writeBigUInt64LE(virtualOf(table), SECTIONS + 0x2_0000);
  const symbol = virtualOf(model === 'pointer to extreme' ? SECTIONS + 0x2_0000 : table);
  return imageOf(memory, [
    ...info,
    ...lines,
    `SYMBOL(mem_section)=${hexDigits(symbol)}`,
    `LENGTH(mem_section)=${model === 'static' ? 2 ** (46 - 27) : 2048}`,
    'SIZE(mem_section)=16',
    'OFFSET(mem_section.section_mem_map)=0',
    'NUMBER(SECTION_SIZE_BITS)=27',
    'NUMBER(MAX_PHYSMEM_BITS)=46',
  ]);
}
