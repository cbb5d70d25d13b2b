import type { Codec, Compiler, Partly } from '../codec/codec.js';
import { mayGenerate } from '../codec/runtime.js';
import { viewOf } from '../codec/memory.js';
import { LayoutError, layoutError } from '../layout/errors.js';
import type { Target } from '../layout/target.js';
import type { Type } from '../layout/types.js';
import { BAIL, unlessNotCompiled } from './compile.js';
import { compileRead, type ReadVariable } from './compile-read.js';
import { compileWrite, type WriteVariable } from './compile-write.js';
import { VariableReader, failure, type Found } from './read.js';
import { VariableWriter } from './write.js';

/** Calls in each direction that are interpreted before a codec is compiled; where there is much to read, none. */
const TRIALS = 2;
const MUCH = 16_384;

/** A reader or a writer that was compiled, that cannot be (false), or that was not wanted yet. */
type Compiled<F> = F | false | undefined;

/** What compiled code makes, or what the interpreter does where it was left to that, which knows the path of what is wrong. */
function withFallback<R>(fast: () => R, slow: () => R): R {
  try {
    return fast();
  } catch (error) {
    if (error === BAIL || error instanceof LayoutError) return slow();
    throw error;
  }
}

/**
 * The codec of a type without a fixed size. Its `size` is not a number, and it has no layout. It is compiled when it is used
 * often, or never where there is no compiler.
 */
export function makeUnsized<T>(type: Type<T>, target: Target, copy: boolean, compiler?: Compiler): Codec<T> {
  const name = 'name' in type ? type.name : type.kind;
  let decoded = 0;
  let encoded = 0;
  let reader: Compiled<ReadVariable>;
  let writer: Compiled<WriteVariable>;
  const readerOf = ({ generator }: Compiler): ReadVariable | false => {
    reader ??= mayGenerate() && (unlessNotCompiled(() => compileRead(type, target, generator(copy), copy)) ?? false);
    return reader;
  };
  const writerOf = ({ generator }: Compiler): WriteVariable | false => {
    writer ??= mayGenerate() && (unlessNotCompiled(() => compileWrite(type, target, generator(true))) ?? false);
    return writer;
  };
  const decodeAt = (view: DataView, offset: number): { readonly value: T; readonly next: number } => {
    if (!Number.isInteger(offset) || offset < 0 || offset > view.byteLength) {
      throw failure(
        'LAYOUT_TRUNCATED',
        `found the offset ${offset}, but ${view.byteLength} bytes are there`,
        name,
        offset,
      );
    }
    const slow = (): Found => new VariableReader(view, offset, target).read(type, offset, view.byteLength, name, []);
    let found: Found;
    if (compiler === undefined || (decoded < TRIALS && view.byteLength - offset < MUCH)) {
      decoded += 1;
      found = slow();
    } else {
      const fast = readerOf(compiler);
      const result = { next: offset };
      found =
        fast === false ? slow() : withFallback(() => ({ value: fast(view, offset, result), next: result.next }), slow);
    }
    return { value: found.value as T, next: found.next };
  };
  const wholeBytes = (bit: number): void => {
    if (bit !== 0) throw layoutError('LAYOUT_UNSUPPORTED', 'what has no fixed size begins with a byte', name, 0, bit);
  };
  const encode = (value: Partly<T>): Uint8Array<ArrayBuffer> => {
    const slow = (): Uint8Array<ArrayBuffer> => new VariableWriter(target).whole(type, value, name);
    if (compiler === undefined || encoded < TRIALS) {
      encoded += 1;
      return slow();
    }
    const fast = writerOf(compiler);
    return fast === false ? slow() : withFallback(() => fast(value), slow);
  };
  return {
    get layout(): never {
      throw layoutError('LAYOUT_UNSUPPORTED', 'found a type without a fixed size, expected one with a layout', name, 0);
    },
    size: Number.NaN,
    decode(memory, offset = 0, bit = 0) {
      wholeBytes(bit);
      return decodeAt(viewOf(memory), offset).value;
    },
    encode,
    encodeInto(memory, value, offset = 0, bit = 0) {
      wholeBytes(bit);
      const view = viewOf(memory);
      const bytes = encode(value);
      if (offset + bytes.length > view.byteLength) {
        throw failure(
          'LAYOUT_TRUNCATED',
          `needs ${bytes.length} bytes, ${view.byteLength - offset} are there`,
          name,
          offset,
        );
      }
      new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(bytes, offset);
    },
    decodeArray(memory, offset = 0, count = Number.POSITIVE_INFINITY) {
      const view = viewOf(memory);
      const values: T[] = [];
      let at = offset;
      while (values.length < count && (count !== Number.POSITIVE_INFINITY || at < view.byteLength)) {
        const { value, next } = decodeAt(view, at);
        if (next === at && count === Number.POSITIVE_INFINITY) {
          throw failure('LAYOUT_UNSUPPORTED', 'found a value without bytes, expected a count', name, at);
        }
        values.push(value);
        at = next;
      }
      return values;
    },
    encodeArray(values) {
      const parts = values.map(encode);
      const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
      let at = 0;
      for (const part of parts) {
        bytes.set(part, at);
        at += part.length;
      }
      return bytes;
    },
    zero: () => decodeAt(viewOf(encode({} as Partly<T>)), 0).value,
  };
}
