// Descriptions may come from strangers. The reader of canonical JSON refuses what has no reason to be there, and each
// emitter writes what is left so that it stays a comment, a cell or a label in its language, whoever made the description.

/** What ends a line, moves a cursor or turns the direction of text. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu;

/** Text on one line. */
export function oneLine(text: string): string {
  return text.replaceAll(UNPRINTABLE, ' ');
}

/** Text inside a comment of C or poke: nothing in it ends the comment, nor begins another. */
export function commentText(text: string): string {
  return oneLine(text).replaceAll('*/', '* /').replaceAll('/*', '/ *').replaceAll('??/', '?? /');
}

/** Text inside Markdown that is to be read as it stands: no markup, no link. */
export function markdownText(text: string): string {
  return oneLine(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll(/[\\`|]/g, (character) => `\\${character}`)
    .replaceAll('](', ']\\(');
}
