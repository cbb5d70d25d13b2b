import { readValue } from '../codec/interpret.js';
import { bytesAsText, checkedText } from '../codec/text.js';
import type { ResolvedText, ResolvedType } from '../layout/resolved.js';
import type { Process, TextEncoding } from '../layout/types.js';
import { BAIL } from './compile.js';
import { isSum } from './read.js';

/** Text of so many bytes or fewer is made character by character, as long as it is ASCII. */
export const SHORT_TEXT = 48;

/** What the generated code of readers calls. */
export const helpers = {
  /** A text of a fixed size, which a zero character ends. */
  field(encoding: ResolvedText['encoding'], bytes: Uint8Array, from: number, to: number): string {
    let text = '';
    for (let at = from; at < to; at += 1) {
      const byte = bytes[at] ?? 0;
      if (byte === 0) break;
      if (byte > 0x7f) return checkedText(encoding, bytes.slice(from, to), '', 0);
      text += String.fromCharCode(byte);
    }
    return text;
  },
  text(encoding: TextEncoding, bytes: Uint8Array, from: number, to: number): string {
    if (to - from <= SHORT_TEXT && !encoding.startsWith('utf16')) {
      let text = '';
      let at = from;
      for (; at < to; at += 1) {
        const byte = bytes[at] ?? 0;
        if (byte > 0x7f) break;
        text += String.fromCharCode(byte);
      }
      if (at === to) return text;
    }
    return bytesAsText(encoding, bytes.subarray(from, to), '', 0);
  },
  read: (type: ResolvedType, view: DataView, byte: number, around: Readonly<Record<string, unknown>>): unknown =>
    readValue(type, view, byte * 8, '', around),
  same: (bytes: Uint8Array, from: number, expected: Uint8Array): boolean =>
    expected.every((byte, index) => byte === bytes[from + index]),
  plain(process: Process, stored: Uint8Array): DataView {
    const bytes: unknown = process.decode(stored);
    if (!(bytes instanceof Uint8Array)) throw BAIL;
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  },
  isSum,
};
