import { LayoutError } from '../layout/errors.js';
import type { ResolvedText, ResolvedType } from '../layout/resolved.js';
import type { TextEncoding } from '../layout/types.js';
import { byteOf, readBytes, writeBytes, wrongType } from './interpret.js';

// Bytes that are no text in their encoding are kept where the string can carry them: in UTF-8 as lone surrogates, as
// Python's `surrogateescape` does (PEP 383), in UTF-16 by nature. What was decoded can be encoded again.

/** First of the lone surrogates that stand for bytes 0x80 to 0xff of what is no UTF-8. */
const ESCAPES = 0xdc00;

function utf8Text(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { ignoreBOM: true, fatal: true }).decode(bytes);
  } catch {
    return brokenUtf8(bytes);
  }
}

/** Bytes of the well-formed sequence that begins here (Unicode, table 3-7), or 0. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const [first = 0, second = 0] = bytes.subarray(at, at + 2);
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length < 2) return length;
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high || at + length > bytes.length) return 0;
  return bytes.subarray(at + 2, at + length).every((byte) => (byte & 0xc0) === 0x80) ? length : 0;
}

function brokenUtf8(bytes: Uint8Array): string {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const parts: string[] = [];
  let start = 0;
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      parts.push(decoder.decode(bytes.subarray(start, at)), String.fromCharCode(ESCAPES + (bytes[at] ?? 0)));
      start = at + 1;
    }
    at += Math.max(1, length);
  }
  return parts.join('') + decoder.decode(bytes.subarray(start));
}

function utf8Bytes(text: string): Uint8Array {
  if (!/\p{Surrogate}/u.test(text)) return new TextEncoder().encode(text);
  const bytes = text.split(/(\p{Surrogate})/u).flatMap((part): number[] => {
    const code = part.charCodeAt(0) - ESCAPES;
    return part.length === 1 && code >= 0x80 && code <= 0xff ? [code] : Array.from(new TextEncoder().encode(part));
  });
  return Uint8Array.from(bytes);
}

function unitsOf(bytes: Uint8Array, little: boolean): string {
  let text = '';
  for (let at = 0; at + 1 < bytes.length; at += 2) {
    const [first = 0, second = 0] = bytes.subarray(at, at + 2);
    const unit = little ? first | (second << 8) : (first << 8) | second;
    if (unit === 0) break;
    text += String.fromCharCode(unit);
  }
  return text;
}

function bytesOfUnits(text: string, little: boolean): Uint8Array {
  return Uint8Array.from({ length: text.length * 2 }, (_, index) => {
    const unit = text.charCodeAt(index >> 1);
    return (index % 2 === 0) === little ? unit & 0xff : unit >> 8;
  });
}

/** Text out of bytes; it ends at the first zero character, or with them. */
export function decodeText(encoding: ResolvedText['encoding'], bytes: Uint8Array): string {
  if (encoding === 'utf16le' || encoding === 'utf16be') return unitsOf(bytes, encoding === 'utf16le');
  const end = bytes.indexOf(0);
  const words = end < 0 ? bytes : bytes.subarray(0, end);
  if (encoding !== 'latin1' && encoding !== 'ascii') return utf8Text(words);
  let text = '';
  for (const byte of words) text += String.fromCharCode(byte);
  return text;
}

/** Bytes of a text; what the encoding does not have is in no string that {@link decodeText} gives for them. */
export function encodeText(encoding: ResolvedText['encoding'], text: string): Uint8Array {
  if (encoding === 'utf16le' || encoding === 'utf16be') return bytesOfUnits(text, encoding === 'utf16le');
  if (encoding === 'latin1' || encoding === 'ascii')
    return Uint8Array.from(text, (character) => character.charCodeAt(0));
  return utf8Bytes(text);
}

