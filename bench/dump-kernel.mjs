// What a kernel has in its memory, as far as makedumpfile and instar look for it: page tables, the structures of pages, a
// log. Each page follows from its number, so that a dump of any size takes no memory to make.

export const PAGE = 4096;
const START_KERNEL_MAP = 0xffff_ffff_8000_0000n;

/** Page frame numbers: the system's name and pointers, three levels of page tables, the log, the structures of pages. */
const [NAMES, TOP, MIDDLE, LOW] = [0x2000, 0x2002, 0x2003, 0x2004];
const [RING, DESCRIPTORS, INFOS, TEXTS] = [0x2010, 0x2020, 0x2040, 0x20a0];
const KERNEL_END = 0x2100;
const STRUCTURES = 0x4000;
/** Bytes of struct page. */
const STRUCTURE = 64;
/** Pages that have one use. */
const BLOCK_ORDER = 6;

/** Records of the log, and bytes of their text: powers of two. */
const [COUNT_BITS, SIZE_BITS] = [12, 19];
const [DESCRIPTOR, INFO, TEXT] = [24, 88, 64];

const virtualOf = (number, offset = 0) => START_KERNEL_MAP + BigInt(number * PAGE + offset);
const hex = (value) => value.toString(16);

const FLAGS = { lru: 4, slab: 7, private: 13, head: 16, swapcache: 17, swapbacked: 19, hwpoison: 22 };
const FREE = -129;

const members = (type, places) => Object.entries(places).map(([name, at]) => `OFFSET(${type}.${name})=${at}`);

export const VMCOREINFO = [
  'OSRELEASE=6.1.0-bench',
  'PAGESIZE=4096',
  `SYMBOL(swapper_pg_dir)=${hex(virtualOf(TOP))}`,
  `SYMBOL(init_top_pgt)=${hex(virtualOf(TOP))}`,
  `SYMBOL(init_uts_ns)=${hex(virtualOf(NAMES))}`,
  `SYMBOL(_stext)=${hex(virtualOf(0x1000))}`,
  `SYMBOL(mem_map)=${hex(virtualOf(NAMES, 1024))}`,
  'KERNELOFFSET=0',
  'NUMBER(phys_base)=0',
  'NUMBER(pgtable_l5_enabled)=0',
  'NUMBER(KERNEL_IMAGE_SIZE)=1073741824',
  'OFFSET(uts_namespace.name)=4',
  `SIZE(page)=${STRUCTURE}`,
  ...members('page', { flags: 0, _refcount: 52, mapping: 24, lru: 8, _mapcount: 48, private: 40, compound_head: 8 }),
  'SIZE(list_head)=16',
  ...members('list_head', { next: 0, prev: 8 }),
  'LENGTH(zone.free_area)=11',
  ...Object.entries(FLAGS).map(([name, bit]) =>
    name === 'head' ? `NUMBER(PG_head_mask)=${2 ** bit}` : `NUMBER(PG_${name})=${bit}`,
  ),
  `NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=${FREE}`,
  'OFFSET(page.compound_dtor)=16',
  'OFFSET(page.compound_order)=17',
  'NUMBER(HUGETLB_PAGE_DTOR)=2',
  `SYMBOL(prb)=${hex(virtualOf(NAMES, 1032))}`,
  'SIZE(printk_ringbuffer)=80',
  ...members('printk_ringbuffer', { desc_ring: 0, text_data_ring: 48, fail: 72 }),
  'SIZE(prb_desc_ring)=48',
  ...members('prb_desc_ring', { count_bits: 0, descs: 8, infos: 16, head_id: 24, tail_id: 32 }),
  `SIZE(prb_desc)=${DESCRIPTOR}`,
  ...members('prb_desc', { state_var: 0, text_blk_lpos: 8 }),
  'SIZE(prb_data_blk_lpos)=16',
  ...members('prb_data_blk_lpos', { begin: 0, next: 8 }),
  'SIZE(prb_data_ring)=32',
  ...members('prb_data_ring', { size_bits: 0, data: 8 }),
  `SIZE(printk_info)=${INFO}`,
  ...members('printk_info', { seq: 0, ts_nsec: 8, text_len: 16, caller_id: 20, dev_info: 24 }),
  'SIZE(atomic_long_t)=8',
  'OFFSET(atomic_long_t.counter)=0',
  '',
].join('\n');

