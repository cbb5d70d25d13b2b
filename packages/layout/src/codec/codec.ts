import { LayoutError } from '../layout/errors.js';
import { kinds, known } from '../layout/kinds.js';
import { resolve } from '../layout/resolve.js';
import { byteSize, type ResolvedType } from '../layout/resolved.js';
import type { Target } from '../layout/target.js';
import type { Type } from '../layout/types.js';
import type { Decode, Encode, Generator } from './generate.js';
import { readValue, writeValue, zeroValue } from './interpret.js';
import { arrayOf, checkRoom, roomFor, viewOf, type Memory } from './memory.js';

/** What an encoder takes: fields that are left out become zero, or their constant. */
export type Partly<T> = unknown extends T
  ? unknown
  : T extends number | bigint | boolean | string | Uint8Array
    ? T
    : T extends readonly (infer E)[]
      ? readonly Partly<E>[]
      : { readonly [K in keyof T]?: Partly<T[K]> | undefined };

/** Reads and writes values of one type for one target. Offsets are bytes. */
export interface Codec<T> {
  readonly layout: ResolvedType;
  /** Bytes of a value; of a value that begins at a bit other than 0, one more may be touched. */
  readonly size: number;
  /**
   * Decodes a value.
   * @param bit Bits beyond `offset` at which the value begins.
   * @throws LayoutError `LAYOUT_TRUNCATED` when the bytes end too early, `LAYOUT_VALUE` when a constant field differs,
   *   `LAYOUT_TAG` when a tagged union has no arm for its tag.
   */
  readonly decode: (memory: Memory, offset?: number, bit?: number) => T;
  /**
   * Encodes a value into bytes of its own.
   * @throws LayoutError `LAYOUT_RANGE` or `LAYOUT_VALUE` when a value does not fit its field.
   */
  readonly encode: (value: Partly<T>) => Uint8Array<ArrayBuffer>;
  /** Encodes a value where it is to stand. When it throws, some fields may be written already. */
  readonly encodeInto: (memory: Memory, value: Partly<T>, offset?: number, bit?: number) => void;
  /** Decodes `count` values that stand one behind the other. */
  readonly decodeArray: (memory: Memory, offset?: number, count?: number) => T[];
  /** Encodes values one behind the other. */
  readonly encodeArray: (values: readonly Partly<T>[]) => Uint8Array<ArrayBuffer>;
  /** The value of an all-zero memory, with constants filled in. */
  readonly zero: () => T;
}

/** What may be said of a codec. */
export interface CodecOptions {
  /**
   * Whether decoded byte strings are copies, as they are by default; otherwise those that begin with a byte may be
   * windows of the memory, which change with it and keep it alive.
   */
  readonly copy?: boolean;
}

/** Makes functions for a layout; undefined where no code may be made. What they find wrong they leave to `slow`. */
export interface Compiler {
  readonly decode: (layout: ResolvedType, slow: Decode, copy: boolean) => Decode | undefined;
  readonly encode: (layout: ResolvedType, slow: Encode) => Encode | undefined;
  /** For the compiler of what has no fixed size. */
  readonly generator: (copy: boolean) => Generator;
}

/** Calls in each direction that are interpreted before a codec is compiled. */
const TRIALS = 2;
/** Values of so many bits are compiled at once. */
const TRIAL_BITS = 8 * 65_536;

/** A codec that is compiled when it is used often, or never where there is no compiler. */
export function makeCodec<T>(
  type: Type<T>,
  target: Target,
  { copy = true }: CodecOptions,
  compiler: Compiler | undefined,
): Codec<T> {
  if (type.kind === 'variable' || (type.kind === 'struct' && type.variable === true)) {
    return known(kinds.variable).codec(type, target, copy, compiler);
  }
  const layout = resolve(type, target);
  const name = 'name' in type ? type.name : type.kind;
  const size = byteSize(layout);
  const slowDecode: Decode = (view, offset) => readValue(layout, view, offset * 8, name);
  const slowEncode: Encode = (view, offset, value) => {
    writeValue(layout, view, offset * 8, value, name);
  };
  // Compiling costs as much as some interpreted calls, and many programs make one: what is small is interpreted at first.
  const trials = copy && layout.bits < TRIAL_BITS ? TRIALS : 0;
  let decoded = 0;
  let encoded = 0;
  let fastDecode: Decode | undefined;
  let fastEncode: Encode | undefined;
  const decodeAt: Decode = (view, offset) => {
    if (decoded < trials) {
      decoded += 1;
      return slowDecode(view, offset);
    }
    fastDecode ??= compiler?.decode(layout, slowDecode, copy) ?? slowDecode;
    try {
      return fastDecode(view, offset);
    } catch (error) {
      // The interpreter knows the path of what was met.
      if (error instanceof LayoutError) return slowDecode(view, offset);
      throw error;
    }
  };
  const encodeAt: Encode = (view, offset, value) => {
    if (encoded < trials) {
      encoded += 1;
      slowEncode(view, offset, value);
      return;
    }
    fastEncode ??= compiler?.encode(layout, slowEncode) ?? slowEncode;
    try {
      fastEncode(view, offset, value);
    } catch (error) {
      if (!(error instanceof LayoutError)) throw error;
      slowEncode(view, offset, value);
    }
  };

  const check = (view: DataView, offset: number, bits: number): void => {
    checkRoom(view, offset, bits, name);
  };

  return {
    layout,
    size,
    decode(memory, offset = 0, bit = 0) {
      const view = viewOf(memory);
      // What ends with a tagged union may end with the arm that its tag chooses.
      const short =
        bit === 0 && view.byteLength - offset < size ? kinds.tagged?.padded(layout, view, offset) : undefined;
      if (short !== undefined) return readValue(layout, short, 0, name) as T;
      check(view, offset, bit + layout.bits);
      return (bit === 0 ? decodeAt(view, offset) : readValue(layout, view, offset * 8 + bit, name)) as T;
    },
    encode(value) {
      const bytes = new Uint8Array(size);
      encodeAt(viewOf(bytes), 0, value);
      return bytes;
    },
    encodeInto(memory, value, offset = 0, bit = 0) {
      const view = viewOf(memory);
      check(view, offset, bit + layout.bits);
      if (bit === 0) encodeAt(view, offset, value);
      else writeValue(layout, view, offset * 8 + bit, value, name);
    },
    decodeArray(memory, offset = 0, count = roomFor(layout, viewOf(memory), offset)) {
      const view = viewOf(memory);
      check(view, offset, layout.bits * count);
      if (layout.bits % 8 !== 0) return readValue(arrayOf(layout, count, name), view, offset * 8, name) as T[];
      const values: T[] = [];
      for (let index = 0; index < count; index += 1) values.push(decodeAt(view, offset + index * size) as T);
      return values;
    },
    encodeArray(values) {
      const list = arrayOf(layout, values.length, name);
      const bytes = new Uint8Array(byteSize(list));
      const view = viewOf(bytes);
      if (layout.bits % 8 !== 0) writeValue(list, view, 0, values, name);
      else for (const [index, value] of values.entries()) encodeAt(view, index * size, value);
      return bytes;
    },
    zero: () => zeroValue(layout) as T,
  };
}
