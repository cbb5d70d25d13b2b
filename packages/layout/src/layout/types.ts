import { textKind } from '../codec/text.js';
import { placeBitField } from './bit-fields.js';
import type { ConstantSet } from './constants.js';
import { layoutError } from './errors.js';
import { kinds } from './kinds.js';
import type { BitOrder } from './resolved.js';
import type { Endian } from './target.js';

declare const VALUE: unique symbol;

/** Carries the TypeScript type of the values that a description stands for; it exists for the compiler only. */
export interface Typed<T> {
  readonly [VALUE]?: { readonly of: T };
}

/** An integer of 1 to 64 bits. */
export interface IntegerDescription {
  readonly kind: 'integer';
  readonly bits: number;
  readonly signed: boolean;
  /** A byte order that the target does not change. */
  readonly endian?: Endian | undefined;
  /** `lsb`: its bits are counted from the least significant bit of a byte on. Most significant first where there is none. */
  readonly order?: BitOrder | undefined;
  /** Names of its values or of its bits. */
  readonly set?: ConstantSet | undefined;
}

/** An integer as wide as a pointer of the target (C's `long`, `size_t`, `uintptr_t` on Unix). */
export interface WordDescription {
  readonly kind: 'word';
  readonly signed: boolean;
  /** Set where it is a pointer: to what, for people. */
  readonly pointer?: string | undefined;
  /** Set where the pointer leads into a contiguous table, so that an index can stand for it. */
  readonly table?: TableReference | undefined;
}

/** A contiguous table: a pointer into it and an index of it say the same. */
export interface TableReference {
  readonly name: string;
  /** Bytes from one entry to the next. */
  readonly stride: number;
}

/** An IEEE 754 number of 32 or 64 bits. */
export interface FloatDescription {
  readonly kind: 'float';
  readonly bits: 32 | 64;
  /** A byte order that the target does not change. */
  readonly endian?: Endian | undefined;
}

/** C's `_Bool`: one byte, 0 or 1. */
export interface BooleanDescription {
  readonly kind: 'boolean';
}

/** A fixed number of raw bytes. */
export interface BytesDescription {
  readonly kind: 'bytes';
  readonly count: number;
  /** Alignment in bytes, 1 unless a type that is known only by its size needs more. */
  readonly align: number;
}

/** How text stands in bytes. */
export type TextEncoding = 'utf8' | 'ascii' | 'latin1' | 'utf16le' | 'utf16be';

/** Text in a fixed number of bytes, the rest of them zero. */
export interface TextDescription {
  readonly kind: 'text';
  readonly count: number;
  /** UTF-8 where there is none. */
  readonly encoding?: TextEncoding | undefined;
}

/** A fixed number of elements without gaps. */
export interface ArrayDescription {
  readonly kind: 'array';
  readonly element: Type;
  readonly count: number;
}

/** A bit field of a C struct: how it lies depends on the target. Only as a field of a struct. */
export interface BitFieldDescription {
  readonly kind: 'bitField';
  /** The type that C declares it with; its size and alignment matter. */
  readonly container: IntegerDescription | WordDescription | BooleanDescription;
  /** Width in bits. 0 (unnamed only) ends the container. */
  readonly width: number;
  readonly unnamed: boolean;
}

/** One field of a struct or of an integral struct. */
export interface FieldDescription {
  readonly name: string;
  readonly type: Type;
  readonly doc: string;
  /** Byte offset that the author claims. */
  readonly at?: number | undefined;
  /** Bit offset from the start of the struct at which a label puts the field. */
  readonly label?: Label | undefined;
  /** The value that the field must always have. */
  readonly value?: number | bigint | undefined;
  /** Smallest alignment in bytes (C's `_Alignas`). */
  readonly align?: number | undefined;
  /** Set for an anonymous struct or union of C: its fields are those of the struct around it. */
  readonly anonymous?: true | undefined;
}

