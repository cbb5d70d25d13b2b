import { checkAborted, VmcoreError } from '../errors.js';
import type { Extent } from '../image.js';
import { check } from '../options/calls.js';
import type { Dump } from '../read/dump.js';
import { fillBatch, pageBatches } from '../read/read-memory.js';

/** What was read while a dump was verified. */
export interface VerifyReport {
  /** Bytes of stored memory that were looked at; those that `problems` speak of could not be read. */
  readonly storedBytes: bigint;
  /** Bytes of memory that existed but were left out. */
  readonly excludedBytes: bigint;
  /** Extents of stored memory. */
  readonly extents: bigint;
  /** What could not be read: empty when the dump is whole. At most 100. */
  readonly problems: readonly VmcoreError[];
}

const MAX_PROBLEMS = 100;
const BATCH_BYTES = 4 << 20;

/** How a dump is verified. */
export interface VerifyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with bytes of memory done and to do. */
  readonly onProgress?: ((done: bigint, total: bigint) => void) | undefined;
}

/** Reads page by page what could not be read at once. */
async function findProblems(dump: Dump, extents: readonly Extent[], problems: VmcoreError[]): Promise<void> {
  const page = new Uint8Array(dump.pageSize);
  for (const { start, length } of extents) {
    for (let done = 0n; done < length && problems.length < MAX_PROBLEMS;) {
      const left = length - done;
      const inPage = BigInt(dump.pageSize) - ((start + done) % BigInt(dump.pageSize));
      const size = left < inPage ? left : inPage;
      try {
        await dump.readInto(start + done, page.subarray(0, Number(size)));
      } catch (error) {
        if (!(error instanceof VmcoreError)) throw error;
        problems.push(error);
      }
      done += size;
    }
  }
}

/** Reads a whole dump: every page must be inside the file and decompress. @throws VmcoreError `ABORTED` */
export async function verifyDump(dump: Dump, options: VerifyOptions = {}): Promise<VerifyReport> {
  check.dump(dump);
  const { signal, onProgress } = check.progress(options);
  let [storedBytes, excludedBytes, extents, total] = [0n, 0n, 0n, 0n];
  const problems: VmcoreError[] = [];
  for await (const { kind, length } of dump.extents()) {
    checkAborted(signal);
    if (kind === 'stored') total += length;
    else excludedBytes += length;
    extents += kind === 'stored' ? 1n : 0n;
  }
  const perBatch = Math.max(1, Math.floor(BATCH_BYTES / dump.pageSize));
  const buffer = new Uint8Array(perBatch * dump.pageSize);
  for await (const batch of pageBatches(dump, perBatch)) {
    checkAborted(signal);
    try {
      await fillBatch(dump, batch, buffer);
    } catch (error) {
      if (!(error instanceof VmcoreError)) throw error;
      await findProblems(dump, batch.extents, problems);
      if (problems.length >= MAX_PROBLEMS) break;
    }
    storedBytes += batch.extents.reduce((sum, { length }) => sum + length, 0n);
    onProgress?.(storedBytes, total);
  }
  return { storedBytes, excludedBytes, extents, problems };
}
