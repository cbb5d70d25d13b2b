import { checkAborted, hex, VmcoreError } from '../errors.js';
import type { MemoryImage } from '../image.js';
import { encodeNote, ERASEINFO_NOTE } from '../notes/note.js';
import { MAX_SEGMENTS } from '../read/elf-header.js';
import type { DumpSink } from '../sink/dump-sink.js';
import {
  Ehdr,
  ELF_MAGIC,
  ELFCLASS32,
  ELFCLASS64,
  ELFDATA2LSB,
  ELFDATA2MSB,
  ET_CORE,
  EV_CURRENT,
  phdrCodec,
  PN_XNUM,
  PT_LOAD,
  PT_NOTE,
  Shdr,
  type ProgramHeader,
} from '../structures/elf.js';
import { elfOfMachine } from '../structures/machines.js';
import { dumpTarget, structureCodec } from '../structures/targets.js';
import { coalesced } from './coalesce.js';
import type { WriteProgress } from './dump-state.js';
import type { KernelAddresses } from './kernel-addresses.js';
import { PAGE, segmentsOf, StoredRanges, type PlacedSegment } from './stored-ranges.js';
import { nonZeroRuns } from '../zero.js';

/** Most PT_LOAD segments that are written: as many as are read, less the notes. */
const MAX_LOADS = MAX_SEGMENTS - 1;
/** Program headers that are written at once, and bytes of memory. */
const [HEADER_BATCH, DATA_BATCH] = [1024, 4 << 20];
/** Read, write, execute (gABI, "Segment Permissions"). */
const ALL_RIGHTS = 7;

interface Plan {
  readonly segments: number;
  readonly notesAt: bigint;
  readonly dataAt: bigint;
  /** Bytes of the file. */
  readonly end: bigint;
  readonly notes: Uint8Array;
  /** Offset of the section header; 0 when there is none. */
  readonly sectionAt: bigint;
}

/** The notes, and what makedumpfile erased, for which an ELF file has a note. */
function notesOf({ notes, eraseInfo, byteOrder }: MemoryImage): Uint8Array {
  const told = eraseInfo === undefined || notes.some(({ name }) => name === ERASEINFO_NOTE);
  const all = told ? notes : [...notes, { name: ERASEINFO_NOTE, type: 0, descriptor: eraseInfo }];
  return Buffer.concat(all.map((note) => encodeNote(note, byteOrder).bytes));
}

/** Goes over the memory, and finds a place for each of its extents. */
async function survey(image: MemoryImage, progress: WriteProgress): Promise<StoredRanges> {
  const ranges = new StoredRanges();
  const limit = 1n << BigInt(image.wordBits);
  for await (const extent of coalesced(image, image.segments !== undefined)) {
    ranges.add(extent);
    if (extent.start + extent.length > limit || ranges.count > MAX_LOADS) {
      const fragmented = ranges.count > MAX_LOADS;
      throw new VmcoreError('UNSUPPORTED', 'the memory does not fit this ELF file', {
        file: image.name,
        field: fragmented ? 'e_phnum' : 'p_paddr',
        found: fragmented ? `more than ${MAX_LOADS} extents` : `memory up to ${hex(extent.start + extent.length)}`,
        expected: fragmented ? 'fewer; write kdump instead' : `at most ${hex(limit)}; write kdump instead`,
      });
    }
  }
  if (ranges.bytes === 0n)
    throw new VmcoreError('NOTHING_TO_DUMP', 'there is no memory to write', { file: image.name });
  progress.total(ranges.bytes);
  return ranges;
}

function plan(image: MemoryImage, ranges: StoredRanges, segments: number): Plan {
  const target = dumpTarget(image.byteOrder, image.wordBits);
  const headers = structureCodec(Ehdr, target).size + (segments + 1) * phdrCodec(image.byteOrder, image.wordBits).size;
  const section = segments + 1 >= PN_XNUM ? structureCodec(Shdr, target).size : 0;
  const notes = notesOf(image);
  const notesAt = BigInt(headers + section);
  const dataAt = ((notesAt + BigInt(notes.length) + PAGE - 1n) / PAGE) * PAGE;
  const end = dataAt + ranges.length;
  return { segments, notesAt, dataAt, end, notes, sectionAt: section === 0 ? 0n : BigInt(headers) };
}

function header(image: MemoryImage, { segments, sectionAt }: Plan): Uint8Array {
  const target = dumpTarget(image.byteOrder, image.wordBits);
  const codec = structureCodec(Ehdr, target);
  const ident = new Uint8Array(16);
  ident.set(ELF_MAGIC);
  ident.set(
    [
      image.wordBits === 64 ? ELFCLASS64 : ELFCLASS32,
      image.byteOrder === 'little' ? ELFDATA2LSB : ELFDATA2MSB,
      EV_CURRENT,
    ],
    4,
  );
  return codec.encode({
    e_ident: ident,
    e_type: ET_CORE,
    e_machine: elfOfMachine(image.machine),
    e_version: EV_CURRENT,
    e_phoff: BigInt(codec.size),
    e_shoff: sectionAt,
    e_ehsize: codec.size,
    e_phentsize: phdrCodec(image.byteOrder, image.wordBits).size,
    e_phnum: Math.min(segments + 1, PN_XNUM),
    e_shentsize: sectionAt === 0n ? 0 : structureCodec(Shdr, target).size,
    e_shnum: sectionAt === 0n ? 0 : 1,
  });
}

