import type { Endian } from '@instar/layout';
import type { Note } from './notes/note.js';
import type { Machine } from './structures/machines.js';
import type { WordBits } from './structures/targets.js';

/** Physical memory from `start` on (bytes). */
export interface Extent {
  /** Physical address. */
  readonly start: bigint;
  /** Bytes, above 0. */
  readonly length: bigint;
  /** `excluded` memory existed, but its content was left out. */
  readonly kind: 'stored' | 'excluded';
  /** Whether an excluded extent lies behind the end of a file that was cut off: it should have been stored. */
  readonly missing?: true | undefined;
  /** Virtual address of the first byte, where the dump tells one. */
  readonly virtual?: bigint | undefined;
}

/** A segment of an ELF dump: memory at a virtual address. Several may show the same memory. */
export interface Segment {
  /** Physical address. */
  readonly start: bigint;
  /** Bytes. */
  readonly length: bigint;
  /** Bytes from `start` on that are stored; the rest was left out. */
  readonly stored: bigint;
  /** Virtual address of the first byte. */
  readonly virtual: bigint;
}

/** What can be written as a dump: memory, and what is known of the machine that it belonged to. */
export interface MemoryImage {
  /** What messages call it. */
  readonly name: string;
  readonly machine: Machine;
  readonly byteOrder: Endian;
  /** Bits of the machine's words: class of an ELF file, width of a kdump header. */
  readonly wordBits: WordBits;
  /** Bytes of a page: the block size of a kdump-compressed file. */
  readonly pageSize: number;
  /** Every note, in order: registers of each CPU, VMCOREINFO, whatever else there is. */
  readonly notes: readonly Note[];
  /** Physical address at which the kernel was loaded; kdump's phys_base. */
  readonly physBase?: bigint | undefined;
  /** Name of the system that was dumped (struct new_utsname). */
  readonly utsname?: Utsname | undefined;
  /** makedumpfile's dump level: which kinds of pages were left out (a sum of 1, 2, 4, 8, 16). */
  readonly dumpLevel?: number | undefined;
  /** What makedumpfile erased, in its own words. */
  readonly eraseInfo?: Uint8Array | undefined;
  /** First physical address behind all memory (bytes). May be more than the last extent's end. */
  readonly addressLimit: bigint;
  /** Whether this is the core of a process: its addresses are none of physical memory, and it cannot be converted. */
  readonly processCore?: boolean | undefined;
  /**
   * Segments that say more of virtual addresses than extents can, in the order of their file: they may overlap. Left out
   * where each extent has one virtual address at most. What is stored of them must be stored in `extents` too.
   */
  readonly segments?: (() => Iterable<Segment>) | undefined;
  /**
   * Ascending extents that do not overlap. May be asked for more than once.
   * @param from physical address before which nothing is wanted
   */
  extents(from?: bigint): AsyncIterable<Extent>;
  /**
   * Fills a buffer with stored memory from a physical address on. Reads may overlap in time.
   * @throws VmcoreError `NO_MEMORY`, `PAGE_EXCLUDED` when not all of it is stored
   */
  readInto(address: bigint, target: Uint8Array): Promise<void>;
}

/** struct new_utsname. */
export interface Utsname {
  readonly sysname: string;
  readonly nodename: string;
  readonly release: string;
  readonly version: string;
  readonly machine: string;
  readonly domainname: string;
}
