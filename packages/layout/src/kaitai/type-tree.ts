import { layoutError } from '../layout/errors.js';

/** A map of a specification. */
export type KsyMap = ReadonlyMap<string, unknown>;

/** Types of one specification at most, and types inside types. */
const [MOST_TYPES, MOST_DEPTH] = [4096, 32];
const META = [
  'id',
  'title',
  'application',
  'file-extension',
  'xref',
  'license',
  'endian',
  'bit-endian',
  'encoding',
  'tags',
];
/** Keys of a type. */
const KEYS = ['meta', 'doc', 'doc-ref', 'seq', 'types', 'instances', 'enums', 'params'];

function refuse(path: string, problem: string): Error {
  return layoutError('LAYOUT_UNSUPPORTED', problem, path, 0);
}

/** Objects as maps, so that no key is one of those that every object has. */
function asMaps(value: unknown, depth: number): unknown {
  if (depth > 128) throw refuse('document', 'found too much inside each other');
  if (Array.isArray(value)) return value.map((item: unknown) => asMaps(item, depth + 1));
  if (value instanceof Map) {
    return new Map([...value].map(([key, item]: [unknown, unknown]) => [key, asMaps(item, depth + 1)]));
  }
  if (typeof value !== 'object' || value === null) return value;
  return new Map(Object.entries(value).map(([key, item]) => [key, asMaps(item, depth + 1)]));
}

/** The types of a specification by their full names, and what is said of all of them. */
export class TypeTree {
  readonly root: string;
  readonly endian: 'le' | 'be' | undefined;
  readonly bitEndian: string;
  readonly encoding: unknown;
  readonly #types = new Map<string, KsyMap>();
  readonly #sized = new Set<string>();
  readonly #fields = new Set<string>();

  constructor(document: unknown) {
    const top = asMaps(document, 0);
    if (!(top instanceof Map)) throw refuse('document', 'found no map, expected a specification of Kaitai');
    const meta = this.#mapOf(top, 'meta', 'document');
    for (const key of meta.keys()) {
      if (!META.includes(key) && !key.startsWith('-')) {
        if (!key.startsWith('ks-') || key === 'ks-opaque-types')
          throw refuse(`meta.${key}`, 'found what cannot be imported');
      }
    }
    const id = meta.get('id');
    this.root = typeof id === 'string' ? id : 'root';
    const endian = meta.get('endian');
    if (endian !== undefined && endian !== 'le' && endian !== 'be') {
      throw refuse('meta.endian', 'found a byte order that the file chooses, expected le or be');
    }
    this.endian = endian;
    this.bitEndian = meta.get('bit-endian') === 'le' ? 'le' : 'be';
    this.encoding = meta.get('encoding');
    this.#add(this.root, top as KsyMap, 0);
    for (const [name, type] of this.#types) this.#note(name, type);
  }

  #add(name: string, type: KsyMap, depth: number): void {
    if (depth > MOST_DEPTH || this.#types.size >= MOST_TYPES) throw refuse(name, 'found too many types');
    for (const key of type.keys()) {
      if (!KEYS.includes(key) && !key.startsWith('-')) throw refuse(`${name}.${key}`, 'found what cannot be imported');
    }
    this.#types.set(name, type);
    for (const [inner, description] of this.map(type, 'types', name)) {
      const meta = depth >= 0 ? description.get('meta') : undefined;
      if (meta !== undefined) throw refuse(`${name}.types.${inner}.meta`, 'found a byte order of one type');
      this.#add(`${name}::${inner}`, description, depth + 1);
    }
  }

  /** Notes the names of fields, and which types have a size around them. */
  #note(name: string, type: KsyMap): void {
    const attributes = [
      ...this.list(type, 'seq', name),
      ...[...this.map(type, 'instances', name)].map(([, item]) => item),
    ];
    for (const attribute of attributes) {
      const id = attribute.get('id');
      if (typeof id === 'string') this.#fields.add(id);
      if (attribute.get('size') === undefined && attribute.get('size-eos') === undefined) continue;
      const used = attribute.get('type');
      const cases: unknown = used instanceof Map ? used.get('cases') : undefined;
      const names = cases instanceof Map ? [...(cases as KsyMap).values()] : [used];
      for (const inner of names) if (typeof inner === 'string') this.#sized.add(inner.split('::').at(-1) ?? inner);
    }
  }

  #mapOf(map: KsyMap, key: string, path: string): KsyMap {
    const found = map.get(key) ?? new Map<string, unknown>();
    if (found instanceof Map && [...(found as KsyMap).keys()].every((name) => typeof name === 'string')) {
      return found as KsyMap;
    }
    throw refuse(`${path}.${key}`, 'found no map of names');
  }

  names(): readonly string[] {
    return [...this.#types.keys()];
  }

  get(name: string): KsyMap {
    const found = this.#types.get(name);
    if (found === undefined) throw refuse(name, 'found no type of this name');
    return found;
  }

  /** The maps in a list. */
  list(map: KsyMap, key: string, path: string): readonly KsyMap[] {
    const found = map.get(key) ?? [];
    if (!Array.isArray(found)) throw refuse(`${path}.${key}`, 'found no list');
    return found.map((item: unknown, index) => {
      if (item instanceof Map) return item as KsyMap;
      throw refuse(`${path}.${key}[${index}]`, 'found no map');
    });
  }

  /** The maps in a map. */
  map(map: KsyMap, key: string, path: string): readonly (readonly [string, KsyMap])[] {
    return [...this.#mapOf(map, key, path)].map(([name, item]) => {
      if (item instanceof Map) return [name, item as KsyMap] as const;
      throw refuse(`${path}.${key}.${name}`, 'found no map');
    });
  }

  /** The full name of a type: the innermost one that is seen from its owner. */
  resolve(name: string, owner: string, path: string): string {
    for (let around = owner; ; around = around.slice(0, around.lastIndexOf('::'))) {
      const full = `${around}::${name}`;
      if (this.#types.has(full)) return full;
      if (around.split('::').at(-1) === name) return around;
      if (!around.includes('::')) break;
    }
    throw refuse(path, `found the type ${name}, which is not described here`);
  }

  /** Whether a type is read within a part with a size somewhere. */
  isSized(name: string): boolean {
    return name.split('::').some((part) => this.#sized.has(part));
  }

  /** Whether any type has a field of this name. */
  hasField(name: string): boolean {
    return this.#fields.has(name);
  }

  /** Whether a name is that of a value that is worked out. */
  isComputed(name: string, owner: string): boolean {
    const instances = this.get(owner).get('instances');
    return instances instanceof Map && instances.has(name);
  }

  /** The number of a constant `enumeration::name`. */
  constant(path: readonly string[], owner: string): bigint | undefined {
    if (path.length < 2) return undefined;
    const [set = '', name = ''] = path.slice(-2);
    for (let around = owner; ; around = around.slice(0, around.lastIndexOf('::'))) {
      const enums: unknown = this.#types.get(around)?.get('enums');
      const found: unknown = enums instanceof Map ? enums.get(set) : undefined;
      if (found instanceof Map) {
        for (const [value, entry] of found as ReadonlyMap<unknown, unknown>) {
          const called: unknown = entry instanceof Map ? entry.get('id') : entry;
          if (called === name) return BigInt(value as string | number);
        }
      }
      if (!around.includes('::')) return undefined;
    }
  }
}