/** @throws VmcoreError `UNSUPPORTED` when a segment's size or place does not fit the words of the class */
function checkSegment(image: MemoryImage, length: bigint, offset: bigint): void {
  const limit = 1n << BigInt(image.wordBits);
  if (length < limit && offset < limit) return;
  const tooLong = length >= limit;
  throw new VmcoreError('UNSUPPORTED', 'the memory does not fit this ELF file', {
    file: image.name,
    field: tooLong ? 'p_filesz' : 'p_offset',
    found: tooLong ? `${length} bytes in a row` : `memory at ${hex(offset)} of the file`,
    expected: `less than ${hex(limit)}; write kdump instead`,
  });
}

async function writeHeaders(
  image: MemoryImage,
  sink: DumpSink,
  layout: Plan,
  segments: Iterable<PlacedSegment>,
): Promise<void> {
  const codec = phdrCodec(image.byteOrder, image.wordBits);
  let at = BigInt(structureCodec(Ehdr, dumpTarget(image.byteOrder, image.wordBits)).size);
  let batch: ProgramHeader[] = [
    {
      p_type: PT_NOTE,
      p_flags: 0,
      p_offset: layout.notesAt,
      p_vaddr: 0n,
      p_paddr: 0n,
      p_filesz: BigInt(layout.notes.length),
      p_memsz: BigInt(layout.notes.length),
      p_align: 0n,
    },
  ];
  const flush = async (): Promise<void> => {
    const bytes = codec.encodeArray(batch);
    await sink.write(at, bytes);
    at += BigInt(bytes.length);
    batch = [];
  };
  for (const { start, length, stored, virtual, place } of segments) {
    // Readers map what a segment points to, also where it has no bytes: behind the file's end they die.
    const offset = stored === 0n ? layout.end : layout.dataAt + place;
    checkSegment(image, length, offset);
    batch.push({
      p_type: PT_LOAD,
      p_flags: ALL_RIGHTS,
      p_offset: offset,
      p_vaddr: BigInt.asUintN(image.wordBits, virtual),
      p_paddr: start,
      p_filesz: stored,
      p_memsz: length,
      p_align: 0n,
    });
    if (batch.length === HEADER_BATCH) await flush();
  }
  await flush();
  if (layout.sectionAt !== 0n) {
    const section = structureCodec(Shdr, dumpTarget(image.byteOrder, image.wordBits));
    await sink.write(layout.sectionAt, section.encode({ sh_info: layout.segments + 1 }));
  }
}

/**
 * Writes an ELF vmcore: header, program headers, section header where there are 0xffff program headers or more, notes,
 * memory. Written in order, so that it can go through a pipe; blocks of zeros are left out where the sink has gaps.
 * @param kernel virtual addresses of an image that has none
 * @returns bytes of the dump
 * @throws VmcoreError `NOTHING_TO_DUMP`, `UNSUPPORTED`, `WRITE_FAILED`, `ABORTED`
 */
export async function writeElf(
  image: MemoryImage,
  sink: DumpSink,
  progress: WriteProgress,
  kernel: KernelAddresses | undefined,
): Promise<bigint> {
  const ranges = await survey(image, progress);
  const segments = segmentsOf(image, ranges, kernel);
  let count = 0;
  for (const _segment of segments()) count += 1;
  if (count > MAX_LOADS) {
    throw new VmcoreError('UNSUPPORTED', 'the memory does not fit this ELF file', {
      file: image.name,
      field: 'e_phnum',
      found: `more than ${MAX_LOADS} segments`,
      expected: 'fewer; write kdump instead',
    });
  }
  const layout = plan(image, ranges, count);
  await sink.write(0n, header(image, layout));
  await writeHeaders(image, sink, layout, segments());
  await sink.write(layout.notesAt, layout.notes);
  await writeMemory(image, sink, progress, ranges, layout.dataAt);
  return layout.end;
}

/** Memory is read while what was read before is written. */
async function writeMemory(
  image: MemoryImage,
  sink: DumpSink,
  progress: WriteProgress,
  ranges: StoredRanges,
  dataAt: bigint,
): Promise<void> {
  const buffers = [new Uint8Array(DATA_BATCH), new Uint8Array(DATA_BATCH)] as const;
  let turn = 0;
  let writing = Promise.resolve();
  const writeRuns = async (data: Uint8Array, at: bigint): Promise<void> => {
    for (const [start, length] of nonZeroRuns(data, Number(PAGE))) {
      await sink.write(at + BigInt(start), data.subarray(start, start + length));
    }
    progress.wrote(BigInt(data.length));
  };
  try {
    for (const range of ranges) {
      for (let done = 0n; done < range.stored;) {
        checkAborted(progress.signal);
        const left = range.stored - done;
        const data = buffers[turn & 1 ? 1 : 0].subarray(0, left < BigInt(DATA_BATCH) ? Number(left) : DATA_BATCH);
        turn += 1;
        await image.readInto(range.start + done, data);
        await writing;
        const at = dataAt + range.place + done;
        writing = writeRuns(data, at);
        // Its failure is thrown where it is awaited.
        writing.catch(() => undefined);
        done += BigInt(data.length);
      }
    }
  } finally {
    await writing.catch(() => undefined);
  }
  await writing;
}
