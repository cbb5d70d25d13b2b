import { kernelLookups } from '../kernel/lookups.js';
import { memoryStreams } from './memory-stream.js';
import { VmcoreError } from '../errors.js';
import { ERASEINFO_NOTE, MAX_NOTE_BYTES, parseNotes, type Note } from '../notes/note.js';
import { cpusOf, type CpuRegisters } from '../notes/registers.js';
import { findVmcoreInfo } from '../notes/vmcoreinfo.js';
import { CORE_NOTE } from '../structures/prstatus.js';
import { bytesAt, checkRange, type ByteSource } from '../source/byte-source.js';
import { PT_LOAD, PT_NOTE, type ProgramHeader } from '../structures/elf.js';
import { machineOfElf } from '../structures/machines.js';
import type { CutOff, Dump, DumpFile } from './dump.js';
import { programHeaders, readElfHeader, type ElfHeader } from './elf-header.js';
import { SegmentTable } from './elf-segments.js';
import { pagesOf, readMemory } from './read-memory.js';

interface Parts {
  readonly segments: SegmentTable;
  readonly notes: Note[];
  readonly warnings: string[];
  readonly addresses: Addresses;
}

/** Whether the segments are those of a process: nothing but virtual addresses. */
interface Addresses {
  /** Segments of memory. */
  loads: number;
  /** Of those, how many have a physical address other than 0, and a virtual one. */
  physical: number;
  virtual: number;
  /** How many have the physical address for the virtual one. */
  identical: number;
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
  const segments = new SegmentTable(source, header.count);
  const notes: Note[] = [];
  const warnings: string[] = [];
  const addresses: Addresses = { loads: 0, physical: 0, virtual: 0, identical: 0 };
  let noteBytes = 0;
  let unplaced = 0;
  for await (const segment of programHeaders(source, header)) {
    if (segment.p_type === PT_NOTE) {
      await readNotes(source, segment, header, noteBytes, notes);
      noteBytes += Number(segment.p_filesz);
    } else if (segment.p_type === PT_LOAD) {
      if (!segments.add(segment, header.wordBits)) unplaced += 1;
      addresses.loads += 1;
      if (segment.p_paddr !== 0n) addresses.physical += 1;
      if (segment.p_vaddr !== 0n) addresses.virtual += 1;
      if (segment.p_vaddr === segment.p_paddr) addresses.identical += 1;
    }
  }
  if (unplaced > 0) warnings.push(`${unplaced} segments have no physical address and are not read`);
  return { segments, notes, warnings, addresses };
}

/** Notes that a kernel writes into the core of a process, and into no dump (Linux, fs/binfmt_elf.c): NT_AUXV, NT_FILE, NT_SIGINFO. */
const PROCESS_NOTES = [6, 0x4649_4c45, 0x5349_4749];

/** The core of a process has no physical addresses; one segment at 0 may be all the memory of a machine. */
function isProcessCore({ notes, addresses }: Parts): boolean {
  if (addresses.physical > 0 || addresses.virtual === 0 || findVmcoreInfo(notes) !== undefined) return false;
  return addresses.loads > 1 || notes.some(({ name, type }) => name === CORE_NOTE && PROCESS_NOTES.includes(type));
}

const PROCESS_CORE =
  'this is the core of a process, not the dump of a machine: it has no physical addresses, and what is shown of memory ' +
  'is not in its place; use gdb';

/** Opens an ELF vmcore. @throws VmcoreError */
export async function openElf(source: ByteSource, file: DumpFile): Promise<Dump> {
  const header = await readElfHeader(source);
  const parts = await readParts(source, header);
  const { notes } = parts;
  const processCore = isProcessCore(parts);
  const vmcoreinfo = findVmcoreInfo(notes);
  const machine = machineOfElf(header.machine);
  const format = { machine, byteOrder: header.byteOrder, wordBits: header.wordBits };
  const told = Number(vmcoreinfo?.pageSize ?? 4096n);
  const pageSize = isPageSize(told) ? told : 4096;
  const { loads, virtual, identical } = parts.addresses;
  // QEMU writes 0 for all virtual addresses that it does not know, others the physical ones.
  const memory = parts.segments.memory(pageSize, virtual > 0 && identical < loads);
  const cutOff = cutOffOf(source, file, memory.missing);
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
    pageSize,
    notes,
    warnings: processCore ? [PROCESS_CORE, ...parts.warnings] : parts.warnings,
    vmcoreinfo,
    physBase: vmcoreinfo?.physBase,
    get cpus() {
      return (cpus ??= cpusOf(notes, format));
    },
    eraseInfo: notes.find((note) => note.name === ERASEINFO_NOTE)?.descriptor,
    processCore,
    addressLimit: memory.limit,
    segments: memory.segments,
    extents: (from = 0n) => memory.extents(from),
    readInto: async (address, target) => memory.readInto(address, target),
    cutOff: async () => Promise.resolve(cutOff),
    read: async (address, length, options) => readMemory(dump, address, length, options),
    pages: () => pagesOf(dump),
    ...kernelLookups(() => dump),
    ...memoryStreams(() => dump),
    close: async () => source.close(),
  };
  return dump;
}

function isPageSize(size: number): boolean {
  return size >= 512 && size <= 1 << 20 && Number.isInteger(Math.log2(size));
}

function cutOffOf(
  source: ByteSource,
  file: DumpFile,
  missing: { readonly bytes: bigint; readonly expected: bigint },
): CutOff | undefined {
  if (missing.expected <= source.size && source.cutOff === undefined) return undefined;
  const expected = file.flattened ? undefined : missing.expected;
  return { file: file.path, found: file.size, expected, missing: missing.bytes };
}
