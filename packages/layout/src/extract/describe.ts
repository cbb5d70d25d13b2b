import { LayoutError } from '../layout/errors.js';
import { isIdentifier } from '../layout/names.js';
import { resolve } from '../layout/resolve.js';
import type { ResolvedField, ResolvedType } from '../layout/resolved.js';
import { struct, union, type FieldSpec } from '../layout/struct.js';
import type { ConstantSet } from '../layout/constants.js';
import type { Endian, Target } from '../layout/target.js';
import {
  fixedArray,
  bool,
  bytes,
  describeBitField,
  f32,
  f64,
  float,
  int,
  iword,
  pointer,
  text,
  uint,
  unnamedBits,
  uword,
} from '../layout/types.js';
import type { BitFieldDescription, Type } from '../layout/types.js';
import { sizeOf, type CField, type CRecord, type CScalar, type CType } from './c-types.js';
import type { Alignments } from './confirm.js';
import { ExtractError } from './errors.js';
import { setOf } from './sets.js';

/** Turns types of C into our language; every layout is resolved and compared before it is handed out. */
export class Describer {
  readonly #target: Target;
  readonly #aligns: Alignments;
  readonly #known = new Map<CType, Type>();
  readonly #names = new Set<string>();
  readonly #sets = new Map<string, ConstantSet>();

  constructor(target: Target, aligns: Alignments) {
    this.#target = target;
    this.#aligns = aligns;
  }

  /**
   * @param name A name for what has none.
   * @throws ExtractError `EXTRACT_UNSUPPORTED`.
   */
  describe(type: CType, name: string): Type {
    switch (type.kind) {
      case 'array':
        return this.#array(type.element, type.count, name);
      case 'opaque':
        return bytes(type.size, this.#aligns.get(type) ?? 1);
      case 'struct':
      case 'union': {
        const known = this.#known.get(type);
        if (known !== undefined) return known;
        const wanted = this.#unique(type.name ?? name);
        const described = type.kind === 'struct' ? this.#struct(type, wanted) : this.#union(type, wanted);
        this.#known.set(type, described);
        return described;
      }
      default:
        return this.#scalar(type, name);
    }
  }

  #scalar(type: CScalar, name: string): Type {
    const order = type.endian === undefined ? {} : { endian: type.endian };
    switch (type.kind) {
      case 'float':
        return type.endian === undefined ? (type.size === 4 ? f32 : f64) : float(type.size === 4 ? 32 : 64, order);
      case 'boolean':
        return bool;
      case 'pointer':
        return type.endian === undefined ? pointer(type.name) : uint(type.size * 8, order);
      default:
        return this.#container(type, name, type.endian);
    }
  }

