import { layoutError } from '../layout/errors.js';
import { isIdentifier } from '../layout/names.js';
import { anonymous, bitStruct, struct, type FieldSpec } from '../layout/struct.js';
import { array } from '../layout/array.js';
import {
  bytes,
  float,
  int,
  text,
  uint,
  type StructDescription,
  type TextEncoding,
  type Type,
} from '../layout/types.js';
import type { Endian } from '../layout/target.js';
import {
  arrayUntil,
  bytesOf,
  bytesUntil,
  magic,
  optional,
  pointedTo,
  sized,
  textOf,
  textUntil,
  variant,
} from '../variable/describe.js';
import { evaluate, isTrue, namesIn, parseExpression, type Expression, type Scope } from './expression.js';
import { TypeTree, type KsyMap } from './type-tree.js';
import { bounded, comparisonOf, constantOf, ENCODINGS, hasSteps, numberOf, shownKey, valueAt } from './values.js';

/** What a specification in Kaitai's language describes, in the layout language. */
export interface KaitaiImport {
  /** The type of a whole file. */
  readonly root: Type<Readonly<Record<string, unknown>>>;
  /** All types by their names; those inside another have its name and `::` before their own. */
  readonly types: ReadonlyMap<string, Type<Readonly<Record<string, unknown>>>>;
  /** Values that are worked out from others (`value` instances), which are left out. */
  readonly leftOut: readonly string[];
}

/** The fields before the one that is read, by their names. */
type Known = ReadonlyMap<string, Type>;

/** Keys of an attribute that change nothing of what is read. */
const REMARKS = ['id', 'doc', 'doc-ref', 'enum'];
const NUMBER = /^([usf])([1248])(le|be)?$/;
const BITS = /^b([0-9]+)(le|be)?$/;

function refuse(path: string, problem: string): Error {
  return layoutError('LAYOUT_UNSUPPORTED', problem, path, 0);
}

/** Turns the types of one specification into structs. */
class Importer {
  readonly #tree: TypeTree;
  readonly #done = new Map<string, StructDescription>();
  readonly #open = new Set<string>();
  readonly leftOut: string[] = [];

  constructor(tree: TypeTree) {
    this.#tree = tree;
  }

  /** The types that were made, each behind what it uses. */
  get types(): ReadonlyMap<string, StructDescription> {
    return this.#done;
  }

