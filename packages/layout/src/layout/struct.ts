import { taggedKind, unionKind } from '../codec/unions.js';
import { variant, type Variable, type VariantValue } from '../variable/describe.js';
import type { LayoutError } from './errors.js';
import { layoutError } from './errors.js';
import { kinds } from './kinds.js';
import { checkName, isIdentifier } from './names.js';
import { resolveBits } from './resolve-bits.js';
import type { BitOrder } from './resolved.js';
import type {
  ArmDescription,
  FieldDescription,
  Integer,
  IntegralDescription,
  Label,
  Packing,
  StructDescription,
  TaggedDescription,
  Type,
  Typed,
  UnionDescription,
  Unnamed,
  VariableDescription,
  ValueOf,
} from './types.js';

/** A field as its author writes it, with more to say than its type. */
export interface FieldSpec<T = unknown> {
  readonly type: Type<T>;
  /** Byte offset that the author claims; checked against the computed one. */
  readonly at?: number;
  readonly doc?: string;
  /** A value that the field must always have (a magic, a zero padding). Encoders fill it in, decoders check it. */
  readonly value?: T;
  /** Bit offset from the start of a struct that is packed to the bit; it may depend on the byte order. */
  readonly label?: Label;
  /** Smallest alignment in bytes (C's `_Alignas`). */
  readonly align?: number;
  /** See {@link anonymous}. */
  readonly anonymous?: true;
}

/** A field whose own fields stand in the value of the struct around it. */
export interface AnonymousSpec<V> extends FieldSpec<V> {
  readonly anonymous: true;
}

/**
 * An anonymous struct or union, as C has them: its fields are those of the struct around it, in values, in paths and in
 * C. The name that it has in the description is for languages that want one. Of a union's arms, encoding takes one.
 */
export function anonymous<V>(
  type: (StructDescription & Typed<V>) | (UnionDescription & Typed<V>),
  options: Pick<FieldSpec, 'at' | 'doc' | 'align'> = {},
): AnonymousSpec<V> {
  return { ...options, type, anonymous: true };
}

type Spec = Type | FieldSpec;
type Specs = Readonly<Record<string, Spec>>;
type SpecValue<S> = S extends FieldSpec<infer T> ? T : ValueOf<S>;

/** The value of a struct: its named fields. */
export type StructValue<F> = {
  -readonly [K in keyof F as F[K] extends Unnamed | AnonymousSpec<unknown> ? never : K]: SpecValue<F[K]>;
} & Lifted<F>;

/** The fields of anonymous members. */
type Lifted<F> = Intersection<{ [K in keyof F]: F[K] extends AnonymousSpec<infer V> ? V : never }[keyof F]>;
type Intersection<U> = (U extends unknown ? (value: U) => void : never) extends (value: infer I) => void ? I : never;

/** A struct with the TypeScript type of its values. */
export type Struct<V> = StructDescription & Typed<V>;
/** An integral struct with the TypeScript type of its values. */
export type Integral<V> = IntegralDescription & Typed<V>;
/** A C union: decoding gives every arm, encoding takes one. */
export type Union<V> = UnionDescription & Typed<V>;
/** A tagged union: the arm that its tag chooses. */
export type Tagged<V> = TaggedDescription & Typed<V>;

/** The value of a tagged union: which arm, and its value. */
export type TaggedValue<A> = { [K in keyof A]: { readonly arm: K; readonly value: ArmValue<A[K]> } }[keyof A];
type ArmValue<A> = A extends readonly [unknown, infer D] ? ValueOf<D> : never;

/** Declares a field of a struct: its type, the byte offset it must have, and what it means. */
export function field<T>(type: Type<T>, at: number, doc: string, value?: NoInfer<T>): FieldSpec<T> {
  return value === undefined ? { type, at, doc } : { type, at, doc, value };
}

/** What may be said of a struct as a whole. */
export interface StructOptions {
  readonly doc?: string;
  /** Total size in bytes, checked. */
  readonly size?: number;
  /** Smallest alignment in bytes. */
  readonly align?: number;
  readonly packing?: Exclude<Packing, 'bits'>;
  /** Refuses gaps: all padding must be declared. */
  readonly explicit?: boolean;
  /** Name of the first field that differs from target to target; what stands before it may not. */
  readonly tail?: string;
}

/**
 * A struct: named fields in memory order, laid out as C does unless `packing` says otherwise. Its layout is computed,
 * and all that was claimed of it checked, when it is resolved for a target.
 * @throws LayoutError `LAYOUT_NAME`, `LAYOUT_UNSUPPORTED`, naming the field.
 */
export function struct<const F extends Specs>(
  name: string,
  fields: F,
  options: StructOptions = {},
): Struct<StructValue<F>> {
  return makeStruct(name, fields, options);
}