/** A bit offset that may follow from the byte order. */
export type Label = number | { readonly little: number; readonly big: number };

/** How the fields of a struct follow each other. */
export type Packing =
  /** As C lays them out: each at its natural alignment. */
  | 'natural'
  /** As C with `__attribute__((packed))`. */
  | 'packed'
  /** Without gaps to the bit; most significant bit of a byte first, as GNU poke's structs, unless `order` says otherwise. */
  | 'bits';

/** A struct: named fields, in memory order. */
export interface StructDescription {
  readonly kind: 'struct';
  readonly name: string;
  readonly doc: string;
  readonly packing: Packing;
  readonly fields: readonly FieldDescription[];
  /** Total size in bytes that the author claims. */
  readonly size?: number | undefined;
  /** Smallest alignment in bytes. */
  readonly align?: number | undefined;
  /** Which bit of a byte comes first in a struct that is packed to the bit; the most significant one where there is none. */
  readonly order?: BitOrder | undefined;
  /** Whether padding must be declared: gaps are errors then. */
  readonly explicit: boolean;
  /** Name of the first field of the target-dependent tail. */
  readonly tail?: string | undefined;
  /** Set where a field has no fixed size: the struct has none, nor gaps. */
  readonly variable?: true;
}

/** An integer that is split into fields, most significant first (GNU poke's integral structs). */
export interface IntegralDescription {
  readonly kind: 'integral';
  readonly name: string;
  readonly doc: string;
  readonly container: IntegerDescription;
  readonly fields: readonly FieldDescription[];
}

/** A C union: every arm at the same place. */
export interface UnionDescription {
  readonly kind: 'union';
  readonly name: string;
  readonly doc: string;
  readonly packed: boolean;
  readonly arms: readonly FieldDescription[];
}

/** One arm of a tagged union. */
export interface ArmDescription {
  readonly name: string;
  /** Value of the tag that chooses it. */
  readonly tag: number | bigint;
  readonly type: Type;
}

/** A union whose arm is chosen by a field of the struct around it. */
export interface TaggedDescription {
  readonly kind: 'tagged';
  readonly name: string;
  readonly doc: string;
  /** Path of the tag from the struct around the union: `['header', 'type']`. */
  readonly by: readonly string[];
  readonly arms: readonly ArmDescription[];
}

/** An arm of a variant; one without a tag stands for all others. */
export interface VariantArm {
  readonly name: string;
  readonly tag: bigint | undefined;
  readonly type: Type;
}

/** What varies, and what says how. Paths lead from the struct around it, or from one around that. */
export type VariablePart =
  | {
      readonly form: 'list';
      readonly element: Type;
      readonly count: string | number | undefined;
      readonly until?: (value: unknown) => boolean;
    }
  | {
      readonly form: 'run';
      readonly encoding: TextEncoding | undefined;
      readonly length: string | number | undefined;
      readonly terminator?: number;
    }
  | {
      readonly form: 'optional';
      readonly type: Type;
      /** A function that says what it compares (`when`) can be written in other languages too. */
      readonly isThere: ((fields: Readonly<Record<string, unknown>>) => boolean) & { readonly says?: Comparison };
    }
  | { readonly form: 'variant'; readonly by: string; readonly arms: readonly VariantArm[] }
  | { readonly form: 'pointed'; readonly at: string | number; readonly type: Type }
  | { readonly form: 'sized'; readonly length: string | number; readonly type: Type }
  | { readonly form: 'align'; readonly to: number }
  | {
      readonly form: 'range';
      readonly type: IntegerDescription;
      readonly least: bigint | undefined;
      readonly most: bigint | undefined;
    }
  | { readonly form: 'magic'; readonly expected: Uint8Array }
  | { readonly form: 'lazy'; readonly at: string | number; readonly type: () => Type }
  | {
      readonly form: 'processed';
      readonly length: string | number | undefined;
      readonly type: Type;
      readonly process: Process;
    }
  | { readonly form: 'digest'; readonly digest: Digest; readonly first: string; readonly last: string }
  | {
      readonly form: 'checksum';
      readonly type: IntegerDescription;
      readonly algorithm: string | ((bytes: Uint8Array) => number | bigint);
      readonly first: string;
      readonly last: string;
    };

