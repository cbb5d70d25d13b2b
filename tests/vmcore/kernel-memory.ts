import { providedImage, type MemoryImage } from '@instar/vmcore';

/** Memory of a made-up Linux on x86-64: page tables, a log, nothing else that runs. */
export const SIZE = 32 << 20;
/** Where the image is loaded, and how far KASLR moved it (bytes). */
export const LOADED = 0x120_0000;
const MOVED = 0x1a20_0000n;
const START_KERNEL_MAP = 0xffff_ffff_8000_0000n;
/** Virtual address of the image's first byte, and of physical address 0 in the mapping of all memory. */
export const TEXT = START_KERNEL_MAP + 0x100_0000n + MOVED;
export const DIRECT = 0xffff_9a40_0000_0000n;
export const PHYS_BASE = BigInt(LOADED) - (TEXT - START_KERNEL_MAP);
/** Pages that a process has scattered: two neighbours of which the first lies behind the second. */
export const SCATTERED = 0xffff_c900_0000_0000n;
export const SCATTERED_AT = [0x180_5000, 0x180_2000] as const;

const TABLES = 0x100_0000;
const LOG_STRUCTS = LOADED + 0x20_0000;
const UTS_NAME = LOADED + 0x30_0000;
/** Outside the image: the log's text is found through the mapping of all memory alone. */
export const LOG_DATA = 0x1c0_0000;

/** Where tables, descriptors and records lie: what a stranger would change. */
export const STRUCTURES: readonly [Place, ...Place[]] = [
  { start: TABLES, length: 0x100 },
  { start: TABLES, length: 0x5000 },
  { start: LOADED + 0x10_0ff0, length: 16 },
  { start: LOG_STRUCTS, length: 24 },
  { start: LOG_STRUCTS + 0x1000, length: 64 },
  { start: LOG_STRUCTS + 0x2000, length: 384 },
  { start: LOG_STRUCTS + 0x3000, length: 1408 },
  { start: LOG_DATA, length: 512 },
];

export const virtualOf = (physical: number): bigint => TEXT + BigInt(physical - LOADED);
export const directOf = (physical: number): bigint => DIRECT + BigInt(physical);
export const hexDigits = (value: bigint): string => value.toString(16);

/** What is logged. */
export interface Line {
  readonly time: bigint;
  readonly level: number;
  readonly text: string;
}

interface Place {
  readonly start: number;
  /** Bytes. */
  readonly length: number;
}

export class KernelMemory {
  readonly bytes = Buffer.alloc(SIZE);
  #nextTable = TABLES;
  readonly pgd: number;
  readonly #five: boolean;

  constructor(five: boolean) {
    this.#five = five;
    this.pgd = LOADED + 0x10_0000;
    for (let at = 0; at < 8 << 20; at += 2 << 20) this.map(TEXT + BigInt(at), LOADED + at, 21);
    this.map(DIRECT, 0, 30);
    SCATTERED_AT.forEach((physical, index) => {
      this.map(SCATTERED + BigInt(index * 4096), physical, 12);
      this.bytes.fill(`scattered ${index} `, physical, physical + 4096);
    });
  }

