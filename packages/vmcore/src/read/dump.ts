import type { Readable } from 'node:stream';
import type { DebugInfoOptions, KernelType } from '../kernel/debug-info.js';
import type { TranslateOptions, Translation } from '../kernel/page-walk.js';
import type { MemoryImage } from '../image.js';
import type { CpuRegisters } from '../notes/registers.js';
import type { VmcoreInfo } from '../notes/vmcoreinfo.js';

/** What is known of a dump's file. */
export interface DumpFile {
  readonly path: string;
  /** Bytes of the file as it is stored. */
  readonly size: bigint;
  readonly flattened: boolean;
  /** The same for all names of the file; undefined where the dump came from elsewhere. */
  readonly identity?: string | undefined;
}

/** A file that was cut off. */
export interface CutOff {
  /** Name of the file. */
  readonly file: string;
  /** Bytes that it has. */
  readonly found: bigint;
  /** Bytes that it should have at least; undefined where nobody can tell. */
  readonly expected?: bigint | undefined;
  /** Bytes of memory that it should have and has not; undefined where nobody can tell. */
  readonly missing?: bigint | undefined;
}

/** One page of a dump. */
export interface Page {
  /** Page frame number: physical address divided by the page size. */
  readonly pfn: bigint;
  /** A page of bytes; where memory ends inside the page, zeros follow. Valid until the next page is asked for. */
  readonly data: Uint8Array;
}

/** A dump that was opened. */
export interface Dump extends MemoryImage, AsyncDisposable {
  readonly format: 'elf' | 'kdump';
  /** The file, or the parts of a split dump. */
  readonly files: readonly DumpFile[];
  /** Version of a kdump header, of ELF 1. */
  readonly version: number;
  /** Codecs that a kdump header announces; each page says its own. */
  readonly compression: readonly string[];
  /** Whether makedumpfile says that it could not finish. */
  readonly incomplete: boolean;
  /** The part of a split dump that this file is: page frame numbers, the second behind the last. */
  readonly split?: { readonly startPfn: bigint; readonly endPfn: bigint } | undefined;
  /** Time that a kdump header tells. */
  readonly timestamp?: Date | undefined;
  readonly cpus: readonly CpuRegisters[];
  readonly vmcoreinfo: VmcoreInfo | undefined;
  /**
   * Where a file ends before all that it promises, as a copy that broke off does. What is there can be read; the rest is
   * `TRUNCATED`.
   * @throws VmcoreError `READ_FAILED`
   */
  cutOff(): Promise<CutOff | undefined>;
  /** What is odd about the dump but keeps nobody from reading it. */
  readonly warnings: readonly string[];
  /**
   * Reads physical memory.
   * @param address physical address
   * @param length bytes, at most 1 GiB
   * @param options `excluded: 'zero'` reads excluded memory as zeros, as crash does
   * @throws VmcoreError `NO_MEMORY`, `PAGE_EXCLUDED`, `BAD_DUMP`, `TRUNCATED`
   */
  read(address: bigint, length: number, options?: ReadOptions): Promise<Uint8Array>;
  /**
   * Looks a virtual address up in the kernel's page tables, or in those of a process (`pgd`).
   * @throws VmcoreError `NOT_MAPPED` naming the level, `UNSUPPORTED` when the page tables cannot be found, and what reading
   *   them comes to
   */
  translate(address: bigint, options?: TranslateOptions): Promise<Translation>;
  /** Reads memory at a virtual address. @throws VmcoreError as `translate` and `read` */
  readVirtual(address: bigint, length: number, options?: ReadOptions & TranslateOptions): Promise<Uint8Array>;
  /**
   * Address of a symbol of the kernel: from VMCOREINFO, from the kernel's own table (since Linux 6.0), or from its file.
   * @throws VmcoreError `UNSUPPORTED` where it is not found, `INVALID_ARGUMENT` for a file of another kernel
   */
  symbol(name: string, options?: DebugInfoOptions): Promise<bigint>;
  /**
   * A type of the kernel, as `task_struct` or `enum zone_type`, from the BTF in the dump or from the kernel's file.
   * @throws VmcoreError as `symbol`
   */
  type(name: string, options?: DebugInfoOptions): Promise<KernelType>;
  /**
   * Physical memory as a stream of bytes, as of `fs.createReadStream`. Memory that is not there ends it with an error.
   * @throws VmcoreError `INVALID_ARGUMENT` at once; others come through the stream
   */
  createReadStream(range?: StreamRange): Readable;
  /** The same as a stream of the Web, as `Response` takes it. */
  createWebStream(range?: StreamRange): ReadableStream<Uint8Array>;
  /** The stored pages in ascending order. */
  pages(): AsyncIterable<Page>;
  close(): Promise<void>;
}

/** A part of physical memory. */
export interface StreamRange extends ReadOptions {
  /** First physical address (default 0). */
  readonly start?: bigint | number | undefined;
  /** Last physical address, which belongs to it (default: that of all memory). */
  readonly end?: bigint | number | undefined;
}

export interface ReadOptions {
  /** What excluded memory is: an error (the default) or zeros. */
  readonly excluded?: 'error' | 'zero' | undefined;
}
