/** One item of an option list: `key` alone, or `key=value`. */
export interface ListedOption {
  readonly key: string;
  readonly value: string | undefined;
}

/** Splits `a,b=c` at its commas; a doubled comma stands for one that belongs to a value, as in qemu-img. */
export function splitOptions(list: string): readonly ListedOption[] {
  // What no argument can hold stands for the doubled ones.
  return list
    .replaceAll(',,', '\0')
    .split(',')
    .map((item) => {
      const text = item.replaceAll('\0', ',');
      const at = text.indexOf('=');
      return at < 0 ? { key: text, value: undefined } : { key: text.slice(0, at), value: text.slice(at + 1) };
    });
}
