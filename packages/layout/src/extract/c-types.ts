import type { Endian, Target } from '../layout/target.js';
import { AT, TAG, type Entry, type Unit } from './dwarf.js';
import { ExtractError } from './errors.js';

/** An integer, an enumeration, `_Bool`, a pointer or a floating-point number. Sizes are bytes. */
export interface CScalar {
  readonly kind: 'integer' | 'enum' | 'boolean' | 'pointer' | 'float';
  /** How C calls it, typedefs first: `uint32_t`, `long unsigned int`, `enum color`. */
  readonly name: string;
  readonly size: number;
  readonly signed: boolean;
  /** Whether it is as wide as a pointer on every target. */
  readonly word: boolean;
  /** `char`, which is neither `signed char` nor `unsigned char`. */
  readonly plainChar: boolean;
  /** A byte order of its own: gcc's `scalar_storage_order`, or a name that says it (`__be16`). */
  readonly endian: Endian | undefined;
  /** A reference of C++, whose `sizeof` is that of what it leads to. */
  readonly reference: boolean;
  /** Of an enumeration. */
  readonly values: readonly (readonly [name: string, value: bigint])[];
}

export interface CArray {
  readonly kind: 'array';
  readonly element: CType;
  /** 0 for a flexible array member. */
  readonly count: number;
}

export interface CField {
  /** Undefined for an anonymous struct or union. */
  readonly name: string | undefined;
  readonly type: CType;
  /** Bits from the start of the struct: for a bit field from the end that its byte order says. */
  bit: number;
  /** Set for a bit field. */
  width: number | undefined;
  /** Whether `bit` is known to the byte only, until the second probe says more. */
  byteOnly: boolean;
  /** Set where the bits of a bit field are filled in the other byte order than the target's. */
  endian?: Endian | undefined;
}

export interface CRecord {
  readonly kind: 'struct' | 'union';
  /** Tag or typedef; undefined for an anonymous one. */
  readonly name: string | undefined;
  readonly size: number;
  readonly fields: readonly CField[];
}

/** A type that our language does not have (`long double`, `__int128`, vectors): bytes. */
export interface COpaque {
  readonly kind: 'opaque';
  readonly name: string;
  readonly size: number;
}

/** A type of C as the compiler's debug information describes it. */
export type CType = CScalar | CArray | CRecord | COpaque;

/** Bytes of a type. */
export function sizeOf(type: CType): number {
  return type.kind === 'array' ? sizeOf(type.element) * type.count : type.size;
}

const WORDS = new Set(
  'size_t ssize_t uintptr_t intptr_t ptrdiff_t long usize isize'.split(' ').concat('unsigned long'),
);
/** Typedefs whose width is the same everywhere, whatever they stand for on this target. */
const EXACT = /^(u?int(8|16|32|64)_t|__[us](8|16|32|64)|[us](8|16|32|64)|__[lb]e(16|32|64))$/;

/** Names that say a byte order: Linux and its tools, DPDK, Open vSwitch, file systems. */
const ORDERED = /^(?:__|rte_|ovs_)?[us]?(be|le)(?:16|32|64)(?:_t)?$/;

function namedOrder(names: readonly string[]): Endian | undefined {
  const order = names.map((name) => ORDERED.exec(name)?.[1]).find((found) => found !== undefined);
  return order === undefined ? undefined : order === 'be' ? 'big' : 'little';
}

// DWARF 5, table 7.11: base type encodings.
const ENCODING = { boolean: 2, float: 4, signed: 5, signedChar: 6, unsigned: 7, unsignedChar: 8, utf: 16 } as const;

/** One spelling for what gcc calls `long unsigned int` and clang `unsigned long`. */
function baseName(name: string): string {
  const words = name.split(' ').filter((word) => word !== 'int' || !/long|short/.test(name));
  return words.includes('unsigned')
    ? ['unsigned', ...words.filter((word) => word !== 'unsigned')].join(' ')
    : words.join(' ');
}

function text(entry: Entry): string | undefined {
  const name = entry.attributes.get(AT.name);
  return typeof name === 'string' ? name : undefined;
}

