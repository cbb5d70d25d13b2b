import { VmcoreError } from '../errors.js';
import { check } from '../options/calls.js';
import type { DumpFile } from '../read/dump.js';
import { openKdump } from '../read/kdump-dump.js';
import { isElf } from '../read/elf-header.js';
import { isKdump } from '../read/kdump-header.js';
import { PageBitmap } from '../read/page-bitmap.js';
import { codecsOf } from '../read/page-store.js';
import { mendBitmaps } from '../repair/bitmaps.js';
import { mendDescriptors } from '../repair/descriptors.js';
import { mendHeader } from '../repair/header.js';
import { patchedSource } from '../repair/patched-source.js';
import type { ByteSource } from '../source/byte-source.js';
import { fileSource } from '../source/file-source.js';
import { flattenedSource, isFlattened } from '../source/flattened-source.js';
import type { DumpState } from '../write/dump-state.js';
import { writeDump, type DumpOutput, type WriteOptions } from '../write/write-dump.js';
import { salvageImage } from './salvage.js';

/** How a dump is repaired. Its pages are compressed as they were unless `compression` says otherwise. */
export interface RepairOptions extends Omit<WriteOptions, 'format' | 'part' | 'salvage' | 'filter'> {
  /** Called for each page that cannot be recomputed and is left out; for all that follow at once where a file ends. */
  readonly onLost?: ((page: LostPages) => void) | undefined;
}

/** Memory that the repaired dump has not. */
export interface LostPages {
  /** Physical address. */
  readonly start: bigint;
  /** Bytes. */
  readonly length: bigint;
  readonly problem: VmcoreError;
}

/** What a repair came to. */
export interface RepairReport {
  /** What was recomputed, a sentence each. */
  readonly mended: readonly string[];
  /** Bytes of memory that are left out, as they cannot be read. */
  readonly lost: bigint;
  /** Of the dump that was written. */
  readonly state: DumpState;
}

async function startOf(source: ByteSource): Promise<Uint8Array> {
  const start = new Uint8Array(16);
  return start.subarray(0, await source.read(0n, start));
}

/** @throws VmcoreError `UNSUPPORTED`, `NOT_A_DUMP` */
async function checkKind(source: ByteSource): Promise<void> {
  const start = await startOf(source);
  if (isKdump(start)) return;
  const elf = isElf(start);
  throw new VmcoreError(
    elf ? 'UNSUPPORTED' : 'NOT_A_DUMP',
    elf ? 'an ELF dump has no bitmaps and page descriptors that could be recomputed' : 'is not a kdump-compressed dump',
    {
      file: source.name,
      offset: 0n,
      found: start.length === 0 ? 'an empty file' : `the bytes ${Buffer.from(start.subarray(0, 8)).toString('hex')}`,
      expected: elf
        ? 'a kdump-compressed dump; what is left of an ELF dump is written by convert with salvage'
        : 'a kdump-compressed dump, or a flattened stream of one',
    },
  );
}

/**
 * Writes a damaged kdump-compressed dump anew, with all that follows from the rest of it recomputed: the count of pages,
 * the bitmaps (each from the other), page descriptors (from where the pages around them lie). Pages whose data is damaged
 * are left out and named. The damaged file stays as it is.
 * @param file name of a kdump-compressed dump, or of a flattened stream of one
 * @throws VmcoreError `NOT_A_DUMP`, `UNSUPPORTED`, `BAD_DUMP` where nothing can be recomputed, and as `writeDump`
 */
export async function repairDump(file: string, output: DumpOutput, given: RepairOptions = {}): Promise<RepairReport> {
  check.file(file);
  const target = check.output(output);
  const options = check.repair(given);
  const stored = await fileSource(file);
  try {
    const flattened = isFlattened(await startOf(stored));
    const source = flattened ? await flattenedSource(stored, undefined) : stored;
    return await repair(
      source,
      { path: file, size: stored.size, flattened, identity: stored.identity },
      target,
      options,
    );
  } finally {
    await stored.close();
  }
}

async function repair(
  stored: ByteSource,
  file: DumpFile,
  output: DumpOutput,
  { onLost, ...options }: RepairOptions,
): Promise<RepairReport> {
  const { signal } = options;
  await checkKind(stored);
  const { source, header, mended } = await mendHeader(stored);
  if (header.split !== undefined) {
    throw new VmcoreError('UNSUPPORTED', 'is a part of a split dump', {
      file: file.path,
      expected: 'a whole dump: reassemble the parts with salvage',
    });
  }
  const bitmaps = await mendBitmaps(source, header);
  const withBitmaps = patchedSource(source, bitmaps.patches);
  const pages = Number(header.maxMapnr);
  const count = await new PageBitmap(withBitmaps, header.bitmap2, pages).rank(pages);
  const descriptors = await mendDescriptors(withBitmaps, header, count, signal);
  const dump = await openKdump(patchedSource(withBitmaps, descriptors.patches), file);
  const { image, lost } = await salvageImage(dump, {
    all: true,
    signal,
    onLost: (start, length, problem) => onLost?.({ start, length, problem }),
  });
  const [codec = 'none'] = codecsOf(header.status);
  const state = await writeDump(
    // It is complete now, but for what is left out.
    { ...image, incomplete: false } as typeof image,
    output,
    { compression: codec, time: dump.timestamp, ...options, format: 'kdump' },
  );
  return { mended: [...mended, ...bitmaps.mended, ...descriptors.mended], lost, state };
}
