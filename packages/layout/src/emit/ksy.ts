import { layoutError } from '../layout/errors.js';
import { resolve } from '../layout/resolve.js';
import { byteSize } from '../layout/resolved.js';
import type { Target } from '../layout/target.js';
import type { Description, FieldDescription, StructDescription, TextEncoding } from '../layout/types.js';
import { isVariable } from '../variable/describe.js';
import type { Emitter, Interface, NamedDescription } from './emitter.js';
import { isNamed } from './emitter.js';

// Kaitai's language (its user guide) is YAML, and JSON is YAML: a document of JSON needs no rules of its own for names and
// text that a stranger chose.

type Yaml = string | number | boolean | readonly Yaml[] | { readonly [key: string]: Yaml };
type Attribute = Record<string, Yaml>;

const ENCODINGS: Readonly<Record<TextEncoding, string>> = {
  utf8: 'UTF-8',
  ascii: 'ASCII',
  latin1: 'ISO-8859-1',
  utf16le: 'UTF-16LE',
  utf16be: 'UTF-16BE',
};

function refuse(path: string, problem: string): Error {
  return layoutError('LAYOUT_UNSUPPORTED', problem, path, 0);
}

/** An identifier of Kaitai: lower case, with underscores. Two names of a struct may not become one. */
function idOf(name: string, path: string): string {
  const id = name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll(/_+/g, '_')
    .replaceAll(/^_|_$/g, '')
    .toLowerCase();
  if (/^[a-z][a-z0-9_]*$/.test(id)) return id;
  throw refuse(path, `found the name ${JSON.stringify(name)}, which Kaitai cannot spell`);
}

const pathText = (path: string, owner: string): string =>
  path
    .split('.')
    .map((step) => idOf(step, owner))
    .join('.');

class KsyWriter {
  readonly #target: Target;
  readonly #types = new Map<string, { readonly source: NamedDescription; readonly text: Record<string, Yaml> }>();

  constructor(target: Target) {
    this.#target = target;
  }

