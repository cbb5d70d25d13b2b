import type { Endian } from '@instar/layout';
import { hex, VmcoreError } from '../errors.js';
import type { VmcoreInfo } from '../notes/vmcoreinfo.js';
import type { Dump } from '../read/dump.js';
import { readCharacterLog } from './character-log.js';
import { kernelView } from './kernel-view.js';
import { readOldLog } from './log-buffer.js';
import { readRingBuffer } from './ring-buffer.js';
import { wordAt } from './words.js';
import type { TranslateOptions } from './page-walk.js';
import { VirtualMemory } from './virtual-memory.js';

/** A record of the kernel's log. */
export interface LogRecord {
  /** Number of the record since the kernel started; undefined where the buffer does not say. */
  readonly sequence?: bigint | undefined;
  /** Nanoseconds since the kernel started. */
  readonly time: bigint;
  /** 0 (emergency) to 7 (debug), as syslog counts. */
  readonly level: number;
  readonly facility: number;
  /** Who wrote it: a thread's number, or with bit 31 a CPU's (CONFIG_PRINTK_CALLER). */
  readonly caller?: number | undefined;
  /** Whether it continues the line before it. */
  readonly continuation: boolean;
  /** The text's bytes: whatever somebody logged, from the dump. */
  readonly text: Uint8Array;
}

/** What reads a log: the dump's words, and its memory at virtual addresses. */
export interface LogSource {
  readonly name: string;
  readonly info: VmcoreInfo;
  /** Bits, and bytes, of a pointer and of a long. */
  readonly wordBits: 32 | 64;
  readonly wordBytes: 4 | 8;
  readonly byteOrder: Endian;
  readonly little: boolean;
  read(address: bigint, length: number): Promise<Uint8Array>;
  /** A pointer or a long at an address. */
  word(address: bigint): Promise<bigint>;
}

/** A value of VMCOREINFO that has to be there, and small enough to be an offset or a size. */
export function needed(source: LogSource, value: bigint | undefined, what: string): number {
  if (value !== undefined && value >= 0n && value <= 1n << 20n) return Number(value);
  throw new VmcoreError(value === undefined ? 'UNSUPPORTED' : 'BAD_DUMP', `the log cannot be read: no usable ${what}`, {
    file: source.name,
    field: what,
    found: value === undefined ? undefined : hex(value),
    expected: 'VMCOREINFO of a kernel since 3.5',
  });
}

/** Flags and level of a record share a byte: the level takes the 3 bits that come last in memory's order of bits. */
export function levelOf(byte: number, little: boolean): { readonly level: number; readonly flags: number } {
  return little ? { level: byte >>> 5, flags: byte & 0x1f } : { level: byte & 7, flags: byte >>> 3 };
}

/** LOG_CONT (Linux, kernel/printk/printk.c). */
export const CONTINUATION = 8;

/**
 * The records of the kernel's log (dmesg), oldest first, from VMCOREINFO alone: of kernels before 3.5, whose log is lines of
 * text; since then, whose records lie in one buffer; and since 5.10, whose descriptors have a ring of their own.
 * @throws VmcoreError `UNSUPPORTED` without VMCOREINFO of such a kernel, `BAD_DUMP`, `NOT_MAPPED`, `NO_MEMORY`,
 *   `PAGE_EXCLUDED`, `TRUNCATED` for what cannot be read
 */
export async function* readLog(given: Dump, options: TranslateOptions = {}): AsyncGenerator<LogRecord> {
  const dump = kernelView(given);
  const { vmcoreinfo: info } = dump;
  if (info === undefined) {
    throw new VmcoreError('UNSUPPORTED', 'the log cannot be found: the dump has no VMCOREINFO', {
      file: dump.name,
      expected: 'a dump of kdump, or of QEMU with -device vmcoreinfo',
    });
  }
  const memory = await VirtualMemory.of(dump, options);
  const wordBytes = dump.wordBits === 64 ? 8 : 4;
  const little = dump.byteOrder === 'little';
  const source: LogSource = {
    name: dump.name,
    info,
    wordBits: dump.wordBits,
    wordBytes,
    byteOrder: dump.byteOrder,
    little,
    read: async (address, length) => memory.read(address, length),
    async word(address) {
      const bytes = await memory.read(address, wordBytes);
      return wordAt(bytes, 0, dump);
    },
  };
  if (info.symbol('prb') !== undefined) yield* readRingBuffer(source);
  else if (info.symbol('log_end') !== undefined) yield* readCharacterLog(source);
  else yield* readOldLog(source);
}
