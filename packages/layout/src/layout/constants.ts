/** A named set of integer constants: an enumeration's values or a word's flag bits. */
export interface ConstantSet<N extends string = string> {
  readonly name: string;
  readonly doc: string;
  readonly kind: 'enum' | 'flags';
  readonly values: Readonly<Record<N, number>>;
  readonly docs: Readonly<Record<N, string>>;
  /** Set where the names stand alone in C, as those of C's own enumerations do: nothing is put before them. */
  readonly plainNames?: true;
}

function constantSet<const V extends Readonly<Record<string, readonly [number, string]>>>(
  kind: 'enum' | 'flags',
  name: string,
  doc: string,
  entries: V,
): ConstantSet<keyof V & string> {
  type Name = keyof V & string;
  const values: Partial<Record<Name, number>> = {};
  const docs: Partial<Record<Name, string>> = {};
  const seen = new Set<number>();
  for (const [key, [value, text]] of Object.entries(entries)) {
    if (seen.has(value)) {
      throw new RangeError(`${name}.${key}: the value ${value} is taken by another name`);
    }
    seen.add(value);
    values[key as Name] = value;
    docs[key as Name] = text;
  }
  return { kind, name, doc, values: values as Record<Name, number>, docs: docs as Record<Name, string> };
}

/** An enumeration of u32 values; each name has its value and its meaning. */
export function defineEnum<const V extends Readonly<Record<string, readonly [number, string]>>>(
  name: string,
  doc: string,
  entries: V,
): ConstantSet<keyof V & string> {
  return constantSet('enum', name, doc, entries);
}

/** Flag bits of a u32 word; each name has its mask and its meaning. */
export function defineFlags<const V extends Readonly<Record<string, readonly [number, string]>>>(
  name: string,
  doc: string,
  entries: V,
): ConstantSet<keyof V & string> {
  return constantSet('flags', name, doc, entries);
}

/** The name of a value, or undefined where the set has none for it. */
export function nameOf<N extends string>(set: ConstantSet<N>, value: number): N | undefined {
  for (const [name, candidate] of Object.entries<number>(set.values)) {
    if (candidate === value) {
      return name as N;
    }
  }
  return undefined;
}
