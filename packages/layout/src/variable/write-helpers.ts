import { checkKeys } from '../codec/integers.js';
import { writeValue } from '../codec/interpret.js';
import { textAsBytes } from '../codec/text.js';
import { byteSize, type ResolvedType } from '../layout/resolved.js';
import type { Target } from '../layout/target.js';
import type { FieldDescription, Process, TextEncoding, Type } from '../layout/types.js';
import { BAIL, type Part } from './compile.js';
import { isNumber, sumOf } from './read.js';
import { VariableWriter } from './write.js';
import { knownKeys, partOf, put } from './write-values.js';

type Fields = Readonly<Record<string, unknown>>;
/** Where the bytes of a sum are, its own, and what it is to be; nothing where that follows. */
type SumPlace = readonly [from: number, to: number, own: number, wanted: unknown];

/** Bytes of memory that a codec keeps from one value to the next, and that it takes at once where the last one had many. */
const [MOST_KEPT, MOST_EXPECTED] = [65_536, 2 ** 24];

/** Memory that one codec writes into; it is zeros where no value is being written. */
export class Scratch {
  #bytes: Uint8Array<ArrayBuffer> | undefined;
  #expected = 1024;

  take(): Uint8Array<ArrayBuffer> {
    const bytes = this.#bytes ?? new Uint8Array(this.#expected);
    this.#bytes = undefined;
    return bytes;
  }

  /** A larger one with the same beginning. */
  grow(bytes: Uint8Array, used: number, needed: number): Uint8Array<ArrayBuffer> {
    const larger = new Uint8Array(Math.max(needed, bytes.length * 2));
    larger.set(bytes.subarray(0, used));
    return larger;
  }

  give(bytes: Uint8Array<ArrayBuffer>, used: number): Uint8Array<ArrayBuffer> {
    if (bytes.length <= MOST_KEPT) {
      const result = bytes.slice(0, used);
      this.#bytes = bytes.fill(0, 0, used);
      return result;
    }
    this.#expected = Math.min(used, MOST_EXPECTED);
    return used === bytes.length ? bytes : bytes.slice(0, used);
  }
}

/** Bytes that are copied one by one: a call costs more. */
const FEW = 32;

/** What the generated code of writers calls. */
export function helpersFor(target: Target) {
  return {
    keys: (fields: readonly FieldDescription[], given: Fields): void => {
      checkKeys(fields.flatMap(knownKeys), given, '', 0);
    },
    write: (type: ResolvedType, view: DataView, byte: number, value: unknown, around: Fields): void => {
      writeValue(type, view, byte * 8, value, '', around);
    },
    put,
    partOf,
    /** Copies bytes. */
    set(bytes: Uint8Array, at: number, source: Uint8Array): void {
      const { length } = source;
      if (length > FEW) bytes.set(source, at);
      else for (let index = 0; index < length; index += 1) bytes[at + index] = source[index] ?? 0;
    },
    /** Writes a short text of ASCII, of which no character is zero or ends it; false where it is another. */
    ascii(bytes: Uint8Array, at: number, value: unknown, terminator: number): boolean {
      if (typeof value !== 'string') return false;
      for (let index = 0; index < value.length; index += 1) {
        const code = value.charCodeAt(index);
        if (code === 0 || code > 0x7f || code === terminator) {
          bytes.fill(0, at, at + index);
          return false;
        }
        bytes[at + index] = code;
      }
      return true;
    },
    text: (encoding: TextEncoding, value: unknown): Uint8Array => textAsBytes(encoding, value, '', 0),
    isSame: (value: unknown, expected: Uint8Array): boolean =>
      value instanceof Uint8Array &&
      value.length === expected.length &&
      expected.every((byte, index) => byte === value[index]),
    processed: (process: Process, type: Type, value: unknown): Uint8Array =>
      process.encode(new VariableWriter(target).whole(type, value, '')),
    digest(part: Part<'digest'>, bytes: Uint8Array, [from, to, own, wanted]: SumPlace): void {
      bytes.fill(0, own, own + part.digest.size);
      const digest = part.digest.of(bytes.slice(from, to));
      if (wanted !== undefined && !this.isSame(wanted, digest)) throw BAIL;
      bytes.set(digest, own);
    },
    checksum(part: Part<'checksum'>, type: ResolvedType, bytes: Uint8Array, view: DataView, place: SumPlace): void {
      const [from, to, own, wanted] = place;
      bytes.fill(0, own, own + byteSize(type));
      const sum = sumOf(part.algorithm, bytes.slice(from, to));
      if (wanted !== undefined && !isNumber(wanted, sum)) throw BAIL;
      writeValue(type, view, own * 8, part.type.bits > 32 ? BigInt(sum) : Number(sum), '');
    },
  };
}
