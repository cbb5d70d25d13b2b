import { checkAborted, VmcoreError } from '../errors.js';
import type { Extent } from '../image.js';
import { check } from '../options/calls.js';
import type { CutOff, Dump } from '../read/dump.js';
import { fillBatch, isBehindDescriptors, pageBatches } from '../read/read-memory.js';

/** What was read while a dump was verified. */
export interface VerifyReport {
  /** Bytes of stored memory that were looked at; those that `problems` speak of could not be read. */
  readonly storedBytes: bigint;
  /** Bytes of memory that existed but were left out. */
  readonly excludedBytes: bigint;
  /** Extents of stored memory. */
  readonly extents: bigint;
  /** What could not be read: empty when all of it can be. The first 100. */
  readonly problems: readonly VmcoreError[];
  /** The same by cause, with how many pages each took; at most 100. */
  readonly causes: readonly VerifyCause[];
  /** Where the file ends too early; undefined when it does not. */
  readonly cutOff: CutOff | undefined;
}

/** Pages that cannot be read for one reason. */
export interface VerifyCause {
  /** The first of them. */
  readonly first: VmcoreError;
  readonly pages: bigint;
}

const MAX_PROBLEMS = 100;
const BATCH_BYTES = 4 << 20;

/** How a dump is verified. */
export interface VerifyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with bytes of memory done and to do. */
  readonly onProgress?: ((done: bigint, total: bigint) => void) | undefined;
  /** Called for each page that cannot be read; where the file has no descriptors any more, for the first of them. */
  readonly onProblem?: ((problem: VmcoreError) => void) | undefined;
}

/** Gathers what is wrong: a damaged dump may have millions of pages with the same trouble. */
class Problems {
  readonly list: VmcoreError[] = [];
  readonly #causes = new Map<string, { first: VmcoreError; pages: bigint }>();
  readonly #report: VerifyOptions['onProblem'];

  constructor(report: VerifyOptions['onProblem']) {
    this.#report = report;
  }

  add(problem: VmcoreError, pages: bigint): void {
    if (this.list.length < MAX_PROBLEMS) this.list.push(problem);
    this.#report?.(problem);
    // The same words about another page are the same cause.
    const key = `${problem.code} ${problem.field ?? ''} ${problem.problem.replaceAll(/0x[0-9a-f]+|\d+/g, '#')}`;
    const cause = this.#causes.get(key);
    if (cause !== undefined) cause.pages += pages;
    else if (this.#causes.size < MAX_PROBLEMS) this.#causes.set(key, { first: problem, pages });
  }

  get causes(): VerifyCause[] {
    return [...this.#causes.values()];
  }
}

/** Reads page by page what could not be read at once. */
async function findProblems(dump: Dump, extents: readonly Extent[], problems: Problems): Promise<void> {
  const size = BigInt(dump.pageSize);
  const page = new Uint8Array(dump.pageSize);
  for (const { start, length } of extents) {
    for (let done = 0n; done < length;) {
      const left = length - done;
      const inPage = size - ((start + done) % size);
      const take = left < inPage ? left : inPage;
      try {
        await dump.readInto(start + done, page.subarray(0, Number(take)));
      } catch (error) {
        if (!(error instanceof VmcoreError)) throw error;
        const all = isBehindDescriptors(error);
        problems.add(error, all ? (left + size - 1n) / size : 1n);
        if (all) break;
      }
      done += take;
    }
  }
}

/** Reads a whole dump: every page must be inside the file and decompress. @throws VmcoreError `ABORTED` */
export async function verifyDump(dump: Dump, options: VerifyOptions = {}): Promise<VerifyReport> {
  check.dump(dump);
  const { signal, onProgress, onProblem } = check.verify(options);
  let [storedBytes, excludedBytes, extents, total] = [0n, 0n, 0n, 0n];
  const problems = new Problems(onProblem);
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
    }
    storedBytes += batch.extents.reduce((sum, { length }) => sum + length, 0n);
    onProgress?.(storedBytes, total);
  }
  const cutOff = await dump.cutOff();
  return { storedBytes, excludedBytes, extents, problems: problems.list, causes: problems.causes, cutOff };
}
