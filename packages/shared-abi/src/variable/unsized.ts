import type { Codec, Partly } from '../codec/codec.js';
import { viewOf } from '../codec/memory.js';
import { layoutError } from '../layout/errors.js';
import type { Target } from '../layout/target.js';
import type { Type } from '../layout/types.js';
import { VariableReader, failure } from './read.js';
import { VariableWriter } from './write.js';

/** The codec of a type without a fixed size. Its `size` is not a number, and it has no layout. */
export function makeUnsized<T>(type: Type<T>, target: Target): Codec<T> {
  const name = 'name' in type ? type.name : type.kind;
  const decodeAt = (view: DataView, offset: number): { readonly value: T; readonly next: number } => {
    if (!Number.isInteger(offset) || offset < 0 || offset > view.byteLength) {
      throw failure(
        'LAYOUT_TRUNCATED',
        `found the offset ${offset}, but ${view.byteLength} bytes are there`,
        name,
        offset,
      );
    }
    const { value, next } = new VariableReader(view, offset, target).read(type, offset, view.byteLength, name, []);
    return { value: value as T, next };
  };
  const wholeBytes = (bit: number): void => {
    if (bit !== 0) throw layoutError('LAYOUT_UNSUPPORTED', 'what has no fixed size begins with a byte', name, 0, bit);
  };
  const encode = (value: Partly<T>): Uint8Array<ArrayBuffer> => new VariableWriter(target).whole(type, value, name);
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
