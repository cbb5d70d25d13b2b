import { EngineError, escapeText } from '@instar/engine';
import { OperandError, parseSize } from '@instar/operands';
import {
  openDump,
  openStream,
  type Compression,
  type CutOff,
  type Dump,
  type Machine,
  type WriteOptions,
} from '@instar/vmcore';
import type { Habits } from '../../process/habits.js';
import { requireOpen } from '../require-open.js';
import { standardError } from '../../process/standard-streams.js';

/** Options of all subcommands; each has some of them. */
export interface Flags {
  readonly json?: boolean;
  /** `read`: the bytes themselves; `convert`: files of raw memory. */
  readonly raw?: boolean | readonly string[];
  readonly excludedAsZeros?: boolean;
  readonly to?: string;
  readonly compress?: string;
  readonly threads?: string;
  readonly begin?: string;
  readonly length?: string;
  readonly flatten?: boolean;
  readonly zstd?: boolean;
  readonly machine?: string;
  readonly salvage?: boolean;
  readonly all?: boolean;
  readonly virtual?: boolean;
  readonly pgd?: string;
  readonly caller?: boolean;
  readonly exclude?: string;
  readonly vmlinux?: string;
  readonly time?: boolean;
  readonly qmp?: string;
  readonly paging?: boolean;
  readonly detach?: boolean;
  readonly vmcoreinfo?: string;
  readonly progress?: boolean;
}

/** Notes and CPUs that are shown: more than any machine has CPUs, fewer than a hostile dump claims. */
export const SHOWN_NOTES = 4096;

/** What a subcommand gets besides its words and options. */
export interface CommandContext {
  readonly signal: AbortSignal;
  /** Refuses standard input or output where it is closed. */
  readonly whyClosed: Habits['whyClosed'];
}

/** A mistake in the command line. */
export function usageError(message: string): EngineError {
  return new EngineError('INVALID_OPTION', message);
}

/** An address or a count of bytes: `4096`, `0x1000`, `4K`. */
export function numberOf(word: string, what: string): bigint {
  try {
    return /^0x[0-9a-f]{1,16}$/i.test(word) ? BigInt(word) : parseSize(word);
  } catch (error) {
    if (!(error instanceof OperandError)) throw error;
    throw usageError(`${what}: ${error.message}`);
  }
}

/** An address of 64 bits: as crash and drgn print them, or any number. */
export function addressOf(word: string, what: string): bigint {
  const plain = /^(?:0x)?([0-9a-f]{16})$/i.exec(word)?.[1];
  return plain === undefined ? numberOf(word, what) : BigInt(`0x${plain}`);
}

const COMPRESSIONS: readonly Compression[] = ['none', 'zlib', 'lzo', 'snappy', 'zstd'];

/** The codec that a word names. */
export function compressionOf(word: string): Compression {
  const found = COMPRESSIONS.find((name) => name === word);
  if (found !== undefined) return found;
  throw usageError(`found the codec ${escapeText(word)}, expected ${COMPRESSIONS.join(', ')}`);
}

/** How many threads a word says. */
export function threadsOf(word: string): number {
  const count = /^\d{1,3}$/.test(word) ? Number(word) : 0;
  if (count >= 1 && count <= 256) return count;
  throw usageError(`found ${escapeText(word)} threads, expected 1 to 256`);
}

const MACHINES: readonly Machine[] = ['x86_64', 'i386', 'aarch64', 'arm', 's390x', 'ppc64', 'riscv64', 'loongarch64'];

/** The machine that a word names. */
export function machineOf(word: string): Machine {
  const found = MACHINES.find((name) => name === word);
  if (found !== undefined) return found;
  throw usageError(`found the machine ${escapeText(word)}, expected ${MACHINES.join(', ')}`);
}

/** How the output is written. @param input decides where nothing is said */
export function writeOptions(
  flags: Flags,
  input: Pick<Dump, 'format' | 'compression' | 'timestamp'>,
): Omit<WriteOptions, 'signal' | 'onProgress'> {
  const format = flags.to ?? input.format;
  if (format !== 'elf' && format !== 'kdump' && format !== 'raw' && format !== 'dmp') {
    throw usageError(`found the format ${escapeText(format)}, expected elf, kdump, raw or dmp`);
  }
  const same = COMPRESSIONS.find((name) => name === input.compression[0]);
  const unsaid = input.format === 'kdump' ? (same ?? 'none') : 'zlib';
  const compression = flags.compress === undefined ? unsaid : compressionOf(flags.compress);
  if (format !== 'kdump' && flags.compress !== undefined && compression !== 'none') {
    throw usageError('pages are compressed in a kdump alone: use --to kdump, or --zstd for the whole file');
  }
  return {
    format,
    ...(format === 'kdump' ? { compression } : {}),
    flattened: flags.flatten === true ? true : undefined,
    zstd: flags.zstd,
    salvage: flags.salvage,
    threads: flags.threads === undefined ? undefined : threadsOf(flags.threads),
    time: input.timestamp,
  };
}

/** Opens a dump; `-` is one on standard input. */
async function openFiles(files: readonly string[], { signal, whyClosed }: CommandContext): Promise<Dump> {
  if (!files.includes('-')) return openDump(files);
  if (files.length > 1) throw usageError('a dump on standard input is one file; the parts of a split dump have names');
  requireOpen({ whyClosed }, 0);
  if (process.stdin.isTTY) throw usageError('the dump would come from a terminal: redirect standard input');
  return openStream(process.stdin, { name: 'standard input', signal });
}

/** Opens a dump for a while. */
export async function withDump<T>(
  files: readonly string[],
  context: CommandContext,
  use: (dump: Dump) => Promise<T>,
): Promise<T> {
  const dump = await openFiles(files, context);
  try {
    return await use(dump);
  } finally {
    await dump.close();
  }
}

/** Prints a sentence that a user should see. */
export function printWarning(warning: string): void {
  standardError.write(`instar: vmcore: warning: ${escapeText(warning)}\n`);
}

/** Says that a file was cut off, and what that comes to. */
export function cutOffText({ file, found, expected, missing }: CutOff): string {
  const where =
    expected === undefined
      ? 'the stream ends before its end mark'
      : `the file ends before byte ${expected}, which it should have at least`;
  const lost = missing === undefined ? 'some memory is' : `${missing} bytes of memory are`;
  return `${file}: cut off at ${found} bytes: ${where}; ${lost} missing, the rest can be read (convert --salvage)`;
}

/** Prints what is odd about a dump. */
export async function printWarnings(dump: Dump): Promise<void> {
  for (const warning of dump.warnings) printWarning(warning);
  const cutOff = await dump.cutOff();
  if (cutOff !== undefined) printWarning(cutOffText(cutOff));
}
