import { VmcoreError } from '../errors.js';
import type { Extent } from '../image.js';
import { MAX_NOTE_BYTES, parseNotes, type Note } from '../notes/note.js';
import { cpusOf, type CpuRegisters } from '../notes/registers.js';
import { findVmcoreInfo } from '../notes/vmcoreinfo.js';
import { bytesAt, checkRange, fillFrom, MAX_OFFSET, type ByteSource } from '../source/byte-source.js';
import { disjoint, pieceAt, type Pieces } from '../source/disjoint.js';
import { NOT_STORED, PT_LOAD, PT_NOTE, type ProgramHeader } from '../structures/elf.js';
import { machineOfElf } from '../structures/machines.js';
import type { Dump, DumpFile } from './dump.js';
import { programHeaders, readElfHeader, type ElfHeader } from './elf-header.js';
import { noMemory, pageExcluded, pagesOf, readMemory } from './read-memory.js';

/** Note in which makedumpfile says what it erased from an ELF file. */
const ERASEINFO_NOTE = 'ERASEINFO';

/** PT_LOAD segments as columns: there may be a million. */
class Segments {
  readonly starts: Float64Array;
  readonly lengths: Float64Array;
  readonly offsets: Float64Array;
  readonly virtual: BigUint64Array;
  count = 0;

  constructor(capacity: number) {
    // Each segment can come to two: what the file has of it, and what it has not.
    this.starts = new Float64Array(2 * capacity);
    this.lengths = new Float64Array(2 * capacity);
    this.offsets = new Float64Array(2 * capacity);
    this.virtual = new BigUint64Array(2 * capacity);
  }

  /** @param offset in the file; -1 when it is not stored */
  add(start: bigint, length: bigint, offset: number, virtual: bigint): void {
    if (length === 0n) return;
    this.starts[this.count] = Number(start);
    this.lengths[this.count] = Number(length);
    this.offsets[this.count] = offset;
    this.virtual[this.count] = virtual;
    this.count += 1;
  }
}

interface Parts {
  readonly segments: Segments;
  readonly notes: Note[];
  readonly warnings: string[];
}

function addSegment(segments: Segments, header: ProgramHeader, wordBits: 32 | 64, source: ByteSource): boolean {
  const { p_paddr: start, p_memsz: memory, p_filesz: stored, p_offset: offset, p_vaddr: virtual } = header;
  if (memory === 0n && stored === 0n) return true;
  const size = memory > stored ? memory : stored;
  // Segments without a physical address, as those of /proc/kcore for virtual mappings, have -1 there.
  if (start > MAX_OFFSET || size > MAX_OFFSET - start) return false;
  const absent = stored === 0n || offset === NOT_STORED[wordBits];
  const inFile = absent ? 0n : stored;
  if (!absent) checkRange(source, offset, stored, 'p_offset, p_filesz');
  segments.add(start, inFile, Number(offset), virtual);
  segments.add(start + inFile, size - inFile, -1, BigInt.asUintN(64, virtual + inFile));
  return true;
}

/** Adds the notes of a segment. @param taken bytes of the notes before it */
async function readNotes(
  source: ByteSource,
  header: ProgramHeader,
  elf: ElfHeader,
  taken: number,
  notes: Note[],
): Promise<void> {
  const { p_offset: offset, p_filesz: size } = header;
  checkRange(source, offset, size, 'PT_NOTE');
  if (size > BigInt(MAX_NOTE_BYTES - taken)) {
    throw new VmcoreError('TOO_LARGE', 'the dump has too many notes', {
      file: source.name,
      field: 'PT_NOTE',
      offset,
      found: `${size} bytes`,
      expected: `at most ${MAX_NOTE_BYTES} in all`,
    });
  }
  const bytes = await bytesAt(source, offset, Number(size), 'PT_NOTE');
  parseNotes(bytes, elf.byteOrder, { file: source.name, offset }, notes);
}

async function readParts(source: ByteSource, header: ElfHeader): Promise<Parts> {
  const segments = new Segments(header.count);
  const notes: Note[] = [];
  const warnings: string[] = [];
  let noteBytes = 0;
  let unplaced = 0;
  for await (const segment of programHeaders(source, header)) {
    if (segment.p_type === PT_NOTE) {
      await readNotes(source, segment, header, noteBytes, notes);
      noteBytes += Number(segment.p_filesz);
    } else if (segment.p_type === PT_LOAD && !addSegment(segments, segment, header.wordBits, source)) {
      unplaced += 1;
    }
  }
  if (unplaced > 0) warnings.push(`${unplaced} segments have no physical address and are not read`);
  return { segments, notes, warnings };
}

