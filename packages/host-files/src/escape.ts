// What must not reach a terminal or a log line: controls (C0, DEL, C1), line separators, invisible and bidirectional
// formatting (Unicode category Cf), lone surrogates. The backslash is what escapes.

/** Most texts: a pattern of Unicode's properties takes a millisecond to make. */
const PLAIN = /^[ -[\]-~]*$/;

/**
 * Makes text from strangers safe for a terminal and a log line: what could move a cursor, break the line or reorder it
 * becomes `\xNN` or `\u{N}`; a backslash becomes two.
 */
export function escapeText(text: string): string {
  if (PLAIN.test(text)) return text;
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\\]/gu, (character) => {
    if (character === '\\') return '\\\\';
    const code = character.codePointAt(0) ?? 0;
    // A byte of a file name that is no UTF-8.
    if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** A name in quotes, safe to show. */
export function quoteName(name: string): string {
  return `"${escapeText(name).replaceAll('"', '\\"')}"`;
}
