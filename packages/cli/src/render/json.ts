/** JSON with bigints as plain integers, as qemu-img prints sizes; four spaces, as it indents. */
export function toJson(value: unknown): string {
  const marked = JSON.stringify(
    value,
    (_key, item: unknown) => (typeof item === 'bigint' ? `\u0000${item}\u0000` : item),
    4,
  );
  return marked.replace(/"\\u0000(-?\d+)\\u0000"/g, '$1');
}
