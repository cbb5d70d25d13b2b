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

/** The targets whose compilers were asked. */
export const TARGETS: readonly Target[] = [x86_64, i386, aarch64, aarch64_be, s390x];

function target(
  name: string,
  endian: Endian,
  wordBits: 32 | 64,
  align64: 4 | 8,
  unnamedBitFieldsAlign: boolean,
): Target {
  return { name, endian, wordBits, align64, unnamedBitFieldsAlign };
}
