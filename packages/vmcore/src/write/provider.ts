import type { Endian } from '@instar/layout';
import { hex, VmcoreError } from '../errors.js';
import type { Extent, MemoryImage, Utsname } from '../image.js';
import { latin1Bytes, type Note } from '../notes/note.js';
import { cpuNotes, type CpuState } from '../notes/registers.js';
import { VMCOREINFO_NOTE, VmcoreInfo } from '../notes/vmcoreinfo.js';
import { checkProvider } from '../options/provider.js';
import { noMemory } from '../read/read-memory.js';
import type { Machine } from '../structures/machines.js';
import type { WordBits } from '../structures/targets.js';

/** A range of a provider's memory. */
export interface ProviderRange {
  /** Physical address. */
  readonly start: bigint;
  /** Bytes, above 0. */
  readonly length: bigint;
  /** Virtual address of its first byte (default: none, and ELF files say the physical one). */
  readonly virtual?: bigint | undefined;
}

/** Memory and registers of a machine that somebody else runs, to be written as a dump. */
export interface MemoryProvider {
  /** What messages call it. */
  readonly name?: string | undefined;
  readonly machine: Machine;
  /** Default: that of the machine. */
  readonly byteOrder?: Endian | undefined;
  /** Default: that of the machine. */
  readonly wordBits?: WordBits | undefined;
  /** Bytes of a page, a power of two (default 4096). */
  readonly pageSize?: number | undefined;
  /** In any order; they must not overlap. */
  readonly ranges: readonly ProviderRange[];
  /** Fills a buffer with memory of one range. Calls may overlap in time. */
  readonly read: (address: bigint, target: Uint8Array) => Promise<void> | void;
  readonly cpus?: readonly CpuState[] | undefined;
  /** VMCOREINFO: lines of `KEY=value`. */
  readonly vmcoreinfo?: string | undefined;
  /** Notes behind those of the CPUs and VMCOREINFO. */
  readonly notes?: readonly Note[] | undefined;
  readonly physBase?: bigint | undefined;
  readonly utsname?: Utsname | undefined;
}

const BIG_ENDIAN: readonly Machine[] = ['s390x'];
const NARROW: readonly Machine[] = ['i386', 'arm'];
const ADDRESS_LIMIT = 1n << 52n;

function sortRanges(ranges: readonly ProviderRange[], name: string): ProviderRange[] {
  const sorted = [...ranges].sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
  let end = 0n;
  for (const { start, length } of sorted) {
    if (length <= 0n || start < end || start + length > ADDRESS_LIMIT) {
      throw new VmcoreError('INVALID_ARGUMENT', 'a range of memory is not valid', {
        file: name,
        offset: start < 0n ? undefined : start,
        found: `start ${hex(start)}, length ${hex(length)}`,
        expected: `a length above 0, no overlap with the range before it, an end of at most ${hex(ADDRESS_LIMIT)}`,
      });
    }
    end = start + length;
  }
  return sorted;
}

/** Index of the first range that ends behind an address; there may be tens of thousands. */
function firstBehind(sorted: readonly ProviderRange[], address: bigint): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const { start = 0n, length = 0n } = sorted[middle] ?? {};
    if (start + length <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What can be written from a provider. @throws VmcoreError `INVALID_ARGUMENT` */
export function providedImage(given: MemoryProvider): MemoryImage {
  const provider = checkProvider(given);
  const { machine, pageSize = 4096, name = 'memory' } = provider;
  if (pageSize < 512 || pageSize > 1 << 20 || !Number.isInteger(Math.log2(pageSize))) {
    throw new VmcoreError('INVALID_ARGUMENT', 'the page size is not valid', {
      file: name,
      found: String(pageSize),
      expected: 'a power of two from 512 to 1048576',
    });
  }
  if (provider.vmcoreinfo !== undefined && Array.from(provider.vmcoreinfo).some((character) => character > '\u00ff')) {
    throw new VmcoreError('INVALID_ARGUMENT', 'VMCOREINFO has characters that are not bytes', { file: name });
  }
  const ranges = sortRanges(provider.ranges, name);
  const byteOrder = provider.byteOrder ?? (BIG_ENDIAN.includes(machine) ? 'big' : 'little');
  const wordBits = provider.wordBits ?? (NARROW.includes(machine) ? 32 : 64);
  const format = { machine, byteOrder, wordBits };
  const { vmcoreinfo } = provider;
  const info =
    vmcoreinfo === undefined ? [] : [{ name: VMCOREINFO_NOTE, type: 0, descriptor: latin1Bytes(vmcoreinfo) }];
  const last = ranges[ranges.length - 1];

  // eslint-disable-next-line @typescript-eslint/require-await -- the interface is for images whose extents must be read
  async function* extents(from = 0n): AsyncGenerator<Extent> {
    for (const { start, length, virtual } of ranges) {
      if (start + length > from) yield { start, length, kind: 'stored', virtual };
    }
  }
  return {
    ...format,
    name,
    pageSize,
    notes: [
      ...(provider.cpus ?? []).flatMap((cpu, index) => cpuNotes(cpu, index, format)),
      ...info,
      ...(provider.notes ?? []),
    ],
    physBase: provider.physBase ?? (vmcoreinfo === undefined ? undefined : new VmcoreInfo(vmcoreinfo).physBase),
    utsname: provider.utsname,
    addressLimit: last === undefined ? 0n : last.start + last.length,
    extents,
    async readInto(address, target) {
      let done = 0;
      for (let index = firstBehind(ranges, address); index < ranges.length; index += 1) {
        const { start = 0n, length = 0n } = ranges[index] ?? {};
        const position = address + BigInt(done);
        if (start > position) break;
        const part = Math.min(target.length - done, Number(start + length - position));
        await provider.read(position, target.subarray(done, done + part));
        done += part;
        if (done === target.length) return;
      }
      if (done < target.length) throw noMemory({ name }, address + BigInt(done));
    },
  };
}
