import { kernelLookups } from '../kernel/lookups.js';
import { memoryStreams } from './memory-stream.js';
import { hex, VmcoreError } from '../errors.js';
import type { Extent } from '../image.js';
import type { Dump } from './dump.js';
import { noMemory, pagesOf, readMemory } from './read-memory.js';

interface Part {
  readonly dump: Dump;
  readonly start: bigint;
  readonly end: bigint;
}

/** The error of a file that is none of several parts. */
export function notAPart(file: string): VmcoreError {
  return new VmcoreError('BAD_DUMP', 'is not a part of a split dump', { file, field: 'split' });
}

function partOf(dump: Dump): Part {
  if (dump.split === undefined) throw notAPart(dump.name);
  const size = BigInt(dump.pageSize);
  return { dump, start: dump.split.startPfn * size, end: dump.split.endPfn * size };
}

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

function checkParts(parts: readonly Part[]): void {
  let previous: Part | undefined;
  for (const part of parts) {
    const { dump, start } = part;
    const first = parts[0]?.dump ?? dump;
    const alike = (['machine', 'byteOrder', 'wordBits', 'pageSize', 'addressLimit'] as const).every(
      (field) => dump[field] === first[field],
    );
    if (!alike) {
      throw new VmcoreError('BAD_DUMP', 'is a part of another dump', {
        file: dump.name,
        field: 'utsname, block_size, max_mapnr',
        found: `${dump.machine}, ${dump.byteOrder} endian, ${dump.addressLimit} bytes of memory`,
        expected: `${first.machine}, ${first.byteOrder} endian, ${first.addressLimit} bytes, as ${first.name} has`,
      });
    }
    const expected = previous?.end ?? 0n;
    if (start !== expected) {
      throw new VmcoreError('BAD_DUMP', 'the parts of the split dump leave a gap or overlap', {
        file: dump.name,
        field: 'start_pfn',
        found: hex(start),
        expected: hex(expected),
      });
    }
    previous = part;
  }
  if (previous !== undefined && previous.end < previous.dump.addressLimit) {
    throw new VmcoreError('BAD_DUMP', 'the last part of the split dump is missing', {
      file: previous.dump.name,
      field: 'end_pfn',
      found: hex(previous.end),
      expected: hex(previous.dump.addressLimit),
    });
  }
}

/**
 * The parts of a split dump as one dump.
 * @param dumps in any order; they are closed with it
 * @throws VmcoreError `BAD_DUMP` when they are not all the parts of one dump
 */
export function joinParts(dumps: readonly Dump[]): Dump {
  // A part may be empty: it then comes before the one that begins at the same page.
  const parts = dumps.map(partOf).sort((a, b) => compare(a.start, b.start) || compare(a.end, b.end));
  checkParts(parts);
  const first = parts[0]?.dump;
  if (first === undefined) throw new VmcoreError('INVALID_ARGUMENT', 'no parts were given');

  async function* extents(from = 0n): AsyncGenerator<Extent> {
    for (const { dump, start, end } of parts) {
      if (end <= from) continue;
      for await (const extent of dump.extents(from > start ? from : start)) {
        if (extent.start >= end) break;
        const length = extent.start + extent.length > end ? end - extent.start : extent.length;
        yield { ...extent, length };
      }
    }
  }

  // The part that was opened first has the notes of all.
  const joined: Dump = {
    ...(dumps[0] ?? first),
    name: first.name,
    files: parts.flatMap(({ dump }) => dump.files),
    split: undefined,
    incomplete: parts.some(({ dump }) => dump.incomplete),
    warnings: parts.flatMap(({ dump }) => dump.warnings),
    eraseInfo: parts.find(({ dump }) => dump.eraseInfo !== undefined)?.dump.eraseInfo,
    extents,
    async readInto(address, target) {
      let done = 0;
      for (const { dump, end } of parts) {
        const position = address + BigInt(done);
        if (position >= end) continue;
        const length = Math.min(target.length - done, Number(end - position));
        await dump.readInto(position, target.subarray(done, done + length));
        done += length;
        if (done === target.length) return;
      }
      throw noMemory(first, address + BigInt(done));
    },
    async cutOff() {
      for (const { dump } of parts) {
        const cutOff = await dump.cutOff();
        if (cutOff !== undefined) return cutOff;
      }
      return undefined;
    },
    read: async (address, length, options) => readMemory(joined, address, length, options),
    pages: () => pagesOf(joined),
    ...kernelLookups(() => joined),
    ...memoryStreams(() => joined),
    async close() {
      await Promise.all(parts.map(async ({ dump }) => dump.close()));
    },
  };
  return joined;
}