/** The kernel's own pages as one buffer, from NAMES on. */
function kernelPages() {
  const bytes = Buffer.alloc((KERNEL_END - NAMES) * PAGE);
  const at = (number, offset = 0) => (number - NAMES) * PAGE + offset;
  ['Linux', 'bench', '6.1.0-bench', '#1', 'x86_64', 'd'].forEach((word, index) => bytes.write(word, 4 + 65 * index));
  bytes.writeBigUInt64LE(virtualOf(STRUCTURES), at(NAMES, 1024));
  bytes.writeBigUInt64LE(virtualOf(RING), at(NAMES, 1032));
  bytes.writeBigUInt64LE(BigInt(MIDDLE * PAGE) | 3n, at(TOP, 511 * 8));
  bytes.writeBigUInt64LE(BigInt(LOW * PAGE) | 3n, at(MIDDLE, 510 * 8));
  for (let index = 0; index < 512; index += 1) {
    bytes.writeBigUInt64LE((BigInt(index) << 21n) | 0x83n, at(LOW, index * 8));
  }
  const count = 2 ** COUNT_BITS;
  bytes.writeUInt32LE(COUNT_BITS, at(RING));
  bytes.writeBigUInt64LE(virtualOf(DESCRIPTORS), at(RING, 8));
  bytes.writeBigUInt64LE(virtualOf(INFOS), at(RING, 16));
  bytes.writeBigUInt64LE(BigInt(2 * count - 1), at(RING, 24));
  bytes.writeBigUInt64LE(BigInt(count), at(RING, 32));
  bytes.writeUInt32LE(SIZE_BITS, at(RING, 48));
  bytes.writeBigUInt64LE(virtualOf(TEXTS), at(RING, 56));
  for (let index = 0; index < count; index += 1) {
    const id = BigInt(count + index);
    const line = `bench: record ${index} of the log`;
    bytes.writeBigUInt64LE(id, at(TEXTS, index * TEXT));
    bytes.write(line, at(TEXTS, index * TEXT + 8));
    const descriptor = at(DESCRIPTORS, index * DESCRIPTOR);
    bytes.writeBigUInt64LE(id | (2n << 62n), descriptor);
    bytes.writeBigUInt64LE(BigInt(index * TEXT), descriptor + 8);
    bytes.writeBigUInt64LE(BigInt((index + 1) * TEXT), descriptor + 16);
    const info = at(INFOS, index * INFO);
    bytes.writeBigUInt64LE(id, info);
    bytes.writeBigUInt64LE(BigInt(index) * 1_000_000n, info + 8);
    bytes.writeUInt16LE(line.length, info + 16);
    bytes.writeUInt8(6 << 5, info + 19);
  }
  return bytes;
}

/** Of ten blocks four are free, three of the cache, two of processes. */
function useOf(number, pages) {
  const end = STRUCTURES + Math.ceil((pages * STRUCTURE) / PAGE);
  const isOwn = number < 64 || (number >= NAMES && number < KERNEL_END) || (number >= STRUCTURES && number < end + 64);
  if (isOwn) return 'other';
  const turn = (number >>> BLOCK_ORDER) % 10;
  return turn < 4 ? 'free' : turn < 7 ? 'cache' : turn < 9 ? 'user' : 'other';
}

/** Returns a function that fills one of the kernel's own pages, or says that a page is none. @param pages of memory */
export function kernelOf(pages) {
  const kernel = kernelPages();
  const end = STRUCTURES + Math.ceil((pages * STRUCTURE) / PAGE);
  return (number, page) => {
    if (number >= NAMES && number < KERNEL_END) {
      page.set(kernel.subarray((number - NAMES) * PAGE, (number - NAMES + 1) * PAGE));
      return true;
    }
    if (number < STRUCTURES || number >= end) return false;
    const view = new DataView(page.buffer, page.byteOffset, PAGE);
    page.fill(0);
    const each = PAGE / STRUCTURE;
    for (let index = 0; index < each; index += 1) {
      const described = (number - STRUCTURES) * each + index;
      const at = index * STRUCTURE;
      const use = useOf(described, pages);
      const isFirst = described % 2 ** BLOCK_ORDER === 0;
      view.setInt32(at + 48, use === 'free' && isFirst ? FREE : -1, true);
      if (use === 'free' && isFirst) view.setUint32(at + 40, BLOCK_ORDER, true);
      if (use === 'cache' || use === 'user') view.setUint32(at, 2 ** FLAGS.lru, true);
      if (use === 'user') view.setUint32(at + 24, 1, true);
    }
    return true;
  };
}
