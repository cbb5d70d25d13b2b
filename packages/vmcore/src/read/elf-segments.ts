import { VmcoreError } from '../errors.js';
import type { Extent, Segment } from '../image.js';
import { fillFrom, MAX_OFFSET, type ByteSource } from '../source/byte-source.js';
import { disjoint, pieceAt, type Pieces } from '../source/disjoint.js';
import { NOT_STORED, type ProgramHeader } from '../structures/elf.js';
import { noMemory, pageExcluded } from './read-memory.js';

/** What a part of a segment is: in the file, behind the end of a file that was cut off, or left out of the dump. */
const [STORED, MISSING, EXCLUDED] = [0, 1, 2] as const;
const KINDS = [STORED, MISSING, EXCLUDED] as const;

/** PT_LOAD segments as columns: there may be half a million. */
export class SegmentTable {
  readonly #source: ByteSource;
  readonly #starts: Float64Array;
  readonly #lengths: Float64Array;
  /** Bytes that the file should have, and bytes that it has. */
  readonly #stored: Float64Array;
  readonly #inFile: Float64Array;
  readonly #offsets: Float64Array;
  readonly #virtual: BigUint64Array;
  #count = 0;
  /** Where the file should end at least (bytes). */
  #expected = 0n;

  constructor(source: ByteSource, capacity: number) {
    this.#source = source;
    this.#starts = new Float64Array(capacity);
    this.#lengths = new Float64Array(capacity);
    this.#stored = new Float64Array(capacity);
    this.#inFile = new Float64Array(capacity);
    this.#offsets = new Float64Array(capacity);
    this.#virtual = new BigUint64Array(capacity);
  }

