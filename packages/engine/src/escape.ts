/**
 * Makes text from strangers safe for a terminal and a log line: C0, C1 and other control characters, line separators
 * and bidirectional overrides become `\xNN` or `\u{N}`; a backslash becomes two.
 */
export function escapeText(text: string): string {
  return text.replace(
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\\]/g,
    (character) => {
      if (character === '\\') return '\\\\';
      const code = character.codePointAt(0) ?? 0;
      return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
    },
  );
}

/** A name in quotes, safe to show. */
export function quoteName(name: string): string {
  return `"${escapeText(name).replaceAll('"', '\\"')}"`;
}
