import type { Writable } from 'node:stream';
import { VmcoreError } from '../errors.js';
import type { MemoryImage } from '../image.js';
import { kernelPageSize } from '../kernel/kernel-view.js';
import { findVmcoreInfo } from '../notes/vmcoreinfo.js';
import type { Dump } from '../read/dump.js';
import { salvageImage, strictImage } from '../operations/salvage.js';
import { abortable, filterImage, type MemoryFilter } from '../operations/filter.js';
import type { Appender, DumpSink } from '../sink/dump-sink.js';
import { check } from '../options/calls.js';
import { OutputFile } from '../sink/output-file.js';
import { checkStream } from '../sink/stream-identity.js';
import type { NamedInput } from '../source/byte-source.js';
import { flattenedSink, sequentialSink, writableAppender, zstdAppender } from '../sink/sequential.js';
import type { DumpState, DumpStatus, WriteProgress } from './dump-state.js';
import { writeElf } from './elf-writer.js';
import { kernelAddresses, type KernelAddresses } from './kernel-addresses.js';
import { writeRaw } from './raw-writer.js';
import { writeWindows } from './windows-writer.js';
import type { SplitPart } from './kdump-header-writer.js';
import { writeKdump } from './kdump-writer.js';
import type { Compression } from './page-pipeline.js';

/** Where a dump goes. A file is written beside its name and renamed when it is complete; its mode is 0600. */
export type DumpOutput = { readonly file: string } | { readonly stream: Writable | WritableStream<Uint8Array> };
/** The same when a stream of the Web has become one of Node.js. */
export type OpenableOutput = { readonly file: string } | { readonly stream: Writable };

/** How a dump is written. */
export interface WriteOptions {
  /**
   * `raw`: memory as it lies, from physical address 0 or the filter's `begin` on, without notes. `dmp`: a full crash dump of
   * Windows, whose driver left the header of one in VMCOREINFO.
   */
  readonly format: 'elf' | 'kdump' | 'raw' | 'dmp';
  /** Codec of kdump's pages (default `zlib`). */
  readonly compression?: Compression | undefined;
  /** As a flattened stream. Default: only kdump into a stream, which cannot be written otherwise. */
  readonly flattened?: boolean | undefined;
  /** The whole output as one zstd stream, to be unpacked for other tools. */
  readonly zstd?: boolean | undefined;
  /** Only this memory. */
  readonly filter?: MemoryFilter | undefined;
  /** Which part of a split dump to write. */
  readonly part?: SplitPart | undefined;
  /** Leave out what cannot be read, as of a file that was cut off or damaged, instead of failing. */
  readonly salvage?: boolean | undefined;
  /** Threads that compress pages (default: one for each CPU). */
  readonly threads?: number | undefined;
  /** Time that a kdump header tells (default: now). */
  readonly time?: Date | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called a few times a second. */
  readonly onProgress?: ((state: DumpState) => void) | undefined;
  /** Called with sentences that a user should see, as that a file had to be written in place. */
  readonly onWarning?: ((warning: string) => void) | undefined;
}

/** A dump that is being written. */
export interface DumpJob {
  /** How far it is; may be asked at any time. */
  state(): DumpState;
  /** Resolves when the dump is complete. @throws VmcoreError; nothing of the dump is left then */
  readonly completed: Promise<DumpState>;
}

/** Milliseconds between two reports of progress. */
const REPORT_EVERY = 100;

class Tracker implements WriteProgress {
  status: DumpStatus = 'none';
  readonly signal: AbortSignal | undefined;
  readonly #filter: MemoryFilter | undefined;
  readonly #detached: boolean;
  readonly #report: ((state: DumpState) => void) | undefined;
  #total = 0n;
  #written = 0n;
  #reported = 0;

  constructor({ filter, signal, onProgress }: WriteOptions, detached: boolean) {
    this.#filter = filter;
    this.#detached = detached;
    this.signal = signal;
    this.#report = onProgress;
  }

