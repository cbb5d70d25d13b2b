// File names of Linux are bytes, those of JavaScript are text. A byte that is no UTF-8 is kept as a lone surrogate,
// U+DC80 for 0x80 to U+DCFF for 0xff, as Python does (PEP 383): each name has one text, and each text one name.

const LONE_SURROGATE = /[\ud800-\udfff]/u;
const FIRST_ESCAPE = 0xdc80;
const LAST_ESCAPE = 0xdcff;
const ESCAPE_BASE = 0xdc00;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The bytes of a file name.
 * @throws RangeError where the text has a lone surrogate that stands for no byte
 */
export function nameBytes(name: string): Buffer {
  if (!LONE_SURROGATE.test(name)) return Buffer.from(name);
  const parts: Buffer[] = [];
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0;
    if (code >= FIRST_ESCAPE && code <= LAST_ESCAPE) parts.push(Buffer.of(code - ESCAPE_BASE));
    else if (LONE_SURROGATE.test(character)) throw new RangeError('a file name has half a character in it');
    else parts.push(Buffer.from(character));
  }
  return Buffer.concat(parts);
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The text of a file name, from which {@link nameBytes} makes the same bytes again. */
export function nameText(name: Uint8Array): string {
  const whole = decoded(name);
  if (whole !== undefined) return whole;
  let text = '';
  for (let at = 0; at < name.length;) {
    const character = [1, 2, 3, 4].find((length) => {
      return at + length <= name.length && decoded(name.subarray(at, at + length)) !== undefined;
    });
    if (character === undefined) text += String.fromCharCode(ESCAPE_BASE + (name[at] ?? 0));
    else text += decoded(name.subarray(at, at + character)) ?? '';
    at += character ?? 1;
  }
  return text;
}

const SLASH = 0x2f;

/** A name's directory, as it is written, and the last part of the name. */
export interface SplitName {
  /** `.` where the name has none. */
  readonly directory: Buffer;
  readonly leaf: Buffer;
}

/** Takes a name apart; nothing is normalised, because only the kernel knows what `..` is behind a link. */
export function splitName(name: Buffer): SplitName {
  const at = name.lastIndexOf(SLASH);
  if (at === -1) return { directory: Buffer.from('.'), leaf: name };
  return { directory: at === 0 ? Buffer.from('/') : name.subarray(0, at), leaf: name.subarray(at + 1) };
}

/** A name in a directory, as bytes. */
export function inDirectory(directory: Uint8Array, leaf: Uint8Array): Buffer {
  return Buffer.concat([directory, Buffer.of(SLASH), leaf]);
}

/** The directory of a file's name, as it is written. Nothing is normalised. */
export function directoryOf(name: string): string {
  const at = name.lastIndexOf('/');
  if (at === -1) return '.';
  return at === 0 ? '/' : name.slice(0, at);
}

/** The last part of a name, without its directory. */
export function leafOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}