function number(entry: Entry, attribute: number): number | undefined {
  const value = entry.attributes.get(attribute);
  return typeof value === 'bigint' ? Number(value) : undefined;
}

/** Turns entries of the debug information into types. */
export class TypeReader {
  readonly #unit: Pick<Unit, 'entries' | 'referred'>;
  readonly #target: Target;
  readonly #known = new Map<Entry, CType>();

  constructor(unit: Pick<Unit, 'entries' | 'referred'>, target: Target) {
    this.#unit = unit;
    this.#target = target;
  }

  /** The type of the variable of this name. */
  variable(name: string): CType {
    return this.#typeOf(this.#variable(name));
  }

  /** The type that an entry describes. */
  type(entry: Entry): CType {
    return this.#read(entry, []);
  }

  /** What the variable of this name points to. */
  pointed(name: string): CType {
    const pointer = this.#unit.referred(this.#variable(name), AT.type);
    if (pointer === undefined) throw new ExtractError('EXTRACT_UNSUPPORTED', `${name} points to nothing`);
    return this.#typeOf(pointer);
  }

  #variable(name: string): Entry {
    const entry = this.#unit.entries.find((item) => item.tag === TAG.variable && text(item) === name);
    if (entry === undefined) throw new ExtractError('EXTRACT_ASSEMBLY', `debug information does not know ${name}`);
    return entry;
  }

  /** What the only parameter of the function of this name, in whatever module, is a reference to. */
  referent(name: string): CType {
    const search = (entries: readonly Entry[]): Entry | undefined => {
      for (const entry of entries) {
        if (entry.tag === TAG.subprogram && text(entry) === name) return entry;
        const found = entry.tag === TAG.namespace ? search(entry.children) : undefined;
        if (found !== undefined) return found;
      }
      return undefined;
    };
    const parameter = search(this.#unit.entries)?.children.find((item) => item.tag === TAG.parameter);
    const reference = parameter === undefined ? undefined : this.#unit.referred(parameter, AT.type);
    if (reference === undefined) throw new ExtractError('EXTRACT_ASSEMBLY', `debug information does not know ${name}`);
    return this.#typeOf(reference);
  }

  /** Alignments in bytes that the debug information states: rustc's does, of structs and unions. */
  readonly aligns = new Map<CType, number>();

  #typeOf(entry: Entry): CType {
    const type = this.#unit.referred(entry, AT.type);
    if (type === undefined) throw new ExtractError('EXTRACT_UNSUPPORTED', `${text(entry) ?? 'a type'} has no type`);
    return this.#read(type, []);
  }

  /** @param names Typedefs on the way to the type, the first that was met first. */
  #read(entry: Entry, names: readonly string[]): CType {
    switch (entry.tag) {
      case TAG.typedef:
      case TAG.constant:
      case TAG.volatile:
      case TAG.restrict:
      case TAG.atomic: {
        const inner = this.#unit.referred(entry, AT.type);
        const name = entry.tag === TAG.typedef ? text(entry) : undefined;
        if (inner === undefined) throw new ExtractError('EXTRACT_UNSUPPORTED', `${name ?? 'a type'} is void`);
        return this.#read(inner, name === undefined ? names : [...names, name]);
      }
      case TAG.class:
      case TAG.structure:
      case TAG.union: {
        const known = this.#known.get(entry);
        if (known !== undefined) return known;
        const record = this.#recordOrBytes(entry, names[0]);
        this.#known.set(entry, record);
        const align = number(entry, AT.alignment);
        if (align !== undefined) this.aligns.set(record, align);
        return record;
      }
      case TAG.array:
        return this.#array(entry);
      case TAG.base:
        return this.#base(entry, names);
      case TAG.enumeration: {
        const values = entry.children
          .filter((item) => item.tag === TAG.enumerator)
          .map((item) => [text(item) ?? '', BigInt(item.attributes.get(AT.constValue) ?? 0n)] as const);
        const under = this.#unit.referred(entry, AT.type);
        const signed =
          under === undefined ? values.some(([, value]) => value < 0n) : number(under, AT.encoding) === ENCODING.signed;
        const name = text(entry);
        const size = number(entry, AT.byteSize) ?? 4;
        return scalar('enum', name === undefined ? (names[0] ?? 'enum') : `enum ${name}`, size, signed, { values });
      }
      case TAG.reference:
      case TAG.rvalueReference:
      case TAG.pointer: {
        const to = this.#unit.referred(entry, AT.type);
        const size = number(entry, AT.byteSize) ?? this.#target.wordBits / 8;
        return scalar('pointer', this.#pointee(to), size, false, { word: true, reference: entry.tag !== TAG.pointer });
      }
      case TAG.memberPointer: {
        // Itanium C++ ABI 2.3: an offset, or a function's address and an adjustment.
        const isFunction = this.#unit.referred(entry, AT.type)?.tag === TAG.subroutine;
        return { kind: 'opaque', name: 'member pointer', size: (this.#target.wordBits / 8) * (isFunction ? 2 : 1) };
      }
      case TAG.unspecified:
        return { kind: 'opaque', name: text(entry) ?? 'nullptr_t', size: this.#target.wordBits / 8 };
      default:
        throw new ExtractError(
          'EXTRACT_UNSUPPORTED',
          `found DWARF tag 0x${entry.tag.toString(16)} where a type stands`,
        );
    }
  }

  #pointee(entry: Entry | undefined): string {
    if (entry === undefined) return 'void';
    const name = text(entry);
    if (name !== undefined) return name;
    return entry.tag === TAG.constant || entry.tag === TAG.volatile
      ? this.#pointee(this.#unit.referred(entry, AT.type))
      : 'void';
  }

  #array(entry: Entry): CType {
    const counts = entry.children
      .filter((item) => item.tag === TAG.subrange)
      .map((item) => {
        const count = number(item, AT.count);
        const upper = number(item, AT.upperBound);
        // An array of no elements has the upper bound -1, in as many bits as the form has.
        return count ?? (upper === undefined || upper >= 0xffff_ffff || upper < 0 ? 0 : upper + 1);
      });
    const element = this.#typeOf(entry);
    return counts.reduceRight<CType>((inner, count) => ({ kind: 'array', element: inner, count }), element);
  }

  #base(entry: Entry, names: readonly string[]): CType {
    const base = baseName(text(entry) ?? 'integer');
    const size = number(entry, AT.byteSize) ?? 0;
    const encoding = number(entry, AT.encoding);
    const exactName = names.find((name) => EXACT.test(name));
    const isWord = size * 8 === this.#target.wordBits && [...names, base].some((name) => WORDS.has(name));
    const word = exactName === undefined && isWord;
    const stated = number(entry, AT.endianity);
    const endian = size === 1 ? undefined : stated === 1 ? 'big' : stated === 2 ? 'little' : namedOrder(names);
    const name = names[0] ?? base;
    switch (encoding) {
      case ENCODING.boolean:
        return size === 1 ? scalar('boolean', name, size, false) : { kind: 'opaque', name, size };
      case ENCODING.float:
        return size === 4 || (size === 8 && base !== 'long double')
          ? scalar('float', name, size, true, { endian })
          : { kind: 'opaque', name, size };
      case ENCODING.signed:
      case ENCODING.signedChar:
      case ENCODING.unsigned:
      case ENCODING.unsignedChar:
      case ENCODING.utf: {
        if (![1, 2, 4, 8].includes(size)) return { kind: 'opaque', name, size };
        const signed = encoding === ENCODING.signed || encoding === ENCODING.signedChar;
        return scalar('integer', name, size, signed, {
          word: word && endian === undefined,
          plainChar: base === 'char',
          endian,
        });
      }
      default:
        return { kind: 'opaque', name, size };
    }
  }

  /** An enumeration of Rust with data has no fixed set of fields. */
  #recordOrBytes(entry: Entry, typedefName: string | undefined): CType {
    if (!entry.children.some((item) => item.tag === TAG.variantPart)) return this.#record(entry, typedefName);
    return { kind: 'opaque', name: text(entry) ?? 'enum', size: number(entry, AT.byteSize) ?? 0 };
  }

  #record(entry: Entry, typedefName: string | undefined): CRecord {
    const name = text(entry) ?? typedefName;
    if (entry.attributes.has(AT.declaration)) {
      throw new ExtractError('EXTRACT_UNKNOWN_TYPE', `${name ?? 'a struct'} is declared but never completed`);
    }
    const size = number(entry, AT.byteSize) ?? 0;
    const fields = entry.children.flatMap((item): CField[] => {
      if (item.tag === TAG.inheritance) return this.#inherited(item);
      // A static member of C++ has no place in the object.
      if (item.tag !== TAG.member || item.attributes.has(AT.external) || item.attributes.has(AT.declaration)) return [];
      const type = this.#typeOf(item);
      const width = number(item, AT.bitSize);
      return [{ name: text(item), type, bit: this.#bit(item, type, width), width, byteOnly: false }];
    });
    if (fields.some(({ type }) => isReversed(type)))
      fields.splice(0, fields.length, ...fields.map((field) => reversed(field, this.#target)));
    // rustc lists fields as they are declared, and places them as it likes. By byte: some bits are not known yet.
    if (entry.tag !== TAG.union) fields.sort((a, b) => Math.floor(a.bit / 8) - Math.floor(b.bit / 8));
    return { kind: entry.tag === TAG.union ? 'union' : 'struct', name, size, fields };
  }

  /** The fields of a base class, which are fields of the class that is derived from it. */
  #inherited(item: Entry): CField[] {
    const base = this.#typeOf(item);
    if (item.attributes.has(AT.virtuality)) {
      const name = 'name' in base ? (base.name ?? '') : '';
      throw new ExtractError(
        'EXTRACT_UNSUPPORTED',
        `${name}: the place of a virtual base class is known at run time only`,
      );
    }
    const start = (number(item, AT.memberLocation) ?? 0) * 8;
    return 'fields' in base ? base.fields.map((field) => ({ ...field, bit: start + field.bit })) : [];
  }

  /** DWARF 5 states bit positions from the start; DWARF 2 to 4 from the most significant bit of a storage unit. */
  #bit(item: Entry, type: CType, width: number | undefined): number {
    const whole = (number(item, AT.memberLocation) ?? 0) * 8;
    const direct = number(item, AT.dataBitOffset);
    if (direct !== undefined) return direct;
    const fromTop = item.attributes.get(AT.bitOffset);
    if (width === undefined || typeof fromTop !== 'bigint') return whole;
    // It may be negative, and stands in a form that does not say so.
    const below = Number(fromTop > 0xffff_ffffn ? BigInt.asIntN(64, fromTop) : BigInt.asIntN(32, fromTop));
    if (this.#target.endian === 'big') return whole + below;
    const unit = (number(item, AT.byteSize) ?? sizeOf(type)) * 8;
    return whole + unit - below - width;
  }
}

/** Whether gcc stated a byte order for a scalar that its name does not state. */
function isReversed(type: CType): boolean {
  if (type.kind === 'array') return isReversed(type.element);
  return 'endian' in type && type.endian !== undefined && !ORDERED.test(type.name);
}

/** `scalar_storage_order` is an attribute of the struct: what has no debug information for it (enumerations, bits) has it too. */
function reversed(field: CField, target: Target): CField {
  const endian = target.endian === 'little' ? 'big' : 'little';
  const turned = (type: CType): CType => {
    if (type.kind === 'array') return { ...type, element: turned(type.element) };
    return (type.kind === 'enum' || type.kind === 'pointer') && type.size > 1 ? { ...type, endian, word: false } : type;
  };
  return { ...field, type: turned(field.type), ...(field.width === undefined ? {} : { endian }) };
}

function scalar(
  kind: CScalar['kind'],
  name: string,
  size: number,
  signed: boolean,
  more: Partial<Pick<CScalar, 'word' | 'plainChar' | 'values' | 'endian' | 'reference'>> = {},
): CScalar {
  const rest = { word: false, plainChar: false, values: [], endian: undefined, reference: false };
  return { kind, name, size, signed, ...rest, ...more };
}