/** What a condition compares: the field at a path from the struct around it, and a number. `&`: has one of these bits. */
export interface Comparison {
  readonly path: string;
  readonly operator: '==' | '!=' | '<' | '<=' | '>' | '>=' | '&';
  readonly number: bigint;
}

/** What makes other bytes of the bytes that a file has (inflate, a cipher), and those again; both belong to the program. */
export interface Process {
  /** The bytes that are described. It sees to it that they are not too many: a few bytes may unpack to any number. */
  readonly decode: (stored: Uint8Array) => Uint8Array;
  /** The bytes that are stored. */
  readonly encode: (plain: Uint8Array) => Uint8Array;
}

/** A checksum of more than 64 bits. */
export interface Digest {
  /** Bytes that it has. */
  readonly size: number;
  readonly of: (bytes: Uint8Array) => Uint8Array;
}

/** A value elsewhere that is decoded when it is asked for. */
export interface Lazy<T> {
  /** The value; the same each time, and for each other that leads to the same place. */
  readonly get: () => T;
}

/** A part without a fixed size. Only codecs know it: it has no layout. */
export interface VariableDescription {
  readonly kind: 'variable';
  readonly name: string;
  readonly part: VariablePart;
}

/** Any description of a type. */
export type Description =
  | IntegerDescription
  | WordDescription
  | FloatDescription
  | BooleanDescription
  | BytesDescription
  | TextDescription
  | ArrayDescription
  | BitFieldDescription
  | StructDescription
  | IntegralDescription
  | UnionDescription
  | TaggedDescription
  | VariableDescription;

/**
 * A type of fixed size, described without a target. `T` is the value that TypeScript code sees: `number` up to 32 bits,
 * `bigint` above and for words, `Uint8Array` for byte strings, objects for structs.
 */
export type Type<T = unknown> = Description & Typed<T>;

/** The TypeScript value of a described type. */
export type ValueOf<D> = D extends Typed<infer T> ? T : never;

type Bits32 = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15 | 16;
type Narrow = Bits32 | 17 | 18 | 19 | 20 | 21 | 22 | 23 | 24 | 25 | 26 | 27 | 28 | 29 | 30 | 31 | 32;

/** `number` for a width of up to 32 bits, `bigint` above; both where the width is not known to the compiler. */
export type ValueOfBits<B extends number> = number extends B ? number | bigint : B extends Narrow ? number : bigint;

/** An integer type with the TypeScript type of its values. */
export type Integer<T extends number | bigint = number | bigint> = IntegerDescription & Typed<T>;

function checkWhole(what: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw layoutError(
    'LAYOUT_WIDTH',
    `found ${String(value)}, expected ${least} to ${most}`,
    what,
    0,
    value,
    `${least}..${most}`,
  );
}

function integer<const B extends number>(bits: B, signed: boolean, options: IntegerOptions): Integer<ValueOfBits<B>> {
  checkWhole(`${signed ? 'int' : 'uint'}(${String(bits)})`, bits, 1, 64);
  const { endian, order, set } = options;
  if (order === 'lsb' && endian === 'big') {
    throw layoutError('LAYOUT_UNSUPPORTED', 'bits in the order lsb are little endian', `uint(${String(bits)})`, 0);
  }
  return { kind: 'integer', bits, signed, endian, set, ...(order === undefined ? {} : { order }) };
}

/** What may be said of an integer beside its width. */
export interface IntegerOptions {
  /** A byte order that the target does not change. */
  readonly endian?: Endian;
  /**
   * `lsb`: its bits are counted from the least significant one of each byte on (DEFLATE, FAT12, CAN signals in Intel
   * order). Only in structs that are packed to the bit, and alone.
   */
  readonly order?: BitOrder;
  /** Names of its values or of its bits. */
  readonly set?: ConstantSet;
}

