import type { ConstantSet } from './constants.js';
import type { StructDescription, TableReference, TextEncoding } from './types.js';
import type { Endian } from './target.js';

/**
 * How the bits of an integer are numbered where it does not begin and end with a byte.
 * `msb`: bit 0 is the most significant bit of byte 0 (GNU poke, and C bit fields on big-endian targets).
 * `lsb`: bit 0 is the least significant bit of byte 0 (C bit fields on little-endian targets).
 */
export type BitOrder = 'msb' | 'lsb';

interface Sized {
  /** Size in bits. */
  readonly bits: number;
  /** Alignment in bytes; 1 for what is packed to the bit. */
  readonly align: number;
}

export interface ResolvedInteger extends Sized {
  readonly kind: 'integer';
  readonly signed: boolean;
  readonly endian: Endian;
  readonly order: BitOrder;
  /** Whether values are `bigint`. */
  readonly wide: boolean;
  readonly set: ConstantSet | undefined;
  /** Set where it is a pointer. */
  readonly pointer: string | undefined;
  readonly table: TableReference | undefined;
  /** Width in bits of the type that C declares a bit field with. */
  readonly declaredBits: number | undefined;
}

export interface ResolvedFloat extends Sized {
  readonly kind: 'float';
  readonly endian: Endian;
}

export interface ResolvedBoolean extends Sized {
  readonly kind: 'boolean';
  readonly order: BitOrder;
  readonly declaredBits: number | undefined;
}

export interface ResolvedBytes extends Sized {
  readonly kind: 'bytes';
}

export interface ResolvedText extends Sized {
  readonly kind: 'text';
  /** UTF-8 where there is none. */
  readonly encoding: TextEncoding | undefined;
}

export interface ResolvedArray extends Sized {
  readonly kind: 'array';
  readonly element: ResolvedType;
  readonly count: number;
}

/** A field with its place. */
export interface ResolvedField {
  readonly name: string;
  readonly type: ResolvedType;
  /** Bits from the start of the struct, numbered as `type.order` says. */
  readonly bit: number;
  /** Bytes from the start of the struct to the byte where the field begins. */
  readonly offset: number;
  readonly doc: string;
  /** The value that the field must have, where it is constant. */
  readonly value: number | bigint | undefined;
  /** True for C's unnamed bit fields, which have no value. */
  readonly unnamed: boolean;
  /** True for an anonymous struct or union of C: a value has its fields, not it. */
  readonly anonymous?: true;
}

export interface ResolvedStruct extends Sized {
  readonly kind: 'struct';
  readonly name: string;
  readonly doc: string;
  readonly fields: readonly ResolvedField[];
  readonly source: StructDescription;
}

/** A field of an integral struct. */
export interface ResolvedSlice {
  readonly name: string;
  readonly type: ResolvedInteger | ResolvedIntegral;
  /** Bits below it in the container. */
  readonly shift: number;
  readonly width: number;
  readonly doc: string;
  readonly value: number | bigint | undefined;
}

export interface ResolvedIntegral extends Sized {
  readonly kind: 'integral';
  readonly name: string;
  readonly doc: string;
  readonly container: ResolvedInteger;
  readonly fields: readonly ResolvedSlice[];
}

export interface ResolvedUnion extends Sized {
  readonly kind: 'union';
  readonly name: string;
  readonly doc: string;
  readonly packed: boolean;
  readonly arms: readonly ResolvedField[];
}

export interface ResolvedArm {
  readonly name: string;
  readonly tag: bigint;
  readonly type: ResolvedType;
}

export interface ResolvedTagged extends Sized {
  readonly kind: 'tagged';
  readonly name: string;
  readonly doc: string;
  readonly by: readonly string[];
  readonly arms: readonly ResolvedArm[];
}

/** A type with every size and offset computed for one target. */
export type ResolvedType =
  | ResolvedInteger
  | ResolvedFloat
  | ResolvedBoolean
  | ResolvedBytes
  | ResolvedText
  | ResolvedArray
  | ResolvedStruct
  | ResolvedIntegral
  | ResolvedUnion
  | ResolvedTagged;

/** What has a name of its own. */
export type ResolvedNamed = ResolvedStruct | ResolvedIntegral | ResolvedUnion | ResolvedTagged;

/** Size in whole bytes. */
export function byteSize(type: ResolvedType): number {
  return Math.ceil(type.bits / 8);
}
