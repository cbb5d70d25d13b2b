import type { Region } from '../layout/region.js';
import { usedTypes, type Interface, type NamedConstant, type NamedDescription } from '../emit/emitter.js';
import type { ConstantSet } from '../layout/constants.js';
import { LayoutError } from '../layout/errors.js';
import { checkName, isIdentifier } from '../layout/names.js';
import { resolve } from '../layout/resolve.js';
import { bitStruct, integral, struct, tagged, union, type FieldSpec } from '../layout/struct.js';
import { x86_64 } from '../layout/target.js';
import * as types from '../layout/types.js';
import type { Description, Integer, Label, Type } from '../layout/types.js';

type Fields = Readonly<Record<string, unknown>>;

function bad(path: string, found: unknown, expected: string): LayoutError {
  const text =
    typeof found === 'object' && found !== null
      ? Array.isArray(found)
        ? 'a list'
        : 'an object'
      : shortened(JSON.stringify(found ?? 'nothing'));
  return new LayoutError('LAYOUT_VALUE', `found ${text}, expected ${expected}`, {
    path,
    offset: 0,
    found,
    expected,
  });
}

function shortened(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 100)}… (${text.length} characters)`;
}

function fieldsOf(value: unknown, path: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw bad(path, value, 'an object');
}

function listOf(value: unknown, path: string): readonly unknown[] {
  if (Array.isArray(value)) return value as readonly unknown[];
  throw bad(path, value, 'a list');
}

function textOf(value: unknown, path: string): string {
  if (typeof value === 'string') return value;
  throw bad(path, value, 'a text');
}

function wholeOf(value: unknown, path: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw bad(path, value, 'a whole number');
}

function numberOf(value: unknown, path: string): bigint {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value === 'string' && /^-?(0x[0-9a-f]+|[0-9]+)$/.test(value)) {
    return value.startsWith('-') ? -BigInt(value.slice(1)) : BigInt(value);
  }
  throw bad(path, value, 'an integer');
}

/** An identifier: emitters write it into other languages as it stands. */
function identifierOf(name: string, path: string): string {
  if (isIdentifier(name)) return name;
  throw new LayoutError('LAYOUT_NAME', `found ${JSON.stringify(name)}, expected an identifier`, {
    path,
    offset: 0,
    found: name,
    expected: 'an identifier',
  });
}

/** What a pointer leads to, as C writes types: it reaches comments and tables of other languages. */
function targetOf(value: unknown, path: string): string {
  const name = textOf(value, path);
  if (name.length <= MOST_NAME && /^[A-Za-z_][\w .*(),]*$/.test(name)) return name;
  throw bad(path, name, 'the name of a type');
}

function versionOf(value: unknown): string {
  const version = textOf(value, 'version');
  if (version.length <= MOST_NAME && /^[\w.+-]*$/.test(version)) return version;
  throw bad('version', version, 'a version such as 1.2');
}

/** A list that may be missing. */
function optionalList(parent: Fields, key: string, path: string): readonly unknown[] {
  return parent[key] === undefined ? [] : listOf(parent[key], `${path}.${key}`);
}

/** Characters of a name of a type, or of a version. */
const MOST_NAME = 200;
/** Types inside types beyond this are slips, or an attack on what goes down into them. */
const MOST_NESTED = 100;
/** Fields or arms of one type; more is no description that a person wrote. */
const MOST_FIELDS = 20_000;
/** The language's own limit for one array, for all of a type: offsets in bits stay exact as numbers. */
const MOST_BITS = 2 ** 51;

function tooDeep(path: string): LayoutError {
  return new LayoutError('LAYOUT_UNSUPPORTED', `found more than ${MOST_NESTED} types inside each other`, {
    path,
    offset: 0,
    expected: `at most ${MOST_NESTED}`,
  });
}

function membersOf(source: Fields, key: string, owner: string): readonly unknown[] {
  const members = listOf(source[key], `${owner}.${key}`);
  if (members.length <= MOST_FIELDS) return members;
  throw new LayoutError('LAYOUT_UNSUPPORTED', `found ${members.length} ${key}, expected at most ${MOST_FIELDS}`, {
    path: owner,
    offset: 0,
    found: members.length,
    expected: MOST_FIELDS,
  });
}

/** The kinds of types that are objects, by the key that says which. */
const KEYS = ['integer', 'bytes', 'text', 'array', 'pointer', 'table', 'bits', 'struct', 'integral', 'union', 'tagged'];

/** Reads the types of canonical JSON, each when it is first used. */
class TypeReader {
  /** How many types each has inside, one in the other. */
  readonly #depths = new Map<NamedDescription, number>();
  #depth = 0;
  readonly #sources = new Map<string, { readonly kind: string; readonly source: Fields; readonly path: string }>();
  readonly #done = new Map<string, NamedDescription>();
  readonly #open = new Set<string>();
  readonly #sets: ReadonlyMap<string, ConstantSet>;

  constructor(sets: readonly ConstantSet[]) {
    this.#sets = new Map(sets.map((set) => [set.name, set]));
  }

  add(kind: string, value: unknown, path: string): void {
    const source = fieldsOf(value, path);
    const name = textOf(source['name'], `${path}.name`);
    if (this.#sources.has(name)) {
      throw new LayoutError('LAYOUT_NAME', `found a second type ${name}, expected one`, {
        path,
        offset: 0,
        found: name,
      });
    }
    this.#sources.set(name, { kind, source, path });
  }

  all(): NamedDescription[] {
    const types = [...this.#sources].map(([name, { kind }]) => this.#named(kind, name, name));
    for (const type of types) {
      const { bits } = resolve(type, x86_64);
      if (bits <= MOST_BITS) continue;
      throw new LayoutError('LAYOUT_SIZE', `found ${bits / 8} bytes, expected at most ${MOST_BITS / 8}`, {
        path: type.name,
        offset: 0,
        found: bits / 8,
        expected: MOST_BITS / 8,
      });
    }
    return types;
  }

  #named(kind: string, name: string, path: string): NamedDescription {
    const known = this.#done.get(name);
    const entry = this.#sources.get(name);
    if (entry?.kind !== kind) throw bad(path, name, `the name of a ${kind}`);
    if (known !== undefined) return known;
    if (this.#open.has(name)) {
      throw new LayoutError('LAYOUT_CYCLE', `found ${name} inside itself, expected a finite size`, {
        path,
        offset: 0,
        found: name,
      });
    }
    this.#open.add(name);
    const made = this.#make(kind, name, entry.source);
    const depth = 1 + usedTypes(made).reduce((most, used) => Math.max(most, this.#depths.get(used) ?? 0), 0);
    if (depth > MOST_NESTED) throw tooDeep(name);
    this.#depths.set(made, depth);
    this.#done.set(name, made);
    return made;
  }

  #make(kind: string, name: string, source: Fields): NamedDescription {
    switch (kind) {
      case 'struct':
        return this.#struct(name, source);
      case 'integral': {
        const container = this.#type(source['container'], `${name}.container`);
        if (container.kind !== 'integer') throw bad(`${name}.container`, source['container'], 'an integer');
        return integral(name, container as Integer, this.#fields(name, source));
      }
      case 'union':
        return union(name, this.#fields(name, source, 'arms'), { packed: source['packed'] === true });
      default:
        return this.#tagged(name, source);
    }
  }

  #struct(name: string, source: Fields): NamedDescription {
    const packing = source['packing'] ?? 'natural';
    if (packing !== 'natural' && packing !== 'packed' && packing !== 'bits') {
      throw bad(`${name}.packing`, packing, 'natural, packed or bits');
    }
    const tail = source['tail'];
    const align = source['minimum_align'];
    const options = {
      ...(align === undefined ? {} : { align: wholeOf(align, `${name}.minimum_align`) }),
      ...(tail === undefined ? {} : { tail: textOf(tail, `${name}.tail`) }),
    };
    const fields = this.#fields(name, source);
    const bitOptions = { ...options, ...bitOrderOf(source['order'], name) };
    const made =
      packing === 'bits' ? bitStruct(name, fields, bitOptions) : struct(name, fields, { ...options, packing });
    this.#checkPlaces(made, source);
    for (const { name: field, type } of made.fields) checkTag(made, type, `${name}.${field}`);
    return made;
  }

  /** Offsets and the size that the JSON states are those on x86-64. */
  #checkPlaces(made: NamedDescription & { readonly kind: 'struct' }, source: Fields): void {
    const resolved = resolve(made, x86_64);
    const claimed = source['size'] === undefined ? undefined : wholeOf(source['size'], `${made.name}.size`);
    const size = Math.ceil(resolved.bits / 8);
    if (claimed !== undefined && claimed !== size) {
      throw new LayoutError('LAYOUT_SIZE', `declared ${claimed} bytes, the fields need ${size}`, {
        path: made.name,
        offset: size,
        found: claimed,
        expected: size,
      });
    }
    listOf(source['fields'], `${made.name}.fields`).forEach((item, index) => {
      const offset = fieldsOf(item, made.name)['offset'];
      const place = resolved.fields[index];
      if (offset === undefined || place === undefined || offset === place.offset) return;
      throw new LayoutError('LAYOUT_OFFSET', `declared at ${JSON.stringify(offset)}, but it lies at ${place.offset}`, {
        path: `${made.name}.${place.name}`,
        offset: place.offset,
        found: offset,
        expected: place.offset,
      });
    });
  }

  #fields(owner: string, source: Fields, key = 'fields'): Record<string, FieldSpec> {
    const specs: Record<string, FieldSpec> = {};
    for (const entry of membersOf(source, key, owner)) {
      const item = fieldsOf(entry, owner);
      const name = textOf(item['name'], `${owner}.name`);
      const path = `${owner}.${name}`;
      checkName(name, path);
      if (Object.hasOwn(specs, name)) {
        throw new LayoutError('LAYOUT_NAME', 'found the name twice, expected each once', {
          path,
          offset: 0,
          found: name,
        });
      }
      const type = this.#type(item['type'], path);
      const { value, label, align } = item;
      specs[name] = {
        type,
        ...(value === undefined ? {} : { value: constant(type, numberOf(value, path)) }),
        ...(label === undefined ? {} : { label: labelOf(label, path) }),
        ...(align === undefined ? {} : { align: wholeOf(align, path) }),
        ...(item['anonymous'] === true ? { anonymous: true } : {}),
      };
    }
    return specs;
  }

  #tagged(name: string, source: Fields): NamedDescription {
    const arms: Record<string, readonly [bigint, Type]> = {};
    for (const entry of membersOf(source, 'arms', name)) {
      const arm = fieldsOf(entry, name);
      const armName = textOf(arm['name'], `${name}.arms`);
      checkName(armName, `${name}.${armName}`);
      arms[armName] = [numberOf(arm['tag'], `${name}.${armName}`), this.#type(arm['type'], `${name}.${armName}`)];
    }
    return tagged(name, textOf(source['by'], `${name}.by`), arms);
  }

  #type(value: unknown, path: string): Type {
    if (this.#depth >= MOST_NESTED) throw tooDeep(path);
    this.#depth += 1;
    const type = this.#typeHere(value, path);
    this.#depth -= 1;
    return type;
  }

  #typeHere(value: unknown, path: string): Type {
    if (typeof value === 'string') return scalar(value, path);
    const source = fieldsOf(value, path);
    const count = (key: string): number => wholeOf(source[key], path);
    // By name, not by place: what sorts the keys of JSON changes nothing that it says.
    const key = KEYS.find((name) => Object.hasOwn(source, name)) ?? Object.keys(source)[0] ?? '';
    switch (key) {
      case 'integer':
        return this.#withSet(source, path);
      case 'bytes':
        return types.bytes(count('bytes'), source['align'] === undefined ? 1 : count('align'));
      case 'text':
        return types.text(count('text'), encodingOf(source['encoding'], path));
      case 'array':
        return types.fixedArray(this.#type(source['array'], path), count('count'));
      case 'pointer':
        return types.pointer(targetOf(source['pointer'], path));
      case 'table':
        return types.tablePointer(targetOf(source['table'], path), count('stride'));
      case 'bits':
        return this.#bitField(source, path);
      case 'struct':
      case 'integral':
      case 'union':
      case 'tagged':
        return this.#named(key, textOf(source[key], path), path);
      default:
        throw bad(path, key, 'bytes, text, array, pointer, table, bits, struct, integral, union or tagged');
    }
  }

  #withSet(source: Fields, path: string): Type {
    const type = this.#type(source['integer'], path);
    if (type.kind !== 'integer') throw bad(path, source['integer'], 'an integer');
    const set = this.#sets.get(textOf(source['set'], path));
    if (set === undefined) throw bad(path, source['set'], 'the name of a set');
    return { ...type, set };
  }

  #bitField(source: Fields, path: string): Type {
    const container: Description = this.#type(source['of'], path);
    const width = wholeOf(source['bits'], path);
    if (container.kind !== 'integer' && container.kind !== 'word' && container.kind !== 'boolean') {
      throw bad(path, source['of'], 'an integer, a word or bool');
    }
    if (source['unnamed'] === true) return types.unnamedBits(container, width);
    return container.kind === 'boolean' ? types.bitField(container, 1) : types.bitField(container as Integer, width);
  }
}

function bitOrderOf(value: unknown, name: string): { readonly order?: 'lsb' | 'msb' } {
  if (value === undefined) return {};
  if (value !== 'lsb' && value !== 'msb') throw bad(`${name}.order`, value, 'lsb or msb');
  return { order: value };
}

function encodingOf(value: unknown, path: string): { readonly encoding?: types.TextEncoding } {
  if (value === undefined) return {};
  const encoding = ['ascii', 'latin1', 'utf16le', 'utf16be'] as const;
  const found = encoding.find((name) => name === value);
  if (found === undefined) throw bad(path, value, `${encoding.join(', ')}, or nothing for UTF-8`);
  return { encoding: found };
}

/** The tag of a union leads to a field of the struct around it: emitters write the path as it stands. */
function checkTag(around: NamedDescription, type: Description, path: string): void {
  if (type.kind === 'array') {
    checkTag(around, type.element, path);
    return;
  }
  if (type.kind !== 'tagged') return;
  let place: Description | undefined = around;
  for (const step of type.by) {
    const fields: readonly { readonly name: string; readonly type: Description }[] =
      place !== undefined && 'fields' in place ? place.fields : [];
    place = fields.find((field) => field.name === step)?.type;
  }
  if (place === undefined) throw bad(path, type.by.join('.'), `a field of ${around.name} as the tag of ${type.name}`);
}

function labelOf(value: unknown, path: string): Label {
  if (typeof value === 'number') return wholeOf(value, path);
  const both = fieldsOf(value, path);
  return { little: wholeOf(both['little'], path), big: wholeOf(both['big'], path) };
}

function constant(type: Description, value: bigint): number | bigint {
  if (type.kind === 'integer' && type.bits <= 32) return Number(value);
  return type.kind === 'bitField' && type.container.kind !== 'word' && type.width <= 32 ? Number(value) : value;
}

const SCALARS: Readonly<Record<string, Type>> = {
  bool: types.bool,
  f32: types.f32,
  f64: types.f64,
  uword: types.uword,
  iword: types.iword,
};

const ORDERS: Readonly<Record<string, types.IntegerOptions>> = {
  be: { endian: 'big' },
  le: { endian: 'little' },
  lsb: { order: 'lsb' },
  msb: { order: 'msb' },
};

function scalar(text: string, path: string): Type {
  if (Object.hasOwn(SCALARS, text)) return SCALARS[text] ?? types.bool;
  const [, sign, width, endian = '', order = ''] = /^([ui])([0-9]{1,2})(be|le)?(lsb|msb)?$/.exec(text) ?? [];
  const [, floating, floatOrder = ''] = /^f(32|64)(be|le)$/.exec(text) ?? [];
  if (floating !== undefined)
    return types.float(floating === '32' ? 32 : 64, { endian: floatOrder === 'be' ? 'big' : 'little' });
  if (width === undefined)
    throw bad(path, text, 'u1 to u64, i1 to i64 (with be, le, lsb or msb), uword, iword, f32, f64 or bool');
  const options = { ...ORDERS[endian], ...ORDERS[order] };
  return sign === 'u' ? types.uint(Number(width), options) : types.int(Number(width), options);
}

const PROTECTIONS: readonly string[] = [
  'none',
  'supervisor',
  'r',
  'rw',
  'rx',
  'image',
] satisfies Region['protection'][];

function regionOf(value: unknown, path: string): Region {
  const source = fieldsOf(value, path);
  const protection = textOf(source['protection'], path);
  if (!PROTECTIONS.includes(protection)) throw bad(path, protection, PROTECTIONS.join(', '));
  return {
    name: identifierOf(textOf(source['name'], path), path),
    start: wholeOf(source['start'], path),
    size: wholeOf(source['size'], path),
    protection: protection as Region['protection'],
    doc: '',
  };
}

function setOf(name: string, value: unknown): ConstantSet {
  const source = fieldsOf(value, identifierOf(name, 'sets'));
  const kind = source['kind'];
  if (kind !== 'enum' && kind !== 'flags') throw bad(name, kind, 'enum or flags');
  const entries = Object.entries(fieldsOf(source['values'], name));
  const values = Object.fromEntries(
    entries.map(([key, value]) => [identifierOf(key, `${name}.${key}`), Number(numberOf(value, `${name}.${key}`))]),
  );
  const plain = source['plain_names'] === true ? { plainNames: true as const } : {};
  return { name, doc: '', kind, values, docs: {}, ...plain };
}

/**
 * Reads an interface back from its canonical JSON (`jsonEmitter`), parsed but not trusted. Prose is not in it.
 * @throws LayoutError that names the type and the field.
 */
export function parseInterface(json: unknown): Interface {
  const file = fieldsOf(json, 'the file');
  const source = file['abi'] === undefined ? file : fieldsOf(file['abi'], 'abi');
  const version = source['version'] === undefined ? '' : versionOf(source['version']);
  const sets = Object.entries(fieldsOf(source['sets'] ?? {}, 'sets')).map(([name, value]) => setOf(name, value));
  const reader = new TypeReader(sets);
  const lists = { structs: 'struct', integrals: 'integral', unions: 'union', tagged: 'tagged' };
  for (const [key, kind] of Object.entries(lists)) {
    for (const item of optionalList(source, key, 'abi')) reader.add(kind, item, key);
  }
  const constants = Object.entries(fieldsOf(source['constants'] ?? {}, 'constants')).map(
    ([name, value]): NamedConstant => {
      identifierOf(name, 'constants');
      const number = numberOf(value, name);
      if (number < -(2n ** 63n) || number >= 2n ** 64n) throw bad(name, value, 'an integer of at most 64 bits');
      return { name, value: typeof value === 'number' ? Number(number) : number };
    },
  );
  return {
    title: version === '' ? 'layouts' : `ABI ${version}`,
    version: version === '' ? undefined : version,
    regions: optionalList(source, 'regions', 'abi').map((item) => regionOf(item, 'regions')),
    constants,
    sets,
    types: reader.all(),
  };
}