  /** Adds a segment. @returns false when it has no physical address */
  add(header: ProgramHeader, wordBits: 32 | 64): boolean {
    const { p_paddr: start, p_memsz: memory, p_filesz: size, p_offset: offset, p_vaddr: virtual } = header;
    if (memory === 0n && size === 0n) return true;
    const length = memory > size ? memory : size;
    // Segments without a physical address, as those of /proc/kcore for virtual mappings, have -1 there.
    if (start > MAX_OFFSET || length > MAX_OFFSET - start) return false;
    const stored = size === 0n || offset === NOT_STORED[wordBits] ? 0n : size;
    const room = offset < this.#source.size ? this.#source.size - offset : 0n;
    if (stored > 0n && offset + stored > this.#expected) this.#expected = offset + stored;
    const index = this.#count;
    this.#starts[index] = Number(start);
    this.#lengths[index] = Number(length);
    this.#stored[index] = Number(stored);
    this.#inFile[index] = Number(stored < room ? stored : room);
    this.#offsets[index] = Number(offset);
    this.#virtual[index] = virtual;
    this.#count += 1;
    return true;
  }

  /** Bytes from the start of a part of a segment to its end, within the segment. */
  #part(index: number, kind: 0 | 1 | 2): readonly [number, number] {
    const [inFile = 0, stored = 0, length = 0] = [this.#inFile[index], this.#stored[index], this.#lengths[index]];
    if (kind === STORED) return [0, inFile];
    return kind === MISSING ? [inFile, stored] : [stored, length];
  }

  /**
   * The physical memory of all segments. Of a page of which the file has but a part nothing is there: formats of whole
   * pages would fill it up.
   * @param pageSize bytes
   * @param virtual whether the file tells virtual addresses
   * @throws VmcoreError `BAD_DUMP`
   */
  memory(pageSize: number, virtual: boolean): SegmentMemory {
    let count = 0;
    for (let index = 0; index < this.#count; index += 1) {
      const [start = 0, inFile = 0] = [this.#starts[index], this.#inFile[index]];
      if (inFile < (this.#stored[index] ?? 0)) {
        const end = start + inFile;
        this.#inFile[index] = Math.max(end - (end % pageSize) - start, 0);
      }
      for (const kind of KINDS) {
        const [from, to] = this.#part(index, kind);
        if (to > from) count += 1;
      }
    }
    const [starts, lengths] = [new Float64Array(count), new Float64Array(count)];
    const owners = new Uint32Array(count);
    let [part, total] = [0, 0];
    // What is in the file counts before what is not, and among those the first segment, as for gdb and crash.
    const firsts: number[] = [];
    for (const kind of KINDS) {
      firsts.push(part);
      for (let index = 0; index < this.#count; index += 1) {
        const [from, to] = this.#part(index, kind);
        if (to <= from) continue;
        starts[part] = (this.#starts[index] ?? 0) + from;
        lengths[part] = to - from;
        owners[part] = index;
        total += to - from;
        part += 1;
      }
    }
    const pieces = disjoint(starts, lengths, count, false);
    const [, firstMissing = count, firstExcluded = count] = firsts;
    const kindOf = (piece: number): 0 | 1 | 2 => {
      const owner = pieces.owners[piece] ?? 0;
      if (owner < firstMissing) return STORED;
      return owner < firstExcluded ? MISSING : EXCLUDED;
    };
    const sums: [number, number, number] = [0, 0, 0];
    for (let piece = 0; piece < pieces.count; piece += 1) {
      sums[kindOf(piece)] += (pieces.ends[piece] ?? 0) - (pieces.starts[piece] ?? 0);
    }
    checkStored(sums[STORED], this.#source);
    return new SegmentMemory(this.#source, pieces, {
      kindOf,
      overlap: virtual && total > sums[STORED] + sums[MISSING] + sums[EXCLUDED],
      missing: sums[MISSING],
      expected: this.#expected,
      offset: (piece, position) => {
        const index = owners[pieces.owners[piece] ?? 0] ?? 0;
        return (this.#offsets[index] ?? 0) + position - (this.#starts[index] ?? 0);
      },
      virtual: (piece, position) => {
        if (!virtual) return undefined;
        const index = owners[pieces.owners[piece] ?? 0] ?? 0;
        return BigInt.asUintN(64, (this.#virtual[index] ?? 0n) + BigInt(position - (this.#starts[index] ?? 0)));
      },
      segments: () => this.#segments(),
    });
  }

  *#segments(): Generator<Segment> {
    for (let index = 0; index < this.#count; index += 1) {
      yield {
        start: BigInt(this.#starts[index] ?? 0),
        length: BigInt(this.#lengths[index] ?? 0),
        stored: BigInt(this.#inFile[index] ?? 0),
        virtual: this.#virtual[index] ?? 0n,
      };
    }
  }
}

/** Memory that shares bytes of the file could be claimed without end; dumps have each byte of memory once. */
function checkStored(stored: number, source: ByteSource): void {
  if (stored <= Number(source.size)) return;
  throw new VmcoreError('BAD_DUMP', 'the segments claim more memory than the file has', {
    file: source.name,
    field: 'p_filesz',
    found: `${stored} bytes of memory`,
    expected: `at most ${source.size}, the bytes of the file`,
  });
}

interface SegmentRules {
  readonly kindOf: (piece: number) => 0 | 1 | 2;
  /** Whether segments show the same memory more than once. */
  readonly overlap: boolean;
  /** Bytes of memory that the file should have and has not. */
  readonly missing: number;
  readonly expected: bigint;
  readonly offset: (piece: number, position: number) => number;
  readonly virtual: (piece: number, position: number) => bigint | undefined;
  readonly segments: () => Iterable<Segment>;
}

/** Physical memory out of segments that may overlap. */
export class SegmentMemory {
  readonly #source: ByteSource;
  readonly #pieces: Pieces;
  readonly #rules: SegmentRules;

  constructor(source: ByteSource, pieces: Pieces, rules: SegmentRules) {
    this.#source = source;
    this.#pieces = pieces;
    this.#rules = rules;
  }

  /** First physical address behind all memory. */
  get limit(): bigint {
    return this.#pieces.count === 0 ? 0n : BigInt(this.#pieces.ends[this.#pieces.count - 1] ?? 0);
  }

  /** Bytes of memory that the file should have and has not, and where it should end at least. */
  get missing(): { readonly bytes: bigint; readonly expected: bigint } {
    return { bytes: BigInt(this.#rules.missing), expected: this.#rules.expected };
  }

  /** The segments as they stand in the file, where extents do not say it all. */
  get segments(): (() => Iterable<Segment>) | undefined {
    return this.#rules.overlap ? this.#rules.segments : undefined;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the interface is for images whose extents must be read
  async *extents(from: bigint): AsyncGenerator<Extent> {
    const { starts, ends, count } = this.#pieces;
    for (let piece = from > MAX_OFFSET ? count : pieceAt(this.#pieces, Number(from)); piece < count; piece += 1) {
      const [start = 0, end = 0] = [starts[piece], ends[piece]];
      const kind = this.#rules.kindOf(piece);
      yield {
        start: BigInt(start),
        length: BigInt(end - start),
        kind: kind === STORED ? 'stored' : 'excluded',
        missing: kind === MISSING ? true : undefined,
        virtual: this.#rules.virtual(piece, start),
      };
    }
  }

  async readInto(address: bigint, target: Uint8Array): Promise<void> {
    if (address > MAX_OFFSET) throw noMemory(this.#source, address);
    const { starts, ends, count } = this.#pieces;
    const start = Number(address);
    const end = start + target.length;
    let position = start;
    for (let piece = pieceAt(this.#pieces, start); position < end; piece += 1) {
      const [from = Infinity, to = 0] = [starts[piece], ends[piece]];
      if (piece >= count || from > position) throw noMemory(this.#source, BigInt(position));
      const kind = this.#rules.kindOf(piece);
      if (kind === EXCLUDED) throw pageExcluded(this.#source, BigInt(position));
      const at = BigInt(this.#rules.offset(piece, position));
      if (kind === MISSING) throw this.#cutOff(BigInt(position), at);
      const until = Math.min(to, end);
      await fillFrom(this.#source, at, target.subarray(position - start, until - start), 'p_offset, p_filesz');
      position = until;
    }
  }

  #cutOff(address: bigint, offset: bigint): VmcoreError {
    return new VmcoreError(
      'TRUNCATED',
      `the file ends before the memory at physical address 0x${address.toString(16)}`,
      {
        file: this.#source.name,
        field: 'p_offset, p_filesz',
        offset,
        found: `a file of ${this.#source.size} bytes`,
        expected: `at least ${this.#rules.expected}`,
      },
    );
  }
}