function makeStruct(
  name: string,
  fields: Specs,
  options: Omit<StructOptions, 'packing'> & { readonly packing?: Packing; readonly order?: BitOrder },
): StructDescription {
  checkName(name, name);
  const packing = options.packing ?? 'natural';
  const described = describeFields(name, fields);
  for (const item of described) {
    if (item.label !== undefined && packing !== 'bits') {
      throw unsupported(`${name}.${item.name}`, 'only a struct that is packed to the bit has labels');
    }
    if (item.type.kind === 'bitField' && packing === 'bits') {
      throw unsupported(`${name}.${item.name}`, 'a C bit field needs a struct that is laid out as C does');
    }
  }
  checkAlign(name, options.align);
  if (options.tail !== undefined && !described.some((item) => item.name === options.tail)) {
    throw layoutError(
      'LAYOUT_NAME',
      `found ${options.tail} as the start of the tail, expected a field's name`,
      name,
      0,
      options.tail,
    );
  }
  return {
    kind: 'struct',
    name,
    doc: options.doc ?? '',
    packing,
    fields: described,
    size: options.size,
    align: options.align,
    explicit: options.explicit ?? false,
    tail: options.tail,
    ...(options.order === undefined ? {} : { order: options.order }),
    ...(described.some((item) => item.type.kind === 'variable' || (item.type.kind === 'struct' && item.type.variable))
      ? { variable: true }
      : {}),
  };
}

/**
 * A struct whose fields follow each other without gaps to the bit, as GNU poke's do. See {@link struct}.
 * @param options With `order: 'lsb'`, the least significant bit of a byte comes first (FAT12, DEFLATE, bitmaps): its
 *   integers, and those of its arrays, have that order then, and so have its labels.
 */
export function bitStruct<const F extends Specs>(
  name: string,
  fields: F,
  options: Omit<StructOptions, 'packing'> & { readonly order?: BitOrder } = {},
): Struct<StructValue<F>> {
  kinds.bits = { resolve: resolveBits };
  const ordered = options.order === 'lsb' ? Object.fromEntries(Object.entries(fields).map(leastFirst)) : fields;
  return makeStruct(name, ordered, { ...options, packing: 'bits' });
}

function leastFirst([name, spec]: readonly [string, Spec]): [string, Spec] {
  return [name, 'type' in spec ? { ...spec, type: inLeastFirst(spec.type) } : inLeastFirst(spec)];
}

/** An integer or an array of them, its bits in the order of the struct around it unless it has one of its own. */
function inLeastFirst(type: Type): Type {
  if (type.kind === 'array') return { ...type, element: inLeastFirst(type.element) };
  return type.kind === 'integer' && type.order === undefined && type.endian !== 'big'
    ? { ...type, order: 'lsb' }
    : type;
}

/**
 * An integral struct: the bytes are read as one integer in the container's byte order and then split from the most
 * significant bit down (GNU poke manual, "Integral Structs"). Fields are integers or integral structs; their widths must
 * add up to the container's.
 * @throws LayoutError `LAYOUT_SIZE` when they do not, `LAYOUT_UNSUPPORTED` for a field that is not an integer.
 */
export function integral<const F extends Specs>(
  name: string,
  container: Integer,
  fields: F,
  doc = '',
): Integral<StructValue<F>> {
  checkName(name, name);
  const described = describeFields(name, fields);
  let sum = 0;
  for (const item of described) {
    const path = `${name}.${item.name}`;
    if (item.type.kind !== 'integer' && item.type.kind !== 'integral') {
      throw unsupported(
        path,
        `a field of an integral struct is an integer or an integral struct, found ${item.type.kind}`,
      );
    }
    const inner = item.type.kind === 'integer' ? item.type : item.type.container;
    if (inner.endian !== undefined) {
      throw unsupported(path, 'a part of an integer has no byte order of its own');
    }
    if (item.label !== undefined || item.at !== undefined || item.align !== undefined) {
      throw unsupported(path, 'the place of a field follows from the widths before it');
    }
    sum += inner.bits;
  }
  if (sum !== container.bits) {
    throw layoutError(
      'LAYOUT_SIZE',
      `found fields of ${sum} bits together, expected ${container.bits}`,
      described.length === 0 ? name : `${name}.${described.at(-1)?.name ?? ''}`,
      0,
      sum,
      container.bits,
    );
  }
  return { kind: 'integral', name, doc, container, fields: described };
}

/**
 * A C union: every arm begins at the same byte. Which one means something, the reader knows: decoding gives all of
 * them, encoding takes exactly one.
 */
export function union<const F extends Specs>(
  name: string,
  arms: F,
  options: { readonly doc?: string; readonly packed?: boolean } = {},
): Union<Partial<StructValue<F>>> {
  checkName(name, name);
  const described = describeFields(name, arms);
  if (described.length === 0) throw unsupported(name, 'a union needs an arm');
  kinds.union = unionKind;
  return { kind: 'union', name, doc: options.doc ?? '', packed: options.packed ?? false, arms: described };
}