/**
 * An unsigned integer of 1 to 64 bits. Widths other than 8, 16, 32 and 64 can stand in integral structs, in structs that
 * are packed to the bit, and alone.
 * @throws LayoutError `LAYOUT_WIDTH`.
 */
export function uint<const B extends number>(bits: B, options: IntegerOptions = {}): Integer<ValueOfBits<B>> {
  return integer(bits, false, options);
}

/** A signed integer (two's complement) of 1 to 64 bits. See {@link uint}. */
export function int<const B extends number>(bits: B, options: IntegerOptions = {}): Integer<ValueOfBits<B>> {
  return integer(bits, true, options);
}

export const u8: Integer<number> = /* @__PURE__ */ uint(8);
export const u16: Integer<number> = /* @__PURE__ */ uint(16);
export const u32: Integer<number> = /* @__PURE__ */ uint(32);
export const u64: Integer<bigint> = /* @__PURE__ */ uint(64);
export const i8: Integer<number> = /* @__PURE__ */ int(8);
export const i16: Integer<number> = /* @__PURE__ */ int(16);
export const i32: Integer<number> = /* @__PURE__ */ int(32);
export const i64: Integer<bigint> = /* @__PURE__ */ int(64);

/** An integer whose values or bits have names. */
export function named<T extends number | bigint>(type: Integer<T>, set: ConstantSet): Integer<T> {
  return { ...type, set };
}

/** IEEE 754 single precision (C's `float`). */
export const f32: FloatDescription & Typed<number> = { kind: 'float', bits: 32 };
/** IEEE 754 double precision (C's `double`). */
export const f64: FloatDescription & Typed<number> = { kind: 'float', bits: 64 };
/** An IEEE 754 number with a byte order of its own. */
export function float(bits: 32 | 64, options: { readonly endian?: Endian } = {}): FloatDescription & Typed<number> {
  return options.endian === undefined ? { kind: 'float', bits } : { kind: 'float', bits, endian: options.endian };
}

/** C's `_Bool`: one byte; decoding refuses what is neither 0 nor 1. */
export const bool: BooleanDescription & Typed<boolean> = { kind: 'boolean' };

/** An unsigned integer as wide as a pointer (`size_t`, `unsigned long`). */
export const uword: WordDescription & Typed<bigint> = { kind: 'word', signed: false };
/** A signed integer as wide as a pointer (`ssize_t`, `long`). */
export const iword: WordDescription & Typed<bigint> = { kind: 'word', signed: true };

/** A pointer: a word; `to` says to people what it leads to. */
export function pointer(to = 'void'): WordDescription & Typed<bigint> {
  return { kind: 'word', signed: false, pointer: to };
}

/**
 * A pointer into a contiguous table, for which the other side keeps an index. The conversion is `indexOfPointer` and
 * `pointerOfIndex`.
 * @param stride Bytes from one entry to the next.
 */
export function tablePointer(name: string, stride: number): WordDescription & Typed<bigint> {
  checkWhole(`${name}: stride`, stride, 1, Number.MAX_SAFE_INTEGER);
  return { kind: 'word', signed: false, pointer: name, table: { name, stride } };
}

/**
 * `count` raw bytes. Shorter values are zero-filled on encoding, longer ones refused.
 * Decoding copies, so the result does not change with the memory it came from.
 * @param align Alignment in bytes, for a foreign type that is known only by its size.
 */
export function bytes(count: number, align = 1): BytesDescription & Typed<Uint8Array> {
  checkWhole(`bytes(${String(count)})`, count, 0, MOST_BYTES);
  return { kind: 'bytes', count, align };
}

const ENCODINGS: readonly TextEncoding[] = ['utf8', 'ascii', 'latin1', 'utf16le', 'utf16be'];