  /** Maps a page of 2^`shift` bytes. */
  map(virtual: bigint, physical: number, shift: number): void {
    let table = this.pgd;
    for (const level of this.#five ? [48, 39, 30, 21, 12] : [39, 30, 21, 12]) {
      const at = table + 8 * Number((virtual >> BigInt(level)) & 0x1ffn);
      if (level === shift) {
        this.bytes.writeBigUInt64LE(BigInt(physical) | (level === 12 ? 0x63n : 0xe3n), at);
        return;
      }
      let entry = this.bytes.readBigUInt64LE(at);
      if (entry === 0n) {
        entry = BigInt(this.#nextTable) | 0x67n;
        this.#nextTable += 4096;
        // No-execute and software bits stand above and among the address's.
        this.bytes.writeBigUInt64LE(entry | (1n << 63n), at);
      }
      table = Number(entry & 0x000f_ffff_ffff_f000n);
    }
  }
}

export const common = (memory: KernelMemory, five: boolean, release: string): string[] => [
  `OSRELEASE=${release}`,
  'PAGESIZE=4096',
  `SYMBOL(init_uts_ns)=${hexDigits(virtualOf(UTS_NAME))}`,
  `SYMBOL(swapper_pg_dir)=${hexDigits(virtualOf(memory.pgd))}`,
  `SYMBOL(init_top_pgt)=${hexDigits(virtualOf(memory.pgd))}`,
  `SYMBOL(_stext)=${hexDigits(TEXT)}`,
  `NUMBER(phys_base)=${PHYS_BASE}`,
  `NUMBER(pgtable_l5_enabled)=${five ? 1 : 0}`,
  `KERNELOFFSET=${hexDigits(MOVED)}`,
  'NUMBER(KERNEL_IMAGE_SIZE)=1073741824',
  `SYMBOL(page_offset_base)=${hexDigits(virtualOf(LOADED + 0x30_1000))}`,
  // makedumpfile looks at no log before it knows where the page structures are.
  `SYMBOL(mem_map)=${hexDigits(virtualOf(LOADED + 0x30_2000))}`,
  'SIZE(page)=64',
  'OFFSET(page.flags)=0',
  'OFFSET(page._refcount)=52',
  'OFFSET(page.mapping)=24',
  'OFFSET(page.lru)=8',
  'OFFSET(page._mapcount)=48',
  'OFFSET(page.private)=40',
];

export function imageOf(memory: KernelMemory, info: readonly string[]): MemoryImage {
  // struct uts_namespace: six names of 65 bytes behind a counter.
  ['Linux', 'host', (info[0] ?? '').replace('OSRELEASE=', ''), '#1 SMP', 'x86_64', '(none)'].forEach((name, index) => {
    memory.bytes.write(name, UTS_NAME + 4 + 65 * index);
  });
  memory.bytes.writeBigUInt64LE(DIRECT, LOADED + 0x30_1000);
  memory.bytes.writeBigUInt64LE(directOf(0x1d0_0000), LOADED + 0x30_2000);
  return providedImage({
    machine: 'x86_64',
    ranges: [{ start: 0n, length: BigInt(SIZE) }],
    read: (address, target) => {
      memory.bytes.copy(target, 0, Number(address));
    },
    cpus: [{ registers: { rip: TEXT + 0x40n } }],
    vmcoreinfo: `${info.join('\n')}\n`,
  });
}

/**
 * A kernel of before 5.10: struct printk_log, records one behind the other in a buffer.
 * @param skip bytes of the buffer before the first record: the last ones begin the buffer anew
 */
export function oldKernel(lines: readonly Line[], skip = 0, five = false): MemoryImage {
  const memory = new KernelMemory(five);
  const { bytes } = memory;
  const length = 4096;
  const place = { pointer: LOG_STRUCTS, length: LOG_STRUCTS + 8, first: LOG_STRUCTS + 12, next: LOG_STRUCTS + 16 };
  bytes.writeBigUInt64LE(directOf(LOG_DATA), place.pointer);
  bytes.writeUInt32LE(length, place.length);
  bytes.writeUInt32LE(skip, place.first);
  let at = skip;
  for (const { time, level, text } of lines) {
    const size = (16 + Buffer.byteLength(text) + 7) & ~7;
    // A header of length 0 says that the rest is too small.
    if (at + size + 16 > length) {
      bytes.fill(0, LOG_DATA + at, LOG_DATA + at + 16);
      at = 0;
    }
    bytes.writeBigUInt64LE(time, LOG_DATA + at);
    bytes.writeUInt16LE(size, LOG_DATA + at + 8);
    bytes.writeUInt16LE(Buffer.byteLength(text), LOG_DATA + at + 10);
    bytes[LOG_DATA + at + 14] = 1;
    bytes[LOG_DATA + at + 15] = (level << 5) | 6;
    bytes.write(text, LOG_DATA + at + 16);
    at += size;
  }
  bytes.writeUInt32LE(at, place.next);
  return imageOf(memory, [
    ...common(memory, five, '4.19.0-test'),
    `SYMBOL(log_buf)=${hexDigits(virtualOf(place.pointer))}`,
    `SYMBOL(log_buf_len)=${hexDigits(virtualOf(place.length))}`,
    `SYMBOL(log_first_idx)=${hexDigits(virtualOf(place.first))}`,
    `SYMBOL(clear_idx)=${hexDigits(virtualOf(place.first))}`,
    `SYMBOL(log_next_idx)=${hexDigits(virtualOf(place.next))}`,
    'SIZE(printk_log)=16',
    'OFFSET(printk_log.ts_nsec)=0',
    'OFFSET(printk_log.len)=8',
    'OFFSET(printk_log.text_len)=10',
    'OFFSET(printk_log.dict_len)=12',
  ]);
}

/**
 * A kernel before 3.5: characters in a ring, each line with its level and time.
 * @param size bytes of the ring, a power of 2
 */
export function ancientKernel(lines: readonly Line[], size = 4096): MemoryImage {
  const memory = new KernelMemory(false);
  const { bytes } = memory;
  const stamp = (time: bigint): string =>
    `${String(time / 1_000_000_000n).padStart(5)}.${String((time / 1000n) % 1_000_000n).padStart(6, '0')}`;
  const text = Buffer.from(lines.map((line) => `<${line.level}>[${stamp(line.time)}] ${line.text}\n`).join(''));
  text.forEach((byte, index) => bytes.writeUInt8(byte, LOG_DATA + (index % size)));
  bytes.writeBigUInt64LE(directOf(LOG_DATA), LOG_STRUCTS);
  bytes.writeUInt32LE(size, LOG_STRUCTS + 8);
  bytes.writeUInt32LE(text.length, LOG_STRUCTS + 12);
  return imageOf(memory, [
    ...common(memory, false, '3.2.0-test'),
    `SYMBOL(log_buf)=${hexDigits(virtualOf(LOG_STRUCTS))}`,
    `SYMBOL(log_buf_len)=${hexDigits(virtualOf(LOG_STRUCTS + 8))}`,
    `SYMBOL(log_end)=${hexDigits(virtualOf(LOG_STRUCTS + 12))}`,
    `SYMBOL(logged_chars)=${hexDigits(virtualOf(LOG_STRUCTS + 16))}`,
  ]);
}

/**
 * A kernel since 5.10: a ring of 16 descriptors and one of 1 KiB of text.
 * @param first number of the first record: the rings are in their later turns
 */
export function newKernel(lines: readonly Line[], first = 0, five = false): MemoryImage {
  const memory = new KernelMemory(five);
  const { bytes } = memory;
  const [prb, descriptors, infos] = [LOG_STRUCTS + 0x1000, LOG_STRUCTS + 0x2000, LOG_STRUCTS + 0x3000];
  const [countBits, sizeBits] = [4, 10];
  bytes.writeBigUInt64LE(virtualOf(prb), LOG_STRUCTS);
  bytes.writeUInt32LE(countBits, prb);
  bytes.writeBigUInt64LE(virtualOf(descriptors), prb + 8);
  bytes.writeBigUInt64LE(virtualOf(infos), prb + 16);
  bytes.writeUInt32LE(sizeBits, prb + 48);
  bytes.writeBigUInt64LE(directOf(LOG_DATA), prb + 56);
  const start = BigInt(first) + 0xffff_fff0n;
  bytes.writeBigUInt64LE(start + BigInt(lines.length - 1), prb + 24);
  bytes.writeBigUInt64LE(start, prb + 32);
  let position = BigInt(first * 40) & ~7n;
  lines.forEach(({ time, level, text }, index) => {
    const id = start + BigInt(index);
    const slot = Number(id & 15n);
    const size = BigInt((8 + Buffer.byteLength(text) + 7) & ~7);
    const begin = position;
    let next = begin + size;
    let data = Number(begin & 1023n);
    if (begin >> 10n !== (next - 1n) >> 10n) {
      next = ((begin >> 10n) + 1n) * 1024n + size;
      data = 0;
    }
    position = next;
    bytes.writeBigUInt64LE(id, LOG_DATA + data);
    bytes.write(text, LOG_DATA + data + 8);
    bytes.writeBigUInt64LE(id | (2n << 62n), descriptors + 24 * slot);
    bytes.writeBigUInt64LE(begin, descriptors + 24 * slot + 8);
    bytes.writeBigUInt64LE(next, descriptors + 24 * slot + 16);
    const info = infos + 88 * slot;
    bytes.writeBigUInt64LE(BigInt(first + index), info);
    bytes.writeBigUInt64LE(time, info + 8);
    bytes.writeUInt16LE(Buffer.byteLength(text), info + 16);
    bytes[info + 18] = 1;
    bytes[info + 19] = level << 5;
    bytes.writeUInt32LE(index % 2 === 0 ? 42 : 0x8000_0003, info + 20);
  });
  return imageOf(memory, [
    ...common(memory, five, '6.1.0-test'),
    `SYMBOL(prb)=${hexDigits(virtualOf(LOG_STRUCTS))}`,
    'SIZE(printk_ringbuffer)=80',
    'OFFSET(printk_ringbuffer.desc_ring)=0',
    'OFFSET(printk_ringbuffer.text_data_ring)=48',
    'OFFSET(printk_ringbuffer.fail)=72',
    'SIZE(prb_desc_ring)=48',
    'OFFSET(prb_desc_ring.count_bits)=0',
    'OFFSET(prb_desc_ring.descs)=8',
    'OFFSET(prb_desc_ring.infos)=16',
    'OFFSET(prb_desc_ring.head_id)=24',
    'OFFSET(prb_desc_ring.tail_id)=32',
    'SIZE(prb_desc)=24',
    'OFFSET(prb_desc.state_var)=0',
    'OFFSET(prb_desc.text_blk_lpos)=8',
    'SIZE(prb_data_blk_lpos)=16',
    'OFFSET(prb_data_blk_lpos.begin)=0',
    'OFFSET(prb_data_blk_lpos.next)=8',
    'SIZE(prb_data_ring)=32',
    'OFFSET(prb_data_ring.size_bits)=0',
    'OFFSET(prb_data_ring.data)=8',
    'SIZE(printk_info)=88',
    'OFFSET(printk_info.seq)=0',
    'OFFSET(printk_info.ts_nsec)=8',
    'OFFSET(printk_info.text_len)=16',
    'OFFSET(printk_info.caller_id)=20',
    'OFFSET(printk_info.dev_info)=24',
    'SIZE(atomic_long_t)=8',
    'OFFSET(atomic_long_t.counter)=0',
  ]);
}
