import { hex, VmcoreError } from '../errors.js';
import type { VmcoreInfo } from '../notes/vmcoreinfo.js';
import type { Dump } from '../read/dump.js';

/** What a page is used for, as far as it decides whether a dump may leave it out. */
export type PageUse =
  | 'cache'
  | 'cache-private'
  | 'user'
  | 'free'
  /** Memory that the machine reported as broken. */
  | 'hwpoison'
  /** Memory that a hypervisor took back. */
  | 'offline'
  | 'other';

/** What is known of the pages from one on. */
export interface PageRun {
  readonly use: PageUse;
  /** Pages of which this is true. */
  readonly count: number;
}

/** Pages whose structures are looked at together: the head of a compound page is never the last one of them. */
const GROUP = 512;
/** PAGE_MAPPING_ANON (Linux, include/linux/page-flags.h). */
const MAPPING_ANON = 1;
/** Largest order of a block of pages that is believed: 2^40 pages are more than there are. */
const MAX_ORDER = 40;

function unsupported(dump: Dump, what: string): never {
  throw new VmcoreError('UNSUPPORTED', `page types cannot be told: VMCOREINFO has no ${what}`, {
    file: dump.name,
    field: what,
    expected: 'VMCOREINFO of a Linux kernel since 3.10',
  });
}

/** A value of VMCOREINFO that has to be there, and small enough to be what it is. */
function needed(dump: Dump, value: bigint | undefined, what: string, most = 4096n): number {
  if (value === undefined) return unsupported(dump, what);
  if (value >= 0n && value <= most) return Number(value);
  throw new VmcoreError('BAD_DUMP', `page types cannot be told: ${what} is not valid`, {
    file: dump.name,
    field: what,
    found: hex(value),
    expected: `0 to ${most}`,
  });
}

/** Number of a release: 6.12 is 6012. */
function versionOf(info: VmcoreInfo): number {
  const [, major = '0', minor = '0'] = /^(\d{1,3})\.(\d{1,3})/.exec(info.osRelease ?? '') ?? [];
  return Number(major) * 1000 + Number(minor);
}

/** The state word of a page, as a kernel exports it: `_mapcount` is compared as 32 bits with a sign. */
function state(info: VmcoreInfo, name: string): number | undefined {
  const value = info.number(name);
  return value === undefined ? undefined : Number(BigInt.asUintN(32, value));
}

/** A bit of `flags`; 0 where the kernel has none such. */
function flag(dump: Dump, info: VmcoreInfo, name: string, isNeeded: boolean): number {
  const value = info.number(name);
  if (value === undefined && !isNeeded) return 0;
  return 2 ** needed(dump, value, `NUMBER(${name})`, 31n);
}

/** Members of compound pages, which moved with most releases. */
function compoundOf(info: VmcoreInfo, version: number) {
  const lru = info.offsetOf('page.lru');
  const inList = (member: string): bigint | undefined => {
    const at = info.offsetOf(`list_head.${member}`);
    return lru === undefined || at === undefined ? undefined : lru + at;
  };
  const inFolio = (member: string): bigint | undefined => {
    const [at, size] = [info.offsetOf(`folio.${member}`), info.sizeOf('page')];
    return at === undefined || size === undefined ? undefined : at - size;
  };
  const order = inFolio('_folio_order') ?? info.offsetOf('page.compound_order') ?? inList('prev');
  const destructor = inFolio('_folio_dtor') ?? info.offsetOf('page.compound_dtor') ?? inList('next');
  return {
    order: order === undefined ? undefined : Number(order),
    destructor: destructor === undefined ? undefined : Number(destructor),
    // Both were whole words, then half ones (4.4), then bytes (4.16).
    orderBytes: version >= 4016 ? 1 : 2,
    destructorBytes: version >= 4016 ? 1 : version >= 4004 ? 2 : 8,
  };
}

function layoutOf(dump: Dump, info: VmcoreInfo) {
  const version = versionOf(info);
  const offset = (member: string): number => needed(dump, info.offsetOf(`page.${member}`), `OFFSET(page.${member})`);
  const head = info.number('PG_head_mask');
  return {
    size: needed(dump, info.sizeOf('page'), 'SIZE(page)'),
    flags: offset('flags'),
    mapping: offset('mapping'),
    mapcount: offset('_mapcount'),
    private: offset('private'),
    compoundHead: info.offsetOf('page.compound_head') === undefined ? undefined : offset('compound_head'),
    compound: compoundOf(info, version),
    headMask: head === undefined ? 0 : needed(dump, head, 'NUMBER(PG_head_mask)', 0xffff_ffffn),
    lru: flag(dump, info, 'PG_lru', true),
    private_: flag(dump, info, 'PG_private', true),
    swapCache: flag(dump, info, 'PG_swapcache', true),
    // Before 4.10 a page of the swap cache had a flag of its own; since then it counts beside this one alone.
    swapBacked: flag(dump, info, 'PG_swapbacked', false),
    slab: flag(dump, info, 'PG_slab', false),
    hwpoison: flag(dump, info, 'PG_hwpoison', false),
    hugetlb: flag(dump, info, 'PG_hugetlb', false),
    slabState: state(info, 'PAGE_SLAB_MAPCOUNT_VALUE'),
    buddyState: state(info, 'PAGE_BUDDY_MAPCOUNT_VALUE') ?? unsupported(dump, 'NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)'),
    offlineState: state(info, 'PAGE_OFFLINE_MAPCOUNT_VALUE'),
    hugetlbState: state(info, 'PAGE_HUGETLB_MAPCOUNT_VALUE'),
    unacceptedState: state(info, 'PAGE_UNACCEPTED_MAPCOUNT_VALUE'),
    hugetlbDestructor: info.number('HUGETLB_PAGE_DTOR') ?? info.symbol('free_huge_page'),
    orders: Number(info.lengthOf('zone.free_area') ?? 11n),
  };
}