/** Opens an ELF vmcore. @throws VmcoreError */
export async function openElf(source: ByteSource, file: DumpFile): Promise<Dump> {
  const header = await readElfHeader(source);
  const { segments, notes, warnings } = await readParts(source, header);
  // Where segments overlap the first one counts, as for gdb and crash.
  const pieces = disjoint(segments.starts, segments.lengths, segments.count, false);
  checkStored(pieces, segments, source);
  const vmcoreinfo = findVmcoreInfo(notes);
  const machine = machineOfElf(header.machine);
  const format = { machine, byteOrder: header.byteOrder, wordBits: header.wordBits };
  const pageSize = Number(vmcoreinfo?.pageSize ?? 4096n);
  // Registers take much more memory than their notes: they are read when they are asked for.
  let cpus: readonly CpuRegisters[] | undefined;
  const dump: Dump = {
    ...format,
    name: file.path,
    format: 'elf',
    files: [file],
    version: 1,
    compression: [],
    incomplete: false,
    pageSize: isPageSize(pageSize) ? pageSize : 4096,
    notes,
    warnings,
    vmcoreinfo,
    physBase: vmcoreinfo?.physBase,
    get cpus() {
      return (cpus ??= cpusOf(notes, format));
    },
    eraseInfo: notes.find((note) => note.name === ERASEINFO_NOTE)?.descriptor,
    addressLimit: pieces.count === 0 ? 0n : BigInt(pieces.ends[pieces.count - 1] ?? 0),
    extents: (from = 0n) => extentsOf(pieces, segments, from),
    readInto: async (address, target) => readSegments(source, pieces, segments, address, target),
    read: async (address, length, options) => readMemory(dump, address, length, options),
    pages: () => pagesOf(dump),
    close: async () => source.close(),
  };
  return dump;
}

/** Memory that shares bytes of the file could be claimed without end; dumps have each byte once. */
function checkStored(pieces: Pieces, segments: Segments, source: ByteSource): void {
  let stored = 0;
  for (let piece = 0; piece < pieces.count; piece += 1) {
    if ((segments.offsets[pieces.owners[piece] ?? 0] ?? -1) < 0) continue;
    stored += (pieces.ends[piece] ?? 0) - (pieces.starts[piece] ?? 0);
  }
  if (stored <= Number(source.size)) return;
  throw new VmcoreError('BAD_DUMP', 'the segments claim more memory than the file has', {
    file: source.name,
    field: 'p_filesz',
    found: `${stored} bytes of memory`,
    expected: `at most ${source.size}, the bytes of the file`,
  });
}

function isPageSize(size: number): boolean {
  return size >= 512 && size <= 1 << 20 && Number.isInteger(Math.log2(size));
}

// eslint-disable-next-line @typescript-eslint/require-await -- the interface is for images whose extents must be read
async function* extentsOf(pieces: Pieces, segments: Segments, from: bigint): AsyncGenerator<Extent> {
  for (let piece = from > MAX_OFFSET ? pieces.count : pieceAt(pieces, Number(from)); piece < pieces.count; piece += 1) {
    const [start = 0, end = 0, owner = 0] = [pieces.starts[piece], pieces.ends[piece], pieces.owners[piece]];
    yield {
      start: BigInt(start),
      length: BigInt(end - start),
      kind: (segments.offsets[owner] ?? -1) < 0 ? 'excluded' : 'stored',
      virtual: BigInt.asUintN(64, (segments.virtual[owner] ?? 0n) + BigInt(start - (segments.starts[owner] ?? 0))),
    };
  }
}

async function readSegments(
  source: ByteSource,
  pieces: Pieces,
  segments: Segments,
  address: bigint,
  target: Uint8Array,
): Promise<void> {
  if (address > MAX_OFFSET) throw noMemory(source, address);
  const start = Number(address);
  const end = start + target.length;
  let position = start;
  for (let piece = pieceAt(pieces, start); position < end; piece += 1) {
    const [from = Infinity, to = 0, owner = 0] = [pieces.starts[piece], pieces.ends[piece], pieces.owners[piece]];
    if (piece >= pieces.count || from > position) throw noMemory(source, BigInt(position));
    const offset = segments.offsets[owner] ?? -1;
    if (offset < 0) throw pageExcluded(source, BigInt(position));
    const until = Math.min(to, end);
    const at = BigInt(offset + position - (segments.starts[owner] ?? 0));
    await fillFrom(source, at, target.subarray(position - start, until - start), 'PT_LOAD');
    position = until;
  }
}
