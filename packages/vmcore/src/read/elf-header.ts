import type { Endian } from '@instar/layout';
import { VmcoreError } from '../errors.js';
import { bytesAt, checkRange, type ByteSource } from '../source/byte-source.js';
import {
  EI_CLASS,
  EI_DATA,
  Ehdr,
  ELF_MAGIC,
  ELFCLASS32,
  ELFCLASS64,
  ELFDATA2LSB,
  ELFDATA2MSB,
  ET_CORE,
  phdrCodec,
  PN_XNUM,
  Shdr,
  type ProgramHeader,
} from '../structures/elf.js';
import { dumpTarget, structureCodec, type WordBits } from '../structures/targets.js';

/** Most program headers of a dump: some 200 bytes each in memory. */
export const MAX_SEGMENTS = 1 << 19;
/** Program headers that are read at once. */
const BATCH = 1024;

/** What an ELF header says. */
export interface ElfHeader {
  readonly byteOrder: Endian;
  readonly wordBits: WordBits;
  readonly machine: number;
  /** Program headers. */
  readonly count: number;
  readonly phoff: bigint;
}

/** Whether the first bytes of a file are those of an ELF file. */
export function isElf(start: Uint8Array): boolean {
  return ELF_MAGIC.every((byte, index) => start[index] === byte);
}

function identify(ident: Uint8Array, file: string): { byteOrder: Endian; wordBits: WordBits } {
  const [elfClass, data] = [ident[EI_CLASS], ident[EI_DATA]];
  if ((elfClass !== ELFCLASS32 && elfClass !== ELFCLASS64) || (data !== ELFDATA2LSB && data !== ELFDATA2MSB)) {
    throw new VmcoreError('BAD_DUMP', 'the class or byte order of the ELF file is not known', {
      file,
      field: 'e_ident',
      offset: BigInt(EI_CLASS),
      found: `class ${elfClass ?? 'none'}, data ${data ?? 'none'}`,
      expected: 'each 1 or 2',
    });
  }
  return { byteOrder: data === ELFDATA2LSB ? 'little' : 'big', wordBits: elfClass === ELFCLASS64 ? 64 : 32 };
}

/** @throws VmcoreError `BAD_DUMP`, `TRUNCATED`, `TOO_LARGE`, `NOT_A_DUMP` when it is not a core file */
export async function readElfHeader(source: ByteSource): Promise<ElfHeader> {
  const file = source.name;
  const ident = await bytesAt(source, 0n, 16, 'e_ident');
  const { byteOrder, wordBits } = identify(ident, file);
  const target = dumpTarget(byteOrder, wordBits);
  const codec = structureCodec(Ehdr, target);
  const header = codec.decode(await bytesAt(source, 0n, codec.size, 'ELF header'));
  if (header.e_type !== ET_CORE) {
    throw new VmcoreError('NOT_A_DUMP', 'the ELF file is not a core file', {
      file,
      field: 'e_type',
      offset: 16n,
      found: String(header.e_type),
      expected: `${ET_CORE} (ET_CORE)`,
    });
  }
  const entrySize = phdrCodec(byteOrder, wordBits).size;
  if (header.e_phentsize !== entrySize) {
    throw new VmcoreError('BAD_DUMP', 'program headers have an impossible size', {
      file,
      field: 'e_phentsize',
      found: String(header.e_phentsize),
      expected: String(entrySize),
    });
  }
  let count = header.e_phnum;
  // Without sections there is nowhere else to look: the number counts as it stands, as for readelf.
  if (count === PN_XNUM && header.e_shoff !== 0n) {
    const section = structureCodec(Shdr, target);
    count = section.decode(await bytesAt(source, header.e_shoff, section.size, 'section header 0')).sh_info;
  }
  if (count > MAX_SEGMENTS) {
    throw new VmcoreError('TOO_LARGE', 'the dump has too many program headers', {
      file,
      field: header.e_phnum === PN_XNUM ? 'sh_info' : 'e_phnum',
      found: String(count),
      expected: `at most ${MAX_SEGMENTS}`,
    });
  }
  checkRange(source, header.e_phoff, BigInt(count * entrySize), 'program headers');
  return { byteOrder, wordBits, machine: header.e_machine, count, phoff: header.e_phoff };
}

/** The program headers, a batch at a time. */
export async function* programHeaders(source: ByteSource, header: ElfHeader): AsyncGenerator<ProgramHeader> {
  const codec = phdrCodec(header.byteOrder, header.wordBits);
  for (let first = 0; first < header.count; first += BATCH) {
    const count = Math.min(BATCH, header.count - first);
    const offset = header.phoff + BigInt(first * codec.size);
    const bytes = await bytesAt(source, offset, count * codec.size, 'program headers');
    yield* codec.decodeArray(bytes, 0, count);
  }
}
