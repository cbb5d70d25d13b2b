/** The order in which the bytes of an integer lie in memory. */
export type Endian = 'little' | 'big';

/** What a compiler's target decides about a layout. */
export interface Target {
  readonly name: string;
  readonly endian: Endian;
  /** Bits of a pointer and of C's `long`: 32 (ILP32) or 64 (LP64). */
  readonly wordBits: 32 | 64;
  /** Alignment in bytes of 8-byte integers and floats inside a struct: 4 on i386, 8 elsewhere. */
  readonly align64: 4 | 8;
  /** Whether unnamed bit fields align their struct too (AAPCS64, section "Bit-fields"); in the System V ABIs only named ones do. */
  readonly unnamedBitFieldsAlign: boolean;
  /** Whether bit fields share a unit only where they are declared with types of one size (Microsoft's rules). */
  readonly microsoftBitFields?: boolean;
}

/** System V x86-64 psABI, LP64. */
export const x86_64: Target = /* @__PURE__ */ target('x86_64', 'little', 64, 8, false);
/** System V i386 psABI, ILP32. */
export const i386: Target = /* @__PURE__ */ target('i386', 'little', 32, 4, false);
/** Procedure Call Standard for the Arm 64-bit Architecture, LP64, little endian. */
export const aarch64: Target = /* @__PURE__ */ target('aarch64', 'little', 64, 8, true);
/** The same, big endian. */
export const aarch64_be: Target = /* @__PURE__ */ target('aarch64_be', 'big', 64, 8, true);
/** ELF s390x ABI, LP64. */
export const s390x: Target = /* @__PURE__ */ target('s390x', 'big', 64, 8, false);

/** Procedure Call Standard for the Arm Architecture (AAPCS32), ILP32, little endian. */
export const arm: Target = /* @__PURE__ */ target('arm', 'little', 32, 8, true);
/** RISC-V ELF psABI, ILP32. */
export const riscv32: Target = /* @__PURE__ */ target('riscv32', 'little', 32, 8, false);
/** RISC-V ELF psABI, LP64. */
export const riscv64: Target = /* @__PURE__ */ target('riscv64', 'little', 64, 8, false);
/** Power Architecture 32-bit ABI, ILP32, big endian. */
export const ppc: Target = /* @__PURE__ */ target('ppc', 'big', 32, 8, false);
/** 64-bit PowerPC ELF ABI, LP64, big endian. */
export const ppc64: Target = /* @__PURE__ */ target('ppc64', 'big', 64, 8, false);
/** 64-bit ELF V2 ABI for Power, LP64, little endian. */
export const ppc64le: Target = /* @__PURE__ */ target('ppc64le', 'little', 64, 8, false);
/** MIPS o32, big endian. */
export const mips: Target = /* @__PURE__ */ target('mips', 'big', 32, 8, false);
/** MIPS o32, little endian. */
export const mipsel: Target = /* @__PURE__ */ target('mipsel', 'little', 32, 8, false);
/** MIPS n64, LP64, big endian. */
export const mips64: Target = /* @__PURE__ */ target('mips64', 'big', 64, 8, false);
/** MIPS n64, LP64, little endian. */
export const mips64el: Target = /* @__PURE__ */ target('mips64el', 'little', 64, 8, false);
/** Windows x64: LLP64 (a pointer has 64 bits, `long` has 32), bit fields by Microsoft's rules. */
export const windows_x64: Target = /* @__PURE__ */ (() => ({
  ...target('windows_x64', 'little', 64, 8, false),
  microsoftBitFields: true,
}))();

/** The targets whose compilers were asked. */
export const TARGETS: readonly Target[] = [
  x86_64,
  i386,
  aarch64,
  aarch64_be,
  s390x,
  arm,
  riscv32,
  riscv64,
  ppc,
  ppc64,
  ppc64le,
  mips,
  mipsel,
  mips64,
  mips64el,
  windows_x64,
];

function target(
  name: string,
  endian: Endian,
  wordBits: 32 | 64,
  align64: 4 | 8,
  unnamedBitFieldsAlign: boolean,
): Target {
  return { name, endian, wordBits, align64, unnamedBitFieldsAlign };
}
