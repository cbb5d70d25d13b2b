import { layoutError } from '../layout/errors.js';
import { kinds } from '../layout/kinds.js';
import { isIdentifier } from '../layout/names.js';
import { bytes, text, type TextEncoding, type Type, type Typed, type Integer } from '../layout/types.js';
import type { Comparison, Description, Digest, Lazy, Process, VariableDescription } from '../layout/types.js';
import type { ChecksumName } from './checksums.js';
import { variableKind } from './codec.js';
import { lookUp } from './read.js';

// Parts of a format whose length is known only when its bytes are read. They stand in structs, which then have no gaps.

/** A part that varies, with the TypeScript type of its values. */
export type Variable<T> = VariableDescription & Typed<T>;

function make<T>(part: VariableDescription['part']): Variable<T> {
  kinds.variable = variableKind;
  return { kind: 'variable', name: part.form, part };
}

function pathOf(path: string, what: string): string {
  if (path.split('.').every((step) => isIdentifier(step))) return path;
  throw layoutError(
    'LAYOUT_NAME',
    `found ${JSON.stringify(path)}, expected the names of fields with dots between them`,
    what,
    0,
    path,
  );
}

/** The path of an earlier field, or a number of bytes. */
function lengthOf(length: string | number, what: string): string | number {
  if (typeof length === 'string') return pathOf(length, what);
  if (Number.isSafeInteger(length) && length >= 0) return length;
  throw layoutError('LAYOUT_WIDTH', `found ${length}, expected a number of bytes`, what, 0, length);
}

/** A list with a count from an earlier field, or up to the end of what is there; `array` makes it. */
export function variableList<T>(element: Type<T>, count: string | number | undefined): Variable<readonly T[]> {
  if (element.kind === 'bitField') {
    throw layoutError('LAYOUT_UNSUPPORTED', 'C has no arrays of bit fields', 'array', 0);
  }
  return make({ form: 'list', element, count: typeof count === 'string' ? pathOf(count, 'array') : count });
}

/**
 * Elements up to and with the one of which `isLast` is true.
 * @param isLast asked of each element that was read, or is to be written
 */
export function arrayUntil<T>(element: Type<T>, isLast: (value: T) => boolean): Variable<readonly T[]> {
  return make({ form: 'list', element, count: undefined, until: isLast as (value: unknown) => boolean });
}

/** Bytes of which an earlier field says how many, or all up to the end. Encoding writes the count. */
export function bytesOf(length?: string | number): Variable<Uint8Array> {
  return make({
    form: 'run',
    encoding: undefined,
    length: length === undefined ? undefined : lengthOf(length, 'bytes'),
  });
}

/** Text in bytes of which an earlier field says how many, or in all up to the end; nothing ends it before. */
export function textOf(length?: string | number, options: { readonly encoding?: TextEncoding } = {}): Variable<string> {
  const { encoding = 'utf8' } = options;
  text(0, options);
  return make({ form: 'run', encoding, length: length === undefined ? undefined : lengthOf(length, 'text') });
}

/** Bytes up to a byte that ends them, and that is no part of the value. */
export function bytesUntil(terminator: number): Variable<Uint8Array> {
  bytes(0);
  return make({ form: 'run', encoding: undefined, length: undefined, terminator: byteOf(terminator) });
}

/** Text up to a byte that ends it, by default zero, and that is no part of the value. */
export function textUntil(
  terminator = 0,
  { encoding = 'utf8' }: { readonly encoding?: 'utf8' | 'ascii' | 'latin1' } = {},
): Variable<string> {
  return make({ form: 'run', encoding, length: undefined, terminator: byteOf(terminator) });
}

function byteOf(value: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= 255) return value;
  throw layoutError('LAYOUT_RANGE', `found ${value}, expected a byte that ends it`, 'terminator', 0, value, '0..255');
}

/**
 * A part that is there only where `isThere` says so of the fields before it; its value is undefined elsewhere. Other
 * languages can be told of one that `when` made.
 */
export function optional<T>(
  type: Type<T>,
  isThere: ((fields: Readonly<Record<string, unknown>>) => boolean) | Condition,
): Variable<T | undefined> {
  return make({ form: 'optional', type, isThere });
}

/** Whether a part is there, and what is compared to know it. */
export type Condition = ((fields: Readonly<Record<string, unknown>>) => boolean) & { readonly says: Comparison };

const COMPARED: Readonly<Record<Comparison['operator'], (found: bigint, number: bigint) => boolean>> = {
  '==': (found, number) => found === number,
  '!=': (found, number) => found !== number,
  '<': (found, number) => found < number,
  '<=': (found, number) => found <= number,
  '>': (found, number) => found > number,
  '>=': (found, number) => found >= number,
  '&': (found, number) => (found & number) !== 0n,
};

/**
 * A condition for `optional` that other languages can be told: how an integer compares with a number. What is not an integer,
 * or was not given, is taken for zero.
 * @param path of the field, from the struct around the part
 * @param operator `&`: whether it has one of the bits of the number
 */
export function when(path: string, operator: Comparison['operator'], number: number | bigint): Condition {
  if (!Object.hasOwn(COMPARED, operator)) {
    throw layoutError('LAYOUT_UNSUPPORTED', `found ${operator}, expected a comparison`, 'when', 0, operator);
  }
  const says: Comparison = { path: pathOf(path, 'when'), operator, number: BigInt(number) };
  const compare = COMPARED[operator];
  const isThere = (fields: Readonly<Record<string, unknown>>): boolean => {
    const found = lookUp([fields], path);
    return compare(typeof found === 'bigint' || typeof found === 'number' ? BigInt(found) : 0n, says.number);
  };
  return Object.assign(isThere, { says });
}