  total(bytes: bigint): void {
    this.#total = bytes;
  }

  wrote(bytes: bigint): void {
    this.#written += bytes;
    const now = performance.now();
    if (this.#report === undefined || now - this.#reported < REPORT_EVERY) return;
    this.#reported = now;
    this.#report(this.state());
  }

  state(): DumpState {
    return {
      status: this.status,
      detached: this.#detached,
      hasFilter: this.#filter !== undefined,
      begin: this.#filter?.begin ?? 0n,
      length: this.#filter?.length ?? 0n,
      totalSize: this.#total,
      writtenSize: this.#written,
    };
  }

  end(status: DumpStatus): void {
    this.status = status;
    this.#report?.(this.state());
  }
}

function checkOptions(
  { format, flattened, part, threads, compression, time }: WriteOptions,
  sequential: boolean,
): void {
  const refuse = (problem: string, expected: string): VmcoreError =>
    new VmcoreError('INVALID_ARGUMENT', problem, { expected });
  if (format === 'kdump' && sequential && flattened === false) {
    throw refuse('a kdump-compressed dump cannot be written in one go', 'the flattened form for pipes and zstd');
  }
  if (format !== 'kdump' && part !== undefined) throw refuse('only a kdump can be split', 'format kdump');
  if ((format === 'raw' || format === 'dmp') && flattened === true) {
    throw refuse(
      `a dump of the format ${format} has no flattened form`,
      'another format, or nothing: it can be written into pipes',
    );
  }
  if (format !== 'kdump' && compression !== undefined && compression !== 'none') {
    throw refuse('pages are compressed in a kdump alone', 'format kdump, or zstd for the whole file');
  }
  if (part !== undefined && (part.startPfn < 0n || part.endPfn < part.startPfn)) {
    throw refuse('the part of a split dump is not valid', 'a startPfn from 0 and an endPfn that is not below it');
  }
  if (time !== undefined && Number.isNaN(time.getTime())) throw refuse('the time of the dump is none', 'a valid date');
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= 256)) {
    throw refuse('the number of threads is not valid', '1 to 256');
  }
}

/** The files that an image is read from, where it says so: a dump does, also one that was filtered. */
function inputsOf(image: MemoryImage): readonly NamedInput[] {
  const { files = [] } = image as MemoryImage & Partial<Pick<Dump, 'files'>>;
  return files.flatMap(({ path, identity }) => (identity === undefined ? [] : [{ path, identity }]));
}

async function openSink(
  output: OpenableOutput,
  options: WriteOptions,
  inputs: readonly NamedInput[],
): Promise<DumpSink> {
  const zstd = options.zstd === true;
  const sequential = 'stream' in output || zstd;
  checkOptions(options, sequential);
  const flattened = options.flattened ?? (options.format === 'kdump' && sequential);
  const compressed = (appender: Appender): Appender => (zstd ? zstdAppender(appender) : appender);
  if ('stream' in output) {
    checkStream(output.stream, inputs);
    const appender = compressed(writableAppender(output.stream, options.signal));
    return flattened ? flattenedSink(appender) : sequentialSink(appender);
  }
  const file = await OutputFile.create(output.file, { inputs, onWarning: options.onWarning });
  if (flattened) return flattenedSink(compressed(file));
  return zstd ? sequentialSink(compressed(file)) : file;
}

/** @throws VmcoreError `UNSUPPORTED` for the core of a process */
function checkMachine(image: MemoryImage): void {
  if (image.processCore !== true) return;
  throw new VmcoreError('UNSUPPORTED', 'is the core of a process, which has no physical memory to be written', {
    file: image.name,
    expected: 'the dump of a machine; gdb reads cores of processes',
  });
}