  get types(): Record<string, Yaml> {
    return Object.fromEntries([...this.#types].map(([name, { text }]) => [name, text]));
  }

  /** Notes a type, and what it uses; returns its name. */
  type(type: NamedDescription): string {
    const id = idOf(type.name, type.name);
    const known = this.#types.get(id);
    if (known?.source === type) return id;
    if (known !== undefined) throw refuse(type.name, `found two types of the name ${id}`);
    if (type.kind !== 'struct') throw refuse(type.name, `found ${type.kind}, which Kaitai does not have`);
    const text: Record<string, Yaml> = {};
    this.#types.set(id, { source: type, text });
    if (type.doc !== '') text['doc'] = type.doc;
    const instances: Record<string, Yaml> = {};
    const seq = isVariable(type) ? this.#parts(type, instances) : this.#fixed(type);
    text['seq'] = seq;
    if (Object.keys(instances).length > 0) text['instances'] = instances;
    const ids = [...seq.map(({ id: own }) => (typeof own === 'string' ? own : '')), ...Object.keys(instances)];
    const twice = ids.find((one, index) => ids.indexOf(one) !== index);
    if (twice !== undefined) throw refuse(type.name, `found two fields that Kaitai would call ${twice}`);
    return id;
  }

  /** Fields with a fixed place: what lies between them is read over. */
  #fixed(type: StructDescription): Attribute[] {
    if (type.packing === 'bits') return this.#bits(type);
    const layout = resolve(type, this.#target);
    const seq: Attribute[] = [];
    let at = 0;
    const gap = (until: number): void => {
      if (until > at) seq.push({ id: `padding_at_${at}`, size: until - at });
    };
    type.fields.forEach((item) => {
      const path = `${type.name}.${item.name}`;
      if (item.type.kind === 'bitField') throw refuse(path, 'found a C bit field, which Kaitai does not lay out');
      const place = layout.fields.find((found) => found.name === item.name);
      if (place === undefined || place.bit % 8 !== 0 || place.type.bits % 8 !== 0) {
        throw refuse(path, 'found a field that does not begin and end with a byte');
      }
      gap(place.offset);
      seq.push(...(this.#members(item, path) ?? [this.#attribute(item, path)]));
      at = place.offset + byteSize(place.type);
    });
    gap(byteSize(layout));
    return seq;
  }

  /** The attributes of an anonymous member, which has none of its own; undefined for a field with a name. */
  #members(item: FieldDescription, path: string): Attribute[] | undefined {
    if (item.anonymous !== true) return undefined;
    if (item.type.kind === 'struct' && item.type.packing === 'bits') return this.#bits(item.type);
    throw refuse(path, 'found an anonymous member that is not a row of bits, which Kaitai does not have');
  }

  /** A row of bits, of which Kaitai ends each with a byte. */
  #bits(type: StructDescription): Attribute[] {
    const { bits } = resolve(type, this.#target);
    if (bits % 8 !== 0) throw refuse(type.name, `found ${bits} bits, expected whole bytes`);
    const order = type.order ?? 'msb';
    return type.fields.map((item) => {
      const path = `${type.name}.${item.name}`;
      const { type: inner } = item;
      if (item.label !== undefined) throw refuse(path, 'found a label, expected one field behind the other');
      if (inner.kind !== 'integer' || inner.signed || (inner.order ?? 'msb') !== order) {
        throw refuse(path, 'found something else than an unsigned integer in a row of bits');
      }
      // Kaitai reads bits from the most significant on as one big-endian number, from the least significant as little-endian.
      const endian = inner.endian ?? this.#target.endian;
      if (order === 'msb' && inner.bits > 8 && endian !== 'big') {
        throw refuse(path, 'found a little-endian integer in a row of bits');
      }
      if (item.value !== undefined) throw refuse(path, 'found a constant in a row of bits');
      const name = `b${inner.bits}${order === 'lsb' ? 'le' : 'be'}`;
      return { id: idOf(item.name, path), type: name, ...(item.doc === '' ? {} : { doc: item.doc }) };
    });
  }

  #parts(type: StructDescription, instances: Record<string, Yaml>): Attribute[] {
    return type.fields.flatMap((item): Attribute[] => {
      const path = `${type.name}.${item.name}`;
      const members = this.#members(item, path);
      if (members !== undefined) return members;
      if (item.type.kind === 'variable' && item.type.part.form === 'pointed') {
        const { at, type: inner } = item.type.part;
        const pos = typeof at === 'number' ? at : pathText(at, path);
        instances[idOf(item.name, path)] = { ...this.#typed(inner, path), io: '_root._io', pos };
        return [];
      }
      return [this.#attribute(item, path)];
    });
  }

  #attribute(item: FieldDescription, path: string): Attribute {
    const attribute: Attribute = { id: idOf(item.name, path), ...this.#typed(item.type, path) };
    if (item.doc !== '') attribute['doc'] = item.doc;
    if (item.value === undefined) return attribute;
    if (typeof item.value === 'bigint' && BigInt.asIntN(54, item.value) !== item.value) {
      throw refuse(path, `found the constant ${item.value}, which JSON cannot hold`);
    }
    return { ...attribute, valid: Number(item.value) };
  }

  /** What an attribute says of a type. */
  #typed(type: Description, path: string): Attribute {
    switch (type.kind) {
      case 'integer': {
        if (![8, 16, 32, 64].includes(type.bits)) throw refuse(path, `found an integer of ${type.bits} bits`);
        const name = `${type.signed ? 's' : 'u'}${type.bits / 8}`;
        const suffix = type.bits === 8 || type.endian === undefined ? '' : type.endian === 'little' ? 'le' : 'be';
        return { type: name + suffix };
      }
      case 'word':
        return { type: `${type.signed ? 's' : 'u'}${this.#target.wordBits / 8}` };
      case 'float': {
        const suffix = type.endian === undefined ? '' : type.endian === 'little' ? 'le' : 'be';
        return { type: `f${type.bits / 8}${suffix}` };
      }
      case 'boolean':
        return { type: 'u1', valid: { max: 1 } };
      case 'bytes':
        return { size: type.count };
      case 'text': {
        const encoding = ENCODINGS[type.encoding ?? 'utf8'];
        if (encoding.startsWith('UTF-16')) throw refuse(path, 'found text of UTF-16 that ends with a zero character');
        return { type: 'strz', size: type.count, encoding };
      }
      case 'array':
        return { ...this.#element(type.element, path), repeat: 'expr', 'repeat-expr': type.count };
      case 'variable':
        return this.#part(type.part, path);
      case 'tagged':
        throw refuse(path, 'found a tagged union of a fixed size, expected a variant');
      default:
        if (!isNamed(type)) throw refuse(path, `found ${type.kind}`);
        return { type: this.type(type) };
    }
  }

  /** The element of a list, which is no list itself. */
  #element(type: Description, path: string): Attribute {
    const element = this.#typed(type, path);
    if ('repeat' in element || 'if' in element) throw refuse(path, 'found a list of lists, expected a type around one');
    return element;
  }

  #part(part: Extract<Description, { kind: 'variable' }>['part'], path: string): Attribute {
    const length = (value: string | number): string | number =>
      typeof value === 'number' ? value : pathText(value, path);
    switch (part.form) {
      case 'list': {
        if (part.until !== undefined) throw refuse(path, 'found a list that a function ends');
        const element = this.#element(part.element, path);
        if (part.count === undefined) return { ...element, repeat: 'eos' };
        return { ...element, repeat: 'expr', 'repeat-expr': length(part.count) };
      }
      case 'run': {
        const text = part.encoding === undefined ? {} : { type: 'str', encoding: ENCODINGS[part.encoding] };
        if (part.terminator !== undefined) return { ...text, terminator: part.terminator };
        return part.length === undefined ? { ...text, 'size-eos': true } : { ...text, size: length(part.length) };
      }
      case 'variant': {
        const cases = part.arms.map(({ tag, name, type }): [string, Yaml] => {
          const arm = this.#typed(type, `${path}.${name}`);
          const names = Object.keys(arm);
          if (names.length !== 1 || typeof arm['type'] !== 'string') {
            throw refuse(`${path}.${name}`, 'found an arm that is neither a number nor a struct');
          }
          return [tag === undefined ? '_' : String(tag), arm['type']];
        });
        return { type: { 'switch-on': pathText(part.by, path), cases: Object.fromEntries(cases) } };
      }
      case 'sized': {
        const inner = this.#typed(part.type, path);
        if (Object.keys(inner).some((key) => key !== 'type')) {
          throw refuse(path, 'found a size around something else than a struct or a variant');
        }
        return { ...inner, size: length(part.length) };
      }
      case 'magic':
        return { contents: [...part.expected] };
      case 'checksum':
        return this.#typed(part.type, path);
      case 'digest':
        return { size: part.digest.size };
      case 'lazy':
        throw refuse(path, 'found a part that is read when it is asked for');
      case 'processed':
        throw refuse(path, 'found a part that a function of the program unpacks');
      case 'align':
        throw refuse(path, 'found an alignment, which Kaitai says by expressions');
      case 'range': {
        const { least, most } = part;
        for (const bound of [least, most]) {
          if (bound !== undefined && !Number.isSafeInteger(Number(bound))) {
            throw refuse(path, `found the bound ${bound}, which JSON cannot hold`);
          }
        }
        const valid = {
          ...(least === undefined ? {} : { min: Number(least) }),
          ...(most === undefined ? {} : { max: Number(most) }),
        };
        return { ...this.#typed(part.type, path), valid };
      }
      case 'optional': {
        const { says } = part.isThere;
        if (says === undefined)
          throw refuse(path, 'found a part that a function chooses, expected a comparison (when)');
        const inner = this.#typed(part.type, path);
        if ('if' in inner)
          throw refuse(path, 'found a condition in a condition, expected a struct around the inner one');
        const field = pathText(says.path, path);
        const is =
          says.operator === '&' ? `(${field} & ${says.number}) != 0` : `${field} ${says.operator} ${says.number}`;
        return { ...inner, if: is };
      }
      case 'pointed':
        throw refuse(path, 'found a part that is elsewhere, expected it as a field');
    }
  }
}

function document(unit: Interface, target: Target): Record<string, Yaml> {
  const writer = new KsyWriter(target);
  const names = unit.types.map((type) => writer.type(type));
  const last = names.at(-1);
  const id = last === undefined ? 'layout' : `${last}_file`;
  return {
    meta: { id, title: unit.title, endian: target.endian === 'little' ? 'le' : 'be' },
    ...(last === undefined ? {} : { seq: [{ id: 'value', type: last }] }),
    types: writer.types,
  };
}

/**
 * A specification in Kaitai's language whose `value` is the last of the types. Checksums are read and not checked there; what
 * functions decide, unions, bit fields and alignment are refused by name.
 */
export const ksyEmitter: Emitter = {
  name: 'ksy',
  emit: (unit, { target }) => `${JSON.stringify(document(unit, target), null, 2)}\n`,
};