/**
 * A union whose arm is chosen by a field of the struct that contains it, also one that is a few bits of an integral
 * struct.
 * @param by Path of the tag from the struct around the union, for instance `header.type`.
 * @param arms By name: the tag's value, and the type.
 *   With an arm for all other tags (`['otherwise', type]`), or one without a fixed size, each arm has its own size: see
 *   `variant`.
 * @throws LayoutError `LAYOUT_TAG` when two arms have one tag, `LAYOUT_NAME` when `by` is no path of names.
 */
export function tagged<const A extends Readonly<Record<string, readonly [tag: number | bigint, type: Type]>>>(
  name: string,
  by: string,
  arms: A,
  doc?: string,
): Tagged<TaggedValue<A>>;
export function tagged<
  const A extends Readonly<Record<string, readonly [tag: number | bigint | 'otherwise', type: Type]>>,
>(name: string, by: string, arms: A, doc?: string): Variable<VariantValue<A>>;
export function tagged(
  name: string,
  by: string,
  arms: Readonly<Record<string, readonly [tag: number | bigint | 'otherwise', type: Type]>>,
  doc = '',
): TaggedDescription | VariableDescription {
  const fixed: Record<string, readonly [tag: number | bigint, type: Type]> = {};
  for (const [arm, [tag, type]] of Object.entries(arms)) {
    const varies = type.kind === 'variable' || (type.kind === 'struct' && type.variable === true);
    if (tag === 'otherwise' || varies) return variant(name, by, arms);
    fixed[arm] = [tag, type];
  }
  return fixedTagged(name, by, fixed, doc);
}

function fixedTagged(
  name: string,
  by: string,
  arms: Readonly<Record<string, readonly [tag: number | bigint, type: Type]>>,
  doc: string,
): TaggedDescription {
  checkName(name, name);
  const described = Object.entries(arms).map(([arm, [tag, type]]): ArmDescription => {
    checkName(arm, `${name}.${arm}`);
    if (type.kind === 'bitField') throw unsupported(`${name}.${arm}`, 'an arm cannot be a bit field');
    return { name: arm, tag, type };
  });
  if (described.length === 0) throw unsupported(name, 'a tagged union needs an arm');
  const seen = new Map<bigint, string>();
  for (const arm of described) {
    const other = seen.get(BigInt(arm.tag));
    if (other !== undefined) {
      throw layoutError(
        'LAYOUT_TAG',
        `found the tag ${arm.tag}, which ${other} has already, expected another`,
        `${name}.${arm.name}`,
        0,
        arm.tag,
      );
    }
    seen.set(BigInt(arm.tag), arm.name);
  }
  kinds.tagged = taggedKind;
  const path = by.split('.');
  if (!path.every((part) => isIdentifier(part))) {
    const expected = 'the names of fields with dots between them';
    throw layoutError(
      'LAYOUT_NAME',
      `found the tag ${JSON.stringify(by)}, expected ${expected}`,
      name,
      0,
      by,
      expected,
    );
  }
  return { kind: 'tagged', name, doc, by: path, arms: described };
}

function unsupported(path: string, message: string): LayoutError {
  return layoutError('LAYOUT_UNSUPPORTED', message, path, 0);
}

function checkAlign(path: string, align: number | undefined): void {
  if (align === undefined || (Number.isInteger(Math.log2(align)) && align >= 1)) return;
  throw layoutError(
    'LAYOUT_WIDTH',
    `found an alignment of ${align}, expected a power of two`,
    path,
    0,
    align,
    'a power of two',
  );
}

function describeFields(owner: string, specs: Specs): FieldDescription[] {
  const seen = new Set<string>();
  return Object.entries(specs).map(([name, spec]) => {
    const path = `${owner}.${name}`;
    const {
      type,
      at,
      doc = '',
      value,
      label,
      align,
      anonymous: isAnonymous,
    }: FieldSpec = 'type' in spec ? spec : { type: spec };
    if (type.kind !== 'bitField' || !type.unnamed) checkName(name, path);
    checkAlign(path, align);
    for (const key of isAnonymous === true ? [name, ...keysInside(type, path)] : [name]) {
      if (seen.has(key)) {
        throw layoutError('LAYOUT_NAME', `found the name ${key} twice, expected each once`, path, 0, key);
      }
      seen.add(key);
    }
    if (value !== undefined && !(typeof value === 'number' || typeof value === 'bigint')) {
      throw layoutError('LAYOUT_VALUE', 'found a constant that is not an integer, expected one', path, 0, value);
    }
    const described = { name, type, doc, at, label, value, align };
    return isAnonymous === true ? { ...described, anonymous: true } : described;
  });
}

/** The names that an anonymous member gives to the struct around it. */
function keysInside(type: Type, path: string): string[] {
  if (type.kind !== 'struct' && type.kind !== 'union') {
    throw unsupported(path, `an anonymous member is a struct or a union, found ${type.kind}`);
  }
  return (type.kind === 'struct' ? type.fields : type.arms).flatMap((item) => {
    if (item.type.kind === 'bitField' && item.type.unnamed) return [];
    return item.anonymous === true ? keysInside(item.type, path) : [item.name];
  });
}
