import { LayoutError } from '../layout/errors.js';
import type { ResolvedType } from '../layout/resolved.js';
import { byteOf, readBytes, writeBytes, wrongType } from './interpret.js';

function read(type: ResolvedType, view: DataView, bit: number): string {
  const bytes = readBytes(view, bit, type.bits / 8);
  const end = bytes.indexOf(0);
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(end < 0 ? bytes : bytes.subarray(0, end));
}

function write(type: ResolvedType, view: DataView, bit: number, value: unknown, path: string): void {
  const offset = byteOf(bit);
  const words = value ?? '';
  if (typeof words !== 'string') throw wrongType(words, 'string', path, offset);
  if (words.includes('\0')) {
    throw new LayoutError('LAYOUT_VALUE', 'found a zero character, which would end the text', {
      path,
      offset,
      found: words,
    });
  }
  // Half of a surrogate pair has no UTF-8.
  if (/\p{Surrogate}/u.test(words)) {
    throw new LayoutError('LAYOUT_VALUE', 'found half of a surrogate pair, expected well-formed text', {
      path,
      offset,
      found: words,
    });
  }
  writeBytes(view, bit, new TextEncoder().encode(words), type.bits / 8, path);
}

/** Reads and writes text. */
export const textKind = { read, write };