/**
 * Text in `count` bytes; it ends at the first zero character, or with the field. Bytes that are no UTF-8 become lone
 * surrogates (U+DC80 to U+DCFF), which encoding turns back into the same bytes; what is no ASCII is refused.
 * @throws LayoutError `LAYOUT_WIDTH` for a count that is none, `LAYOUT_UNSUPPORTED` for an encoding that is not known.
 */
export function text(
  count: number,
  { encoding = 'utf8' }: { readonly encoding?: TextEncoding } = {},
): TextDescription & Typed<string> {
  checkWhole(`text(${String(count)})`, count, 0, MOST_BYTES);
  if (!ENCODINGS.includes(encoding)) {
    const expected = ENCODINGS.join(', ');
    const message = `found the encoding ${JSON.stringify(encoding)}, expected ${expected}`;
    throw layoutError('LAYOUT_UNSUPPORTED', message, 'text', 0, encoding, expected);
  }
  if (encoding.startsWith('utf16') && count % 2 !== 0) {
    throw layoutError('LAYOUT_WIDTH', `found ${count} bytes of UTF-16, expected an even number`, 'text', 0, count);
  }
  kinds.text = textKind;
  return encoding === 'utf8' ? { kind: 'text', count } : { kind: 'text', count, encoding };
}

/** `count` elements of `element`, one behind the other: see `array`, which takes other counts too. */
export function fixedArray<T>(element: Type<T>, count: number): ArrayDescription & Typed<readonly T[]> {
  checkWhole(`array of ${String(count)}`, count, 0, MOST_BYTES);
  if (element.kind === 'bitField') {
    throw layoutError('LAYOUT_UNSUPPORTED', 'C has no arrays of bit fields', 'array', 0);
  }
  return { kind: 'array', element, count };
}

/** Sizes beyond this are slips: offsets must stay exact as numbers, in bits. */
const MOST_BYTES = 2 ** 48;

/** A bit field of a C struct with the TypeScript type of its values. */
export type BitField<T> = BitFieldDescription & Typed<T>;

/** Marks fields that have no name in C, and so no value here. */
export interface Unnamed {
  readonly unnamed: true;
}

/**
 * A bit field as C declares it (`u32 x : 5`). Where it lies is the target's matter: System V and AArch64 fill from the
 * least significant bit on little-endian targets and from the most significant one on big-endian targets, and never let
 * a field cross more units of its type than the type itself has.
 * @param width Width in bits, 1 to the width of the container.
 */
export function bitField<const B extends number>(
  container: Integer | (WordDescription & Typed<bigint>),
  width: B,
): BitField<ValueOfBits<B>>;
export function bitField(container: BooleanDescription, width: 1): BitField<boolean>;
export function bitField(container: BitFieldDescription['container'], width: number): BitField<never> {
  checkWhole('bit field', width, 1, containerBits(container));
  return describeBitField(container, width, false);
}

/** An unnamed bit field of a C struct: padding of `width` bits, or with 0 the end of the container. It has no value. */
export function unnamedBits(container: BitFieldDescription['container'], width: number): BitField<never> & Unnamed {
  checkWhole('unnamed bit field', width, 0, containerBits(container));
  return { ...describeBitField(container, width, true), unnamed: true };
}

/** A bit field whose width was checked elsewhere. */
export function describeBitField(
  container: BitFieldDescription['container'],
  width: number,
  unnamed: boolean,
): BitField<never> {
  kinds.bitField = { place: placeBitField };
  return { kind: 'bitField', container, width, unnamed };
}

function containerBits(container: BitFieldDescription['container']): number {
  if (container.kind === 'boolean') return 1;
  if (container.kind === 'word') return 64;
  if (![8, 16, 32, 64].includes(container.bits)) {
    throw layoutError(
      'LAYOUT_UNSUPPORTED',
      `C has no integer of ${container.bits} bits`,
      'bit field',
      0,
      container.bits,
      '8, 16, 32 or 64',
    );
  }
  return container.bits;
}