/**
 * An integer with bounds: others are refused, in both directions.
 * @param bounds the least and the greatest value; at least one of them
 */
export function ranged<T extends number | bigint>(
  type: Integer<T>,
  { least, most }: { readonly least?: number | bigint; readonly most?: number | bigint },
): Variable<T> {
  const bound = (value: number | bigint | undefined): bigint | undefined =>
    value === undefined ? undefined : BigInt(value);
  const bounds = { least: bound(least), most: bound(most) };
  const isEmpty = bounds.least !== undefined && bounds.most !== undefined && bounds.least > bounds.most;
  if (isEmpty || (bounds.least === undefined && bounds.most === undefined)) {
    throw layoutError('LAYOUT_RANGE', 'expected a least or a greatest value, in this order', 'ranged', 0);
  }
  return make({ form: 'range', type, ...bounds });
}

/** The value of a variant: which arm, and its value. */
export type VariantValue<A> = {
  [K in keyof A]: {
    readonly arm: K;
    readonly value: A[K] extends readonly [unknown, infer D] ? (D extends Typed<infer V> ? V : never) : never;
  };
}[keyof A];

type Arms = Readonly<Record<string, readonly [tag: number | bigint | 'otherwise', type: Type]>>;

/**
 * What a field says it is, each arm in its own size; the arm `otherwise` stands for all other tags.
 * @param by path of the tag from the struct around it
 */
export function variant<const A extends Arms>(name: string, by: string, arms: A): Variable<VariantValue<A>> {
  const list = Object.entries(arms).map(([arm, [tag, type]]) => ({
    name: arm,
    tag: tag === 'otherwise' ? undefined : BigInt(tag),
    type,
  }));
  const tags = list.map((arm) => arm.tag);
  const twice = list.find((arm, index) => tags.indexOf(arm.tag) !== index);
  if (twice !== undefined || list.length === 0) {
    throw layoutError(
      'LAYOUT_TAG',
      list.length === 0 ? 'found no arm, expected one' : `found the tag ${String(twice?.tag ?? 'otherwise')} twice`,
      `${name}.${twice?.name ?? ''}`,
      0,
    );
  }
  return { ...make<VariantValue<A>>({ form: 'variant', by: pathOf(by, name), arms: list }), name };
}

/** A value elsewhere: at the byte, counted from the start of what is decoded, that an earlier field holds, or at that one. */
export function pointedTo<T>(at: string | number, type: Type<T>): Variable<T> {
  return make({ form: 'pointed', at: lengthOf(at, 'pointedTo'), type });
}

/**
 * A value elsewhere, as `pointedTo`, that is decoded when it is asked for. Its type may be the one around it, as of a list
 * whose entries lead to the next: what leads back to itself is the same value again.
 * @param type called when the value is wanted
 */
export function lazyAt<T>(at: string | number, type: () => Type<T>): Variable<Lazy<T>> {
  return make({ form: 'lazy', at: lengthOf(at, 'lazyAt'), type });
}

/**
 * A part whose bytes stand for others, in which its value is: packed, or enciphered.
 * @param process what the program has for it, for instance inflateSync and deflateSync of zlib
 * @param length of the stored bytes; all up to the end where there is none
 */
export function processed<T>(process: Process, type: Type<T>, length?: string | number): Variable<T> {
  return make({
    form: 'processed',
    length: length === undefined ? undefined : lengthOf(length, 'processed'),
    type,
    process,
  });
}

/** A digest, as `sha256`, over the fields from `first` to `last` of the same struct: see `checksum`. */
export function digestOf(digest: Digest, first: string, last = first): Variable<Uint8Array> {
  return make({ form: 'digest', digest, first, last });
}

/** A part of as many bytes as an earlier field or a number says; what is inside cannot leave it, and `array(T)` ends with it. */
export function sized<T>(length: string | number, type: Type<T>): Variable<T> {
  return make({ form: 'sized', length: lengthOf(length, 'sized'), type });
}

/**
 * Bytes up to the next multiple of `to`, counted from the start of what is decoded. Where they are zeros, as padding should
 * be, they have no value, and what has none is written as zeros.
 */
export function alignedTo(to: number): Variable<Uint8Array | undefined> {
  if (!Number.isInteger(to) || to < 1) {
    throw layoutError('LAYOUT_WIDTH', `found ${to}, expected a number of bytes`, 'alignedTo', 0, to);
  }
  return make({ form: 'align', to });
}

/** Bytes that must be these (a magic); encoding writes them. */
export function magic(expected: Uint8Array): Variable<Uint8Array> {
  return make({ form: 'magic', expected: Uint8Array.from(expected) });
}

/**
 * A checksum over the fields from `first` to `last` of the same struct: worked out on encoding, checked on decoding.
 * Where it lies in them itself, it counts as zero.
 */
export function checksum<T extends number | bigint>(
  type: Integer<T>,
  algorithm: ChecksumName | ((bytes: Uint8Array) => number | bigint),
  first: string,
  last = first,
): Variable<T> {
  return make({ form: 'checksum', type, algorithm, first, last });
}

/** Whether a type has no fixed size. */
export function isVariable(type: Description): boolean {
  return type.kind === 'variable' || (type.kind === 'struct' && type.variable === true);
}