  type(name: string): StructDescription {
    const known = this.#done.get(name);
    if (known !== undefined) return known;
    if (this.#open.has(name)) throw refuse(name, 'found a type inside itself, expected types that end');
    this.#open.add(name);
    const made = this.#struct(name);
    this.#open.delete(name);
    this.#done.set(name, made);
    return made;
  }

  #struct(name: string): StructDescription {
    const description = this.#tree.get(name);
    if (description.get('params') !== undefined) throw refuse(`${name}.params`, 'found a type with parameters');
    const fields: Record<string, Type | FieldSpec> = {};
    const known = new Map<string, Type>();
    const add = (id: string, type: Type | FieldSpec, path: string): void => {
      if (!isIdentifier(id)) throw refuse(path, `found the name ${JSON.stringify(id)}, expected an identifier`);
      if (known.has(id)) throw refuse(path, `found the name ${id} twice`);
      known.set(id, 'kind' in type ? type : type.type);
      fields[id] = type;
    };
    let bits: [id: string, width: number, order: string][] = [];
    const flush = (): void => {
      if (bits.length === 0) return;
      const [first = ['', 0, '']] = bits;
      const order = first[2];
      const used = bits.reduce((sum, [, width]) => sum + width, 0);
      const members: Record<string, Type> = Object.fromEntries(
        bits.map(([id, width]) => [id, uint(width, order === 'le' ? {} : { endian: 'big' })]),
      );
      if (used % 8 !== 0) members[`${first[0]}_rest`] = uint(8 - (used % 8));
      const made = bitStruct(`${first[0]}_bits`, members, order === 'le' ? { order: 'lsb' } : {});
      fields[`${first[0]}_bits`] = anonymous(made);
      bits = [];
    };
    this.#tree.list(description, 'seq', name).forEach((attribute, index) => {
      const path = `${name}.seq[${index}]`;
      const id = this.#idOf(attribute, index, path);
      const [, width, suffix] = BITS.exec(String(attribute.get('type'))) ?? [];
      if (width === undefined) {
        flush();
        const { constant, bounds, rest } = constantOf(attribute);
        const type = this.#attribute(rest, name, known, path);
        if (bounds !== undefined) add(id, bounded(type, bounds, `${path}.valid`), path);
        else if (constant === undefined) add(id, type, path);
        else if (type.kind !== 'integer') throw refuse(`${path}.valid`, 'found a constant that is not an integer');
        else add(id, { type, value: type.bits > 32 ? BigInt(constant) : constant }, path);
        return;
      }
      this.#only(attribute, [...REMARKS, 'type'], path);
      const order = suffix ?? this.#tree.bitEndian;
      if (bits.length > 0 && bits[0]?.[2] !== order) flush();
      if (known.has(id)) throw refuse(path, `found the name ${id} twice`);
      known.set(id, uint(Number(width)));
      bits.push([id, Number(width), order]);
    });
    flush();
    for (const [id, attribute] of this.#tree.map(description, 'instances', name)) {
      const path = `${name}.instances.${id}`;
      if (attribute.get('value') !== undefined) {
        this.leftOut.push(`${name}.${id}`);
        continue;
      }
      add(id, this.#instance(attribute, name, known, path), path);
    }
    return struct(name.replaceAll('::', '_'), fields, { packing: 'packed' });
  }

  #idOf(attribute: KsyMap, index: number, path: string): string {
    const id = attribute.get('id') ?? `_unnamed${index}`;
    if (typeof id === 'string') return id;
    throw refuse(path, 'found an id that is not text');
  }

  /** Refuses keys that are not understood, by their names. */
  #only(attribute: KsyMap, keys: readonly string[], path: string): void {
    for (const key of attribute.keys()) {
      if (!keys.includes(key) && !key.startsWith('-')) throw refuse(`${path}.${key}`, 'found what cannot be imported');
    }
  }

  #instance(attribute: KsyMap, owner: string, known: Known, path: string): Type {
    const io = attribute.get('io');
    if (io !== undefined && io !== '_root._io') throw refuse(`${path}.io`, `found ${shownKey(io)}, expected _root._io`);
    if (io === undefined && owner !== this.#tree.root && this.#tree.isSized(owner)) {
      throw refuse(`${path}.pos`, 'found a place within a part with a size, expected one of the whole file');
    }
    const rest = new Map([...attribute].filter(([key]) => key !== 'pos' && key !== 'io' && key !== 'if'));
    const at = attribute.get('pos');
    if (at === undefined) throw refuse(path, 'found an instance without a value and a place');
    const type = pointedTo(
      this.#pathOrNumber(at, owner, known, `${path}.pos`),
      this.#attribute(rest, owner, known, path),
    );
    return this.#conditional(attribute, type, owner, known, path);
  }

  #attribute(attribute: KsyMap, owner: string, known: Known, path: string): Type {
    const repeat = attribute.get('repeat');
    const element = this.#element(attribute, owner, known, path);
    const type = repeat === undefined ? element : this.#repeated(attribute, element, owner, known, path);
    return this.#conditional(attribute, type, owner, known, path);
  }

  #conditional(attribute: KsyMap, type: Type, owner: string, known: Known, path: string): Type {
    const condition = attribute.get('if');
    if (condition === undefined) return type;
    const parsed = this.#expression(condition, `${path}.if`);
    for (const names of namesIn(parsed)) this.#nearby(names, owner, known, `${path}.if`);
    const isThere = (fields: Readonly<Record<string, unknown>>): boolean =>
      isTrue(
        evaluate(
          parsed,
          this.#scope(owner, (names) => valueAt(fields, names)),
        ),
      );
    const says = comparisonOf(parsed);
    return optional(type, says === undefined ? isThere : Object.assign(isThere, { says }));
  }

  #repeated(attribute: KsyMap, element: Type, owner: string, known: Known, path: string): Type {
    const repeat = attribute.get('repeat');
    if (repeat === 'eos') return array(element);
    if (repeat === 'expr') {
      const count = this.#pathOrNumber(attribute.get('repeat-expr'), owner, known, `${path}.repeat-expr`);
      return typeof count === 'number' ? array(element, count) : array(element, count);
    }
    if (repeat !== 'until') throw refuse(`${path}.repeat`, `found ${String(repeat)}, expected eos, expr or until`);
    const parsed = this.#expression(attribute.get('repeat-until'), `${path}.repeat-until`);
    for (const names of namesIn(parsed)) {
      if (names[0] !== '_') throw refuse(`${path}.repeat-until`, `found ${names.join('.')}, expected the element _`);
    }
    const scopeOf = (value: unknown): Scope =>
      this.#scope(owner, (names) => (names.length === 1 ? value : valueAt(value, names.slice(1))));
    return arrayUntil(element, (value) => isTrue(evaluate(parsed, scopeOf(value))));
  }

  /** What one attribute reads, without repetition and condition. */
  #element(attribute: KsyMap, owner: string, known: Known, path: string): Type {
    const common = [...REMARKS, 'if', 'repeat', 'repeat-expr', 'repeat-until'];
    const [type, contents] = [attribute.get('type'), attribute.get('contents')];
    if (contents !== undefined) {
      this.#only(attribute, [...common, 'contents'], path);
      return magic(this.#contents(contents, `${path}.contents`));
    }
    const size = attribute.get('size');
    const toEnd = attribute.get('size-eos') === true;
    const length = size === undefined ? undefined : this.#pathOrNumber(size, owner, known, `${path}.size`);
    if (type === undefined) {
      this.#only(attribute, [...common, 'size', 'size-eos', 'terminator'], path);
      return this.#run(attribute, length, toEnd, undefined, path);
    }
    if (type === 'str' || type === 'strz') {
      this.#only(attribute, [...common, 'type', 'size', 'size-eos', 'encoding', 'terminator'], path);
      return this.#run(attribute, length, toEnd, this.#encoding(attribute, path), path);
    }
    this.#only(attribute, [...common, 'type', 'size', 'size-eos'], path);
    const inner = this.#named(type, owner, known, `${path}.type`, length !== undefined || toEnd);
    return length === undefined ? inner : sized(length, inner);
  }

  #contents(contents: unknown, path: string): Uint8Array {
    const items: readonly unknown[] = Array.isArray(contents) ? (contents as readonly unknown[]) : [contents];
    const parts = items.flatMap((item): readonly number[] => {
      const number = numberOf(item);
      if (number !== undefined && number >= 0 && number <= 255) return [number];
      if (typeof item === 'string') return [...new TextEncoder().encode(item)];
      throw refuse(path, 'found something else than bytes and text');
    });
    return Uint8Array.from(parts);
  }

  #encoding(attribute: KsyMap, path: string): TextEncoding {
    const name = attribute.get('encoding') ?? this.#tree.encoding;
    const known = ENCODINGS[String(name).toLowerCase()];
    if (known !== undefined) return known;
    throw refuse(`${path}.encoding`, `found ${String(name)}, expected ${Object.keys(ENCODINGS).join(', ')}`);
  }

  #run(
    attribute: KsyMap,
    length: string | number | undefined,
    toEnd: boolean,
    encoding: TextEncoding | undefined,
    path: string,
  ): Type {
    const ends = attribute.get('terminator') ?? (attribute.get('type') === 'strz' ? 0 : undefined);
    if (ends === undefined) {
      if (length === undefined && !toEnd) throw refuse(path, 'found neither a size nor an end');
      if (encoding !== undefined) return textOf(length, { encoding });
      return typeof length === 'number' ? bytes(length) : bytesOf(length);
    }
    const terminator = numberOf(ends);
    if (terminator === undefined) throw refuse(`${path}.terminator`, `found ${shownKey(ends)}, expected a byte`);
    if (length !== undefined || toEnd) {
      // What is behind the end is no part of the value: only zeros can be written again.
      if (terminator === 0 && typeof length === 'number' && encoding !== undefined) return text(length, { encoding });
      throw refuse(`${path}.terminator`, 'found an end within a size, expected one of them');
    }
    if (encoding === undefined) return bytesUntil(terminator);
    if (encoding !== 'utf8' && encoding !== 'ascii' && encoding !== 'latin1') {
      throw refuse(`${path}.encoding`, 'found an end of one byte in text of two bytes for each character');
    }
    return textUntil(terminator, { encoding });
  }

  /** The type that a name stands for, or a choice of several. */
  #named(type: unknown, owner: string, known: Known, path: string, hasSize: boolean): Type {
    if (type instanceof Map) return this.#choice(type as KsyMap, owner, known, path, hasSize);
    if (typeof type !== 'string') throw refuse(path, 'found neither a name nor a choice');
    const [, kind, width, suffix] = NUMBER.exec(type) ?? [];
    if (kind === undefined || width === undefined) {
      if (type.includes('(')) throw refuse(path, `found ${type}, a type with parameters`);
      return this.type(this.#tree.resolve(type, owner, path));
    }
    const bits = Number(width) * 8;
    const endian = this.#endian(suffix, bits, path);
    const options = endian === undefined ? {} : { endian };
    if (kind === 'f') {
      if (bits !== 32 && bits !== 64) throw refuse(path, `found ${type}, expected f4 or f8`);
      return float(bits, options);
    }
    return kind === 'u' ? uint(bits, options) : int(bits, options);
  }

  #endian(suffix: string | undefined, bits: number, path: string): Endian | undefined {
    if (bits === 8) return undefined;
    const name = suffix ?? this.#tree.endian;
    if (name === undefined) throw refuse(path, 'found no byte order, expected one in meta or in the type');
    return name === 'le' ? 'little' : 'big';
  }

  #choice(type: KsyMap, owner: string, known: Known, path: string, hasSize: boolean): Type {
    this.#only(type, ['switch-on', 'cases'], path);
    const by = this.#pathOrNumber(type.get('switch-on'), owner, known, `${path}.switch-on`);
    if (typeof by === 'number') throw refuse(`${path}.switch-on`, 'found a number, expected a field');
    const cases = type.get('cases');
    if (!(cases instanceof Map)) throw refuse(`${path}.cases`, 'found no choices');
    const arms: Record<string, readonly [tag: bigint | 'otherwise', type: Type]> = {};
    for (const [key, value] of cases as ReadonlyMap<unknown, unknown>) {
      const place = `${path}.cases.${String(key)}`;
      const inner = this.#named(value, owner, known, place, hasSize);
      if (key === '_') arms['otherwise'] = ['otherwise', inner];
      else {
        const tag = this.#tag(key, owner, place);
        arms[`case_${String(tag).replace('-', 'minus_')}`] = [tag, inner];
      }
    }
    // Without a choice Kaitai reads nothing, or the bytes as they are.
    arms['otherwise'] ??= ['otherwise', hasSize ? bytesOf() : bytes(0)];
    return variant('choice', by, arms);
  }

  #tag(key: unknown, owner: string, path: string): bigint {
    const number = numberOf(key);
    if (number !== undefined) return BigInt(number);
    const value = evaluate(
      this.#expression(key, path),
      this.#scope(owner, () => undefined),
    );
    if (typeof value === 'bigint') return value;
    throw refuse(path, `found ${String(key)}, expected a number or a value of an enumeration`);
  }

  #expression(text: unknown, path: string): Expression {
    if (typeof text === 'boolean') return { kind: 'value', value: text };
    const number = numberOf(text);
    if (number !== undefined) return { kind: 'value', value: BigInt(number) };
    if (typeof text !== 'string') throw refuse(path, 'found no expression');
    return parseExpression(text, path);
  }

  #scope(owner: string, names: (path: readonly string[]) => unknown): Scope {
    return (path, kind) => (kind === 'name' ? names(path) : this.#tree.constant(path, owner));
  }

  /** A name that leads into the struct itself, as conditions want it. */
  #nearby(names: readonly string[], owner: string, known: Known, path: string): void {
    const [first = '', ...steps] = names;
    const type = known.get(first);
    if (type !== undefined && hasSteps(type, steps)) return;
    if (type !== undefined) throw refuse(path, `found ${names.join('.')}, which leads to no field`);
    const why = this.#tree.isComputed(first, owner)
      ? 'is computed from others'
      : 'is not a field before it in its type';
    throw refuse(path, `found ${names.join('.')}, which ${why}`);
  }

  /** A count, a length, a place or a tag: a number, or a field before it, here or in a type around. */
  #pathOrNumber(text: unknown, owner: string, known: Known, path: string): string | number {
    const parsed = this.#expression(text, path);
    if (parsed.kind === 'value' && typeof parsed.value === 'bigint' && parsed.value >= 0n) return Number(parsed.value);
    if (parsed.kind !== 'name') {
      throw refuse(path, `found ${JSON.stringify(text)}, expected a field or a number: it could not be written back`);
    }
    const names = [...parsed.path];
    const isOutside = names[0] === '_parent' || names[0] === '_root';
    while (names[0] === '_parent' || names[0] === '_root') names.shift();
    const [first = ''] = names;
    if (first === '' || first.startsWith('_')) throw refuse(path, `found ${String(text)}, expected a field`);
    if (isOutside && known.has(first)) throw refuse(path, `found ${String(text)}, but the type itself has ${first}`);
    const type = known.get(first);
    if (type !== undefined && !hasSteps(type, names.slice(1))) {
      throw refuse(path, `found ${String(text)}, which leads to no field`);
    }
    if (isOutside ? this.#tree.hasField(first) : type !== undefined) return names.join('.');
    const why = this.#tree.isComputed(first, owner) ? 'is computed from others' : 'is not a field before it';
    throw refuse(path, `found ${String(text)}, which ${why}`);
  }
}

/**
 * Imports a specification in Kaitai's language, as a parser of YAML gives it: objects and arrays.
 *
 * What is written must follow from what is read, so counts, lengths and places are fields or numbers; conditions and ends of
 * lists may be expressions of the fields before them in the same type. Refused by name: imports, parameters, `process`,
 * `valid`, types inside themselves, byte orders that a file chooses, expressions that call something.
 * @throws LayoutError `LAYOUT_UNSUPPORTED`, whose path says where in the specification
 */
export function importKsy(document: unknown): KaitaiImport {
  const tree = new TypeTree(document);
  const importer = new Importer(tree);
  const root = importer.type(tree.root);
  for (const name of tree.names()) importer.type(name);
  const types = importer.types as ReadonlyMap<string, Type<Readonly<Record<string, unknown>>>>;
  return { root: root, types, leftOut: importer.leftOut };
}