/** What can be written of an image: all of it; of a dump that is known to lack pages, the others. */
async function readable(image: MemoryImage, { salvage, signal, onWarning }: WriteOptions): Promise<MemoryImage> {
  const { incomplete = false } = image as MemoryImage & Partial<Pick<Dump, 'incomplete'>>;
  if (salvage !== true && !incomplete) return strictImage(image);
  const salvaged = await salvageImage(image, { all: salvage === true, signal });
  if (salvaged.lost > 0n)
    onWarning?.(`${image.name}: ${salvaged.lost} bytes of memory cannot be read and are left out`);
  return salvaged.image;
}

async function writeAs(
  image: MemoryImage,
  sink: DumpSink,
  options: WriteOptions,
  tracker: Tracker,
  kernel: KernelAddresses | undefined,
): Promise<bigint> {
  if (options.format === 'raw') return writeRaw(image, sink, tracker, options.filter?.begin ?? 0n);
  if (options.format === 'dmp') return writeWindows(image, sink, tracker);
  if (options.format === 'elf') return writeElf(image, sink, tracker, kernel);
  return writeKdump(image, sink, { ...options, compression: options.compression ?? 'zlib' }, tracker);
}

/**
 * A dump that is read goes into blocks of its kernel's pages: QEMU stores an AArch64 in blocks of 64 KiB, whatever its pages
 * are, which libkdumpfile and crash do not read. Others say themselves how large their blocks are.
 */
function inKernelPages(image: MemoryImage, { format }: WriteOptions): MemoryImage {
  const isRead = (image as MemoryImage & Partial<Pick<Dump, 'format'>>).format === 'kdump';
  const pageSize = kernelPageSize({ vmcoreinfo: findVmcoreInfo(image.notes), pageSize: image.pageSize });
  return isRead && format === 'kdump' && pageSize < image.pageSize ? { ...image, pageSize } : image;
}

async function perform(
  given: MemoryImage,
  output: OpenableOutput,
  options: WriteOptions,
  tracker: Tracker,
  more: readonly NamedInput[],
): Promise<void> {
  checkMachine(given);
  const image = inKernelPages(given, options);
  const kernel = options.format === 'elf' ? await kernelAddresses(image) : undefined;
  const wanted = abortable(await readable(image, options), options.signal);
  const filtered = options.filter === undefined ? wanted : await filterImage(wanted, options.filter);
  const sink = await openSink(output, options, [...inputsOf(image), ...more]);
  try {
    const length = await writeAs(filtered, sink, options, tracker, kernel);
    await sink.finish(length);
  } catch (error) {
    await sink.abandon();
    throw error;
  }
}

function start(
  image: MemoryImage,
  output: DumpOutput,
  given: WriteOptions,
  detached: boolean,
  more: readonly NamedInput[] = [],
): DumpJob {
  check.image(image);
  const target = check.output(output);
  const options = check.write(given);
  const tracker = new Tracker(options, detached);
  tracker.status = 'active';
  const completed = perform(image, target, options, tracker, more).then(
    () => {
      tracker.end('completed');
      return tracker.state();
    },
    (error: unknown) => {
      tracker.end('failed');
      throw error;
    },
  );
  return { state: () => tracker.state(), completed };
}

/**
 * Writes a dump and waits for it.
 * @throws VmcoreError `NOTHING_TO_DUMP`, `INVALID_ARGUMENT`, `SAME_FILE`, `UNSUPPORTED`, `READ_FAILED`, `WRITE_FAILED`, `ABORTED`; no
 *   file is left then, and one that was there is as it was
 */
export async function writeDump(image: MemoryImage, output: DumpOutput, options: WriteOptions): Promise<DumpState> {
  return start(image, output, options, false).completed;
}

/** As `writeDump`, for one part of several: what was written before must not be written over. */
export async function writePart(
  image: MemoryImage,
  file: string,
  options: WriteOptions,
  written: readonly NamedInput[],
): Promise<DumpState> {
  return start(image, { file }, options, false, written).completed;
}

/** Starts to write a dump and lets the caller go on (QEMU: detach). Its `completed` must be awaited at some time. */
export function startDump(image: MemoryImage, output: DumpOutput, options: WriteOptions): DumpJob {
  return start(image, output, options, true);
}