type Layout = ReturnType<typeof layoutOf>;

/** Whether a state word says that a page is of a type: all of it up to 6.11, its highest byte since 6.12. */
function isState(word: number, type: number | undefined): boolean {
  if (type === undefined) return false;
  return (type & 0xff_ffff) === 0 ? word >>> 24 === type >>> 24 : word === type;
}

/** Tells uses of pages by their structures, as makedumpfile does. */
export class PageStructures {
  /** Bytes of one structure. */
  readonly size: number;
  readonly #layout: Layout;
  readonly #little: boolean;
  /** From a word's first byte to its lower half. */
  readonly #low: 0 | 4;

  /** @throws VmcoreError `UNSUPPORTED` without VMCOREINFO of a Linux since 3.10, `BAD_DUMP` */
  constructor(dump: Dump) {
    const { vmcoreinfo: info } = dump;
    this.#layout = info === undefined ? unsupported(dump, 'text at all') : layoutOf(dump, info);
    const { size, flags, mapping, mapcount, private: order, compoundHead = 0 } = this.#layout;
    const word = dump.wordBits / 8;
    if (size < word || Math.max(flags, mapping, order, compoundHead) + word > size || mapcount + 4 > size) {
      throw new VmcoreError('BAD_DUMP', 'VMCOREINFO has members outside their structures', {
        file: dump.name,
        field: 'SIZE(page), OFFSET(page…)',
      });
    }
    this.size = size;
    this.#little = dump.byteOrder === 'little';
    this.#low = this.#little || word === 4 ? 0 : 4;
  }

  /**
   * What the pages from one on are used for.
   * @param view structures, of pages that begin at a multiple of 512
   * @param index of the page's structure in them
   * @param pfn the page
   */
  runAt(view: DataView, index: number, pfn: number): PageRun {
    const layout = this.#layout;
    const at = index * this.size;
    const flags = this.#word(view, at + layout.flags);
    const one = (use: PageUse): PageRun => ({ use, count: 1 });
    if (layout.compoundHead !== undefined && (this.#word(view, at + layout.compoundHead) & 1) !== 0)
      return one('other');
    const mapcount = view.getUint32(at + layout.mapcount, this.#little);
    const isSlab = (flags & layout.slab) !== 0 || isState(mapcount, layout.slabState);
    if (!isSlab && isState(mapcount, layout.buddyState)) {
      const order = this.#word(view, at + layout.private);
      return order < layout.orders ? { use: 'free', count: 2 ** order } : one('other');
    }
    if (isState(mapcount, layout.unacceptedState)) return { use: 'free', count: 2 ** (layout.orders - 1) };
    const next = at + this.size;
    const isHead = index % GROUP < GROUP - 1 && (flags & layout.headMask) !== 0 && next + this.size <= view.byteLength;
    const compound = isHead ? this.#compound(view, next, mapcount, pfn) : undefined;
    const count = compound?.count ?? 1;
    const isAnonymous = !isSlab && (this.#word(view, at + layout.mapping) & MAPPING_ANON) !== 0;
    const inSwap = (layout.swapBacked === 0 || (flags & layout.swapBacked) !== 0) && (flags & layout.swapCache) !== 0;
    if (((flags & layout.lru) !== 0 || inSwap) && !isAnonymous) {
      return { use: (flags & layout.private_) === 0 ? 'cache' : 'cache-private', count };
    }
    if (isAnonymous || compound?.isHuge === true) return { use: 'user', count };
    if ((flags & layout.hwpoison) !== 0) return { use: 'hwpoison', count };
    if (!isSlab && isState(mapcount, layout.offlineState)) return { use: 'offline', count };
    return one('other');
  }

  /** The lower 32 bits of a word: all flags are there. */
  #word(view: DataView, at: number): number {
    return view.getUint32(at + this.#low, this.#little);
  }

  /** How many pages a compound page has, and whether it is one of hugetlbfs: the structure of its second page says it. */
  #compound(view: DataView, second: number, mapcount: number, pfn: number): { count: number; isHuge: boolean } {
    const layout = this.#layout;
    const { compound } = layout;
    const flags = this.#word(view, second + layout.flags);
    // Since 6.6 the order is in the lowest byte of the second page's flags.
    if (layout.hugetlbState !== undefined) {
      return { count: countOf(flags & 0xff, pfn), isHuge: isState(mapcount, layout.hugetlbState) };
    }
    if (layout.hugetlb !== 0) return { count: countOf(flags & 0xff, pfn), isHuge: (flags & layout.hugetlb) !== 0 };
    const number = (member: number | undefined, bytes: number): bigint => {
      if (member === undefined || member < 0 || member + bytes > this.size) return 0n;
      if (bytes === 1) return BigInt(view.getUint8(second + member));
      if (bytes === 2) return BigInt(view.getUint16(second + member, this.#little));
      return view.getBigUint64(second + member, this.#little);
    };
    const destructor = number(compound.destructor, compound.destructorBytes);
    const isHuge = destructor !== 0n && destructor === layout.hugetlbDestructor;
    return { count: countOf(Number(number(compound.order, compound.orderBytes)), pfn), isHuge };
  }
}

/** Pages of an order, which must be aligned to their count. */
function countOf(order: number, pfn: number): number {
  const count = order > MAX_ORDER ? 1 : 2 ** order;
  return pfn % count === 0 ? count : 1;
}
