/** The known word that was probably meant; undefined where none is near enough. Of several, the first. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const wanted = word.toLowerCase();
  let [best, least]: [string | undefined, number] = [undefined, Number.POSITIVE_INFINITY];
  for (const candidate of known) {
    const far = distance(wanted, candidate.toLowerCase());
    // A third of the letters may be wrong: with more, every short word would be near to every other.
    if (far < least && far <= Math.max(1, Math.floor(Math.max(wanted.length, candidate.length) / 3))) {
      [best, least] = [candidate, far];
    }
  }
  return best ?? onlyWithPrefix(wanted, known);
}

/** The only word that begins as somebody began to write it, who wrote two letters at least. */
function onlyWithPrefix(word: string, known: readonly string[]): string | undefined {
  const found = known.filter((candidate) => candidate.startsWith(word));
  return word.length >= 2 && found.length === 1 ? found[0] : undefined;
}

/**
 * Letters to be inserted, left out or replaced, and neighbours to be exchanged, until one word is the other (optimal string
 * alignment distance).
 */
function distance(from: string, to: string): number {
  let [beforeLast, last]: [readonly number[], readonly number[]] = [
    [],
    Array.from({ length: to.length + 1 }, (_, at) => at),
  ];
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const same = from[row - 1] === to[column - 1];
      let least = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
      );
      if (row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]) {
        least = Math.min(least, (beforeLast[column - 2] ?? 0) + 1);
      }
      current.push(least);
    }
    [beforeLast, last] = [last, current];
  }
  return last[to.length] ?? 0;
}
