const LONGEST = 80;

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`;
  return `\\u{${code.toString(16)}}`;
}

/**
 * Text from outside, made fit for an error message: quoted, cut at 80 characters, with everything escaped that could
 * move a cursor, break the line or reorder it.
 */
export function quote(text: string): string {
  const characters = Array.from(text.slice(0, 2 * LONGEST));
  const shown = characters.slice(0, LONGEST).join('');
  // What must not reach a terminal or a log line: controls (C0, DEL, C1), line separators, invisible and bidirectional
  // formatting (Unicode category Cf), and lone surrogates.
  const escaped = shown.replace(/[\\']/g, '\\$&').replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, escapeCharacter);
  return shown.length < text.length ? `'${escaped}…'` : `'${escaped}'`;
}
