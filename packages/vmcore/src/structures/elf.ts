import { bytes, struct, u16, u32, u64, uword, type Codec, type Endian } from '@instar/layout';
import { dumpTarget, structureCodec, type WordBits } from './targets.js';

// System V gABI, chapters "ELF Header", "Sections" and "Program Header".

/** e_ident[EI_MAG0…3]. */
export const ELF_MAGIC = Uint8Array.of(0x7f, 0x45, 0x4c, 0x46);
export const EI_CLASS = 4;
export const EI_DATA = 5;
export const ELFCLASS32 = 1;
export const ELFCLASS64 = 2;
export const ELFDATA2LSB = 1;
export const ELFDATA2MSB = 2;
export const EV_CURRENT = 1;
export const ET_CORE = 4;
export const PT_LOAD = 1;
export const PT_NOTE = 4;
/** e_phnum of a file whose count of program headers is in sh_info of section 0 (gABI, "e_phnum"). */
export const PN_XNUM = 0xffff;
/** p_offset of a segment that is not stored, as QEMU writes it. */
export const NOT_STORED = { 32: 0xffff_ffffn, 64: 0xffff_ffff_ffff_ffffn } as const;

/** Elf32_Ehdr and Elf64_Ehdr: the same fields, with words of the class. */
export const Ehdr = struct('Ehdr', {
  e_ident: bytes(16),
  e_type: u16,
  e_machine: u16,
  e_version: u32,
  e_entry: uword,
  e_phoff: uword,
  e_shoff: uword,
  e_flags: u32,
  e_ehsize: u16,
  e_phentsize: u16,
  e_phnum: u16,
  e_shentsize: u16,
  e_shnum: u16,
  e_shstrndx: u16,
});

/** Elf64_Phdr. */
export const Phdr64 = struct(
  'Elf64_Phdr',
  { p_type: u32, p_flags: u32, p_offset: u64, p_vaddr: u64, p_paddr: u64, p_filesz: u64, p_memsz: u64, p_align: u64 },
  { size: 56 },
);

/** Elf32_Phdr: p_flags stands elsewhere. */
export const Phdr32 = struct('Elf32_Phdr', {
  p_type: u32,
  p_offset: uword,
  p_vaddr: uword,
  p_paddr: uword,
  p_filesz: uword,
  p_memsz: uword,
  p_flags: u32,
  p_align: uword,
});

/** Elf32_Shdr and Elf64_Shdr. */
export const Shdr = struct('Shdr', {
  sh_name: u32,
  sh_type: u32,
  sh_flags: uword,
  sh_addr: uword,
  sh_offset: uword,
  sh_size: uword,
  sh_link: u32,
  sh_info: u32,
  sh_addralign: uword,
  sh_entsize: uword,
});

/** Elf32_Nhdr and Elf64_Nhdr are the same (gABI, "Note Section"). */
export const Nhdr = struct('Nhdr', { n_namesz: u32, n_descsz: u32, n_type: u32 }, { size: 12 });

/** A program header of either class. */
export interface ProgramHeader {
  readonly p_type: number;
  readonly p_flags: number;
  readonly p_offset: bigint;
  readonly p_vaddr: bigint;
  readonly p_paddr: bigint;
  readonly p_filesz: bigint;
  readonly p_memsz: bigint;
  readonly p_align: bigint;
}

/** The program header's codec of a class. */
export function phdrCodec(endian: Endian, wordBits: WordBits): Codec<ProgramHeader> {
  const target = dumpTarget(endian, wordBits);
  return wordBits === 64 ? structureCodec(Phdr64, target) : structureCodec(Phdr32, target);
}