function refused(encoding: ResolvedText['encoding'], found: unknown, path: string, offset: number): LayoutError {
  const message =
    encoding === undefined
      ? 'found half of a surrogate pair, expected well-formed text'
      : `found characters that ${encoding} does not have, expected another encoding`;
  return new LayoutError('LAYOUT_VALUE', message, { path, offset, found, expected: encoding ?? 'utf8' });
}

/** @throws LayoutError `LAYOUT_VALUE` for bytes that are no ASCII where that is the encoding. */
export function checkedText(
  encoding: ResolvedText['encoding'],
  bytes: Uint8Array,
  path: string,
  offset: number,
): string {
  const text = decodeText(encoding, bytes);
  if (encoding === 'ascii' && /[^\0-\x7f]/.test(text)) throw refused(encoding, text, path, offset);
  return text;
}

/**
 * Bytes of a value that must be a text without zero characters.
 * @throws LayoutError `LAYOUT_VALUE`.
 */
export function checkedBytes(
  encoding: ResolvedText['encoding'],
  value: unknown,
  path: string,
  offset: number,
): Uint8Array {
  if (typeof value !== 'string') throw wrongType(value, 'string', path, offset);
  if (value.includes('\0')) {
    throw new LayoutError('LAYOUT_VALUE', 'found a zero character, which would end the text', {
      path,
      offset,
      found: value,
    });
  }
  const bytes = encodeText(encoding, value);
  const isKept = encoding === 'ascii' ? !/[^\0-\x7f]/.test(value) : decodeText(encoding, bytes) === value;
  if (!isKept) throw refused(encoding, value, path, offset);
  return bytes;
}

function read(type: ResolvedType, view: DataView, bit: number, path: string): string {
  const { encoding } = type as ResolvedText;
  return checkedText(encoding, readBytes(view, bit, type.bits / 8), path, byteOf(bit));
}

function write(type: ResolvedType, view: DataView, bit: number, value: unknown, path: string): void {
  const { encoding } = type as ResolvedText;
  writeBytes(view, bit, checkedBytes(encoding, value ?? '', path, byteOf(bit)), type.bits / 8, path);
}

/** Reads and writes text. */
export const textKind = { read, write };

/** All of some bytes as text, zero characters too. */
export function bytesAsText(encoding: TextEncoding, bytes: Uint8Array, path: string, offset: number): string {
  if (encoding.startsWith('utf16')) {
    if (bytes.length % 2 !== 0) {
      throw new LayoutError('LAYOUT_WIDTH', `found ${bytes.length} bytes of UTF-16, expected an even number`, {
        path,
        offset,
      });
    }
    let text = '';
    for (let at = 0; at < bytes.length; at += 2) {
      const [first = 0, second = 0] = bytes.subarray(at, at + 2);
      text += String.fromCharCode(encoding === 'utf16le' ? first | (second << 8) : (first << 8) | second);
    }
    return text;
  }
  const own = encoding === 'utf8' ? undefined : encoding;
  // Between zero characters, text is as in a field.
  const parts: string[] = [];
  let start = 0;
  for (let end = bytes.indexOf(0); end >= 0; end = bytes.indexOf(0, start)) {
    parts.push(checkedText(own, bytes.subarray(start, end), path, offset));
    start = end + 1;
  }
  return [...parts, checkedText(own, bytes.subarray(start), path, offset)].join('\0');
}

/** The bytes of a text of any length. */
export function textAsBytes(encoding: TextEncoding, value: unknown, path: string, offset: number): Uint8Array {
  if (typeof value !== 'string') throw wrongType(value, 'string', path, offset);
  const own = encoding === 'utf8' ? undefined : encoding;
  if (!value.includes('\0')) return checkedBytes(own, value, path, offset);
  const zero = new Uint8Array(encoding.startsWith('utf16') ? 2 : 1);
  const parts = value.split('\0').map((part) => checkedBytes(own, part, path, offset));
  return Uint8Array.from(parts.flatMap((part, index) => [...(index === 0 ? [] : zero), ...part]));
}
