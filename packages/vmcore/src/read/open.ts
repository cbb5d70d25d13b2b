import { VmcoreError } from '../errors.js';
import { check } from '../options/calls.js';
import { memorySource, type ByteSource } from '../source/byte-source.js';
import { fileSource } from '../source/file-source.js';
import { flattenedSource, isFlattened } from '../source/flattened-source.js';
import type { Dump } from './dump.js';
import { openElf } from './elf-dump.js';
import { isElf } from './elf-header.js';
import { openKdump } from './kdump-dump.js';
import { foreignFile, FOREIGN_BYTES } from './foreign.js';
import { isKdump } from './kdump-header.js';
import { PartBudget } from './part-budget.js';
import { joinParts, notAPart } from './split-dump.js';

/** Most parts of a split dump. */
const MAX_PARTS = 64;

async function startOf(source: ByteSource): Promise<Uint8Array> {
  const start = new Uint8Array(16);
  return start.subarray(0, await source.read(0n, start));
}

/**
 * Opens a dump whose bytes come from anywhere. The dump closes the source.
 * @throws VmcoreError `NOT_A_DUMP`, `UNSUPPORTED`, `BAD_DUMP`, `TRUNCATED`, `TOO_LARGE`; the source is closed then
 */
export async function openSource(stored: ByteSource): Promise<Dump> {
  check.source(stored);
  return openPart(stored, undefined);
}

/** Opens a dump, or one of several parts that have one budget of memory. */
async function openPart(stored: ByteSource, budget: PartBudget | undefined): Promise<Dump> {
  try {
    const flattened = isFlattened(await startOf(stored));
    const source = flattened ? await flattenedSource(stored, budget) : stored;
    const file = { path: stored.name, size: stored.size, flattened, identity: stored.identity };
    const start = await startOf(source);
    if (isElf(start)) {
      if (budget !== undefined) throw notAPart(stored.name);
      return await openElf(source, file);
    }
    if (isKdump(start)) return await openKdump(source, file, budget);
    if (start.length < 16 && source.cutOff !== undefined) {
      throw new VmcoreError('TRUNCATED', 'the flattened stream ends before its end mark', {
        file: stored.name,
        found: `a file of ${stored.size} bytes`,
      });
    }
    const more = new Uint8Array(FOREIGN_BYTES);
    const foreign = foreignFile(more.subarray(0, await source.read(0n, more)));
    if (foreign !== undefined) {
      throw new VmcoreError('NOT_A_DUMP', foreign.what, { file: stored.name, expected: foreign.remedy });
    }
    throw new VmcoreError('NOT_A_DUMP', 'is not a guest memory dump', {
      file: stored.name,
      offset: 0n,
      found: start.length === 0 ? 'an empty file' : `the bytes ${Buffer.from(start.subarray(0, 8)).toString('hex')}`,
      expected: 'an ELF vmcore, a kdump-compressed dump, or a flattened stream of either',
    });
  } catch (error) {
    await stored.close();
    throw error;
  }
}

/**
 * Opens a dump: an ELF vmcore, a kdump-compressed dump, a flattened stream of either, or all parts of a split dump. Only
 * its headers and notes are read.
 * @param path a file, the names of all parts, or the bytes of a dump
 * @throws VmcoreError `READ_FAILED`, `NOT_A_DUMP`, `UNSUPPORTED`, `BAD_DUMP`, `TRUNCATED`, `TOO_LARGE`
 */
export async function openDump(path: string | readonly string[] | Uint8Array): Promise<Dump> {
  check.openable(path);
  if (typeof path === 'string') return openSource(await fileSource(path));
  if (path instanceof Uint8Array) return openSource(memorySource(path));
  const [only] = path;
  if (path.length === 1 && only !== undefined) return openSource(await fileSource(only));
  if (path.length === 0 || path.length > MAX_PARTS) {
    throw new VmcoreError('INVALID_ARGUMENT', 'a split dump cannot have so many parts', {
      found: String(path.length),
      expected: `1 to ${MAX_PARTS}`,
    });
  }
  const dumps: Dump[] = [];
  try {
    const budget = new PartBudget(path.length);
    for (const part of path) dumps.push(await openPart(await fileSource(part), budget));
    return joinParts(dumps);
  } catch (error) {
    await Promise.all(dumps.map(async (dump) => dump.close()));
    throw error;
  }
}