  #container(type: CScalar, name: string, endian: Endian | undefined): Type & BitFieldDescription['container'] {
    if (type.kind === 'boolean') return bool;
    if (type.word && endian === undefined) return type.signed ? iword : uword;
    const set = type.kind === 'enum' ? this.#set(type, name) : undefined;
    const options = { ...(set === undefined ? {} : { set }), ...(endian === undefined ? {} : { endian }) };
    return type.signed ? int(type.size * 8, options) : uint(type.size * 8, options);
  }

  /** One set for an enumeration, whoever has it; one without a name is called after what it was met in. */
  #set(type: CScalar, name: string): ConstantSet | undefined {
    const isNamed = type.name !== 'enum';
    const key = JSON.stringify([isNamed ? type.name : name, type.values.map(([word, value]) => [word, String(value)])]);
    const known = this.#sets.get(key);
    if (known !== undefined) return known;
    const set = setOf(type, this.#unique(isNamed ? type.name.replace(/^enum /, '') : name));
    if (set !== undefined) this.#sets.set(key, set);
    return set;
  }

  #bitField(field: CField, name: string): Type {
    const { type, width = 0 } = field;
    if (type.kind !== 'integer' && type.kind !== 'enum' && type.kind !== 'boolean') {
      throw new ExtractError(
        'EXTRACT_UNSUPPORTED',
        `${field.name ?? 'a bit field'}: found a bit field of ${type.kind}`,
      );
    }
    return describeBitField(this.#container(type, name, field.endian), width, false);
  }

  #array(element: CType, count: number, name: string): Type {
    if (element.kind === 'integer' && element.size === 1) {
      if (element.plainChar) return text(count);
      if (!element.signed) return bytes(count);
    }
    return fixedArray(this.describe(element, name), count);
  }

  #unique(wanted: string): string {
    let name = goodName(wanted);
    while (this.#names.has(name.toLowerCase())) name += '_';
    this.#names.add(name.toLowerCase());
    return name;
  }

  #struct(record: CRecord, name: string): Type {
    const fields = this.#fields(record, name);
    const align = this.#aligns.get(record);
    const tries: (() => Type)[] = [
      () => build(name, fields, 'natural', undefined),
      () => build(name, fields, 'natural', align),
      () => build(name, fields, 'packed', undefined),
      () => build(name, fields, 'packed', align),
      () => this.#mended(name, fields, align),
      () => filled(name, fields, align, record.size),
    ];
    return this.#first(record, name, tries);
  }

  #union(record: CRecord, name: string): Type {
    const fields = this.#fields(record, name);
    const align = this.#aligns.get(record);
    const arms = (first?: number): Record<string, FieldSpec> =>
      Object.fromEntries(
        fields.map((field, index) => [
          field.key,
          index === 0 && first !== undefined ? { ...specOf(field), align: first } : specOf(field),
        ]),
      );
    return this.#first(record, name, [
      () => union(name, arms()),
      () => union(name, arms(align)),
      () => union(name, arms(), { packed: true }),
      () => union(name, arms(align), { packed: true }),
    ]);
  }

  #fields(record: CRecord, name: string): Placed[] {
    const used = new Set<string>();
    const inside = new Set(namesIn(record));
    return record.fields.map((field, index) => {
      let key = goodName(field.name ?? `anonymous${index}`);
      while (used.has(key) || (field.name === undefined && inside.has(key))) key += '_';
      used.add(key);
      const type =
        field.width === undefined
          ? this.describe(field.type, `${name}_${key}`)
          : this.#bitField(field, `${name}_${key}`);
      const isAnonymous = field.name === undefined && (type.kind === 'struct' || type.kind === 'union');
      return { key, type, bit: field.bit, bits: field.width ?? sizeOf(field.type) * 8, isAnonymous };
    });
  }

  #first(record: CRecord, name: string, tries: readonly (() => Type)[]): Type {
    for (const attempt of tries) {
      try {
        const type = attempt();
        if (this.#fits(record, type)) return type;
      } catch (error) {
        if (!(error instanceof LayoutError)) throw error;
      }
    }
    throw new ExtractError('EXTRACT_UNSUPPORTED', `${name}: the layout language cannot say how this type is laid out`);
  }

  #fits(record: CRecord, type: Type): boolean {
    const resolved = resolve(type, this.#target);
    const align = this.#aligns.get(record);
    if (resolved.bits !== record.size * 8 || (align !== undefined && resolved.align !== align)) return false;
    const places = namedFields(resolved);
    return (
      places.length === record.fields.length &&
      record.fields.every((field, index) => {
        const place = places[index];
        return place?.bit === field.bit && place.type.bits === (field.width ?? sizeOf(field.type) * 8);
      })
    );
  }

  /**
   * A natural struct in which each field that would not be where it is gets an alignment, or unnamed bits before it.
   */
  #mended(name: string, fields: readonly Placed[], align: number | undefined): Type {
    const specs: [string, FieldSpec][] = [];
    const place = (list: readonly (readonly [string, FieldSpec])[]): number | undefined =>
      namedFields(resolve(struct(name, Object.fromEntries(list)), this.#target)).at(-1)?.bit;
    let end = 0;
    for (const field of fields) {
      const { key, type, bit, bits } = field;
      const candidates: [string, FieldSpec][][] = [[[key, specOf(field)]]];
      if (type.kind === 'bitField') {
        const gap = bit - end;
        const pads = gap > 0 && gap <= 64 ? [0, gap] : [0];
        for (const pad of pads) {
          if (pad > bitsOf(type.container, this.#target)) continue;
          candidates.push([
            [`pad_${key}`, { type: unnamedBits(type.container, pad) }],
            [key, { type }],
          ]);
        }
      } else {
        for (let wanted = 2; wanted <= 4096; wanted *= 2) candidates.push([[key, { ...specOf(field), align: wanted }]]);
        // What an unnamed bit field took before it, by Microsoft's rules, is seen as a gap of whole bytes alone.
        for (let count = 1; count <= Math.min(8, (bit - end) / 8); count += 1) {
          const pads = Array.from({ length: count }, (_, index): [string, FieldSpec] => [
            `pad_${key}_${index}`,
            { type: unnamedBits(uint(8), 8) },
          ]);
          candidates.push([...pads, [key, specOf(field)]]);
        }
      }
      const found = candidates.find((candidate) => place([...specs, ...candidate]) === bit);
      if (found === undefined) throw new LayoutError('LAYOUT_OFFSET', 'not to be mended', { path: key, offset: 0 });
      specs.push(...found);
      end = bit + bits;
    }
    return struct(name, Object.fromEntries(specs), align === undefined ? {} : { align });
  }
}

/** Every name in the scope of a record: those of its fields and of its anonymous members. */
function namesIn(record: CRecord): string[] {
  return record.fields.flatMap((field) => {
    if (field.name !== undefined) return [goodName(field.name)];
    return 'fields' in field.type ? namesIn(field.type) : [];
  });
}

interface Placed {
  readonly key: string;
  readonly type: Type;
  readonly bit: number;
  readonly bits: number;
  readonly isAnonymous: boolean;
}

function specOf({ type, isAnonymous }: Placed): FieldSpec {
  return isAnonymous ? { type, anonymous: true } : { type };
}

function namedFields(type: ResolvedType): readonly ResolvedField[] {
  if (type.kind === 'union') return type.arms;
  return type.kind === 'struct' ? type.fields.filter((item) => !item.unnamed) : [];
}

function goodName(wanted: string): string {
  let name = wanted.replace(/\W/g, '_');
  if (/^\d/.test(name)) name = `_${name}`;
  while (!isIdentifier(name)) name += '_';
  return name;
}

function build(
  name: string,
  fields: readonly Placed[],
  packing: 'natural' | 'packed',
  align: number | undefined,
): Type {
  const specs = Object.fromEntries(fields.map((field) => [field.key, specOf(field)]));
  return struct(name, specs, { packing, ...(align === undefined ? {} : { align }) });
}

/** A packed struct in which every gap is declared as unnamed bits: it can say every layout of C. */
function filled(name: string, fields: readonly Placed[], align: number | undefined, size: number): Type {
  const specs: Record<string, FieldSpec> = {};
  let end = 0;
  const fill = (upTo: number): void => {
    while (end < upTo) {
      const width = Math.min(8 - (end % 8), upTo - end);
      specs[`pad_${end}`] = { type: unnamedBits(uint(8), width) };
      end += width;
    }
  };
  for (const field of fields) {
    const { bit, bits } = field;
    fill(bit);
    specs[field.key] = specOf(field);
    end = bit + bits;
  }
  fill(size * 8);
  return struct(name, specs, { packing: 'packed', ...(align === undefined ? {} : { align }) });
}

function bitsOf(container: BitFieldDescription['container'], target: Target): number {
  if (container.kind === 'boolean') return 1;
  return container.kind === 'word' ? target.wordBits : container.bits;
}
