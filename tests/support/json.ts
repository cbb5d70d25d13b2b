/** JSON, as programs print it. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** Fields of theirs that ours lack or hold with another value, with their paths. */
export function missing(ours: Json | undefined, theirs: Json, path = ''): string[] {
  if (Array.isArray(theirs)) {
    const list = Array.isArray(ours) ? (ours as readonly Json[]) : [];
    const lengths = list.length === theirs.length ? [] : [`${path}: ${list.length} entries, not ${theirs.length}`];
    return [...lengths, ...theirs.flatMap((item: Json, index) => missing(list[index], item, `${path}[${index}]`))];
  }
  if (typeof theirs === 'object' && theirs !== null) {
    const record = typeof ours === 'object' && ours !== null ? (ours as Record<string, Json>) : {};
    return Object.entries(theirs).flatMap(([name, value]) => missing(record[name], value, `${path}/${name}`));
  }
  return ours === theirs ? [] : [`${path}: ${JSON.stringify(ours)}, not ${JSON.stringify(theirs)}`];
}
