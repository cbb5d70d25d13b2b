import {
  add,
  codec,
  i64,
  integral,
  multiply,
  s390x,
  struct,
  toInteger,
  typed,
  u32,
  u64,
  u8,
  uint,
  viewArrayOf,
  x86_64,
} from '@instar/layout';

/** ELF64's relocation info: one integer, the symbol in its high half (gABI, "Relocation"). */
export const RelInfo64 = integral('Elf64_RelInfo', u64, { r_sym: u32, r_type: u32 });

/** ELF32 has 24 bits for the symbol and 8 for the type. */
export const RelInfo32 = integral('Elf32_RelInfo', u32, { r_sym: uint(24), r_type: u8 });

export const Rela = struct('Elf64_Rela', { r_offset: u64, r_info: RelInfo64, r_addend: i64 }, { size: 24 });

/**
 * MIPS64 splits the same eight bytes into fields of their own: their order in memory does not depend on the byte order,
 * only the bytes of the symbol's index do.
 */
export const MipsRelInfo = struct('Mips64_RelInfo', { r_sym: u32, r_ssym: u8, r_type3: u8, r_type2: u8, r_type: u8 });

/** A file's relocations, in place: nothing is copied, and only what is asked for is read. */
export function symbolsOf(section: Uint8Array, bigEndian: boolean): number[] {
  const records = viewArrayOf(codec(Rela, bigEndian ? s390x : x86_64), section);
  return Array.from(records, (record) => record.r_info.r_sym);
}

/** `rel.r_info + 20 * rel.r_info.r_type`: the info is a number where one is needed, and the sum wraps around. */
export function bump(info: { r_sym: number; r_type: number }): bigint {
  return add(toInteger(RelInfo64, info), multiply(20, typed(u32, info.r_type))).value;
}
