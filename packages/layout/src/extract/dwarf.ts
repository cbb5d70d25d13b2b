import type { Assembly } from './assembly.js';
import { ExtractError } from './errors.js';

// Reads .debug_info of one compilation unit (DWARF 4 and 5, sections 7.5 "Format of Debugging Information").

/** Tags that this reader's callers look for (DWARF 5, table 7.3). */
export const TAG = {
  array: 0x01,
  class: 0x02,
  enumeration: 0x04,
  parameter: 0x05,
  member: 0x0d,
  pointer: 0x0f,
  reference: 0x10,
  structure: 0x13,
  typedef: 0x16,
  subroutine: 0x15,
  union: 0x17,
  inheritance: 0x1c,
  memberPointer: 0x1f,
  subrange: 0x21,
  base: 0x24,
  constant: 0x26,
  enumerator: 0x28,
  subprogram: 0x2e,
  variantPart: 0x33,
  namespace: 0x39,
  variable: 0x34,
  volatile: 0x35,
  restrict: 0x37,
  unspecified: 0x3b,
  rvalueReference: 0x42,
  atomic: 0x47,
} as const;

/** Attributes that this reader's callers look for (DWARF 5, table 7.5). */
export const AT = {
  name: 0x03,
  byteSize: 0x0b,
  bitOffset: 0x0c,
  bitSize: 0x0d,
  constValue: 0x1c,
  upperBound: 0x2f,
  count: 0x37,
  memberLocation: 0x38,
  declaration: 0x3c,
  external: 0x3f,
  encoding: 0x3e,
  type: 0x49,
  virtuality: 0x4c,
  endianity: 0x65,
  dataBitOffset: 0x6b,
  alignment: 0x88,
} as const;

/** One entry of the debug information. */
export interface Entry {
  readonly tag: number;
  readonly attributes: ReadonlyMap<number, bigint | string>;
  readonly children: readonly Entry[];
}

/** Where sections come from. */
export interface Sections {
  readonly section: (name: string) => { readonly bytes: Uint8Array };
}

/** The entries of a unit: those of file scope, and any by its offset. */
export interface Unit {
  /** The byte behind it in the section. */
  readonly end: number;
  readonly entries: readonly Entry[];
  /** The entry that an attribute refers to, or undefined where it has none (C's `void`). */
  readonly referred: (from: Entry, attribute: number) => Entry | undefined;
}

interface Abbreviation {
  readonly tag: number;
  readonly children: boolean;
  readonly fields: readonly (readonly [attribute: number, form: number, implicit: bigint])[];
}

/** A position in bytes; every read is checked against their end. */
class Cursor {
  readonly #bytes: Uint8Array;
  readonly #little: boolean;
  at: number;

  constructor(bytes: Uint8Array, at: number, little: boolean) {
    this.#bytes = bytes;
    this.at = at;
    this.#little = little;
  }

  fixed(size: number): bigint {
    if (this.at + size > this.#bytes.length) throw damaged('ends too early');
    let value = 0n;
    for (let index = 0; index < size; index += 1) {
      const from = this.#little ? size - 1 - index : index;
      value = (value << 8n) | BigInt(this.#bytes[this.at + from] ?? 0);
    }
    this.at += size;
    return value;
  }

  leb(signed = false): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.fixed(1);
      value |= (byte & 0x7fn) << shift;
      if (byte < 0x80n) return signed ? BigInt.asIntN(Number(shift) + 7, value) : value;
    }
  }

  text(): string {
    const end = this.#bytes.indexOf(0, this.at);
    if (end < 0) throw damaged('a name has no end');
    const found = new TextDecoder().decode(this.#bytes.subarray(this.at, end));
    this.at = end + 1;
    // A header can forge it: names are printed, and become names in other languages.
    if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(found)) throw damaged('a name has control characters');
    return found;
  }

  skip(count: number): void {
    this.at += count;
  }
}

function damaged(what: string): ExtractError {
  return new ExtractError('EXTRACT_ASSEMBLY', `debug information: ${what}`);
}

function readAbbreviations(cursor: Cursor): Map<bigint, Abbreviation> {
  const found = new Map<bigint, Abbreviation>();
  for (;;) {
    const code = cursor.leb();
    if (code === 0n) return found;
    const tag = Number(cursor.leb());
    const children = cursor.fixed(1) === 1n;
    const fields: (readonly [number, number, bigint])[] = [];
    for (;;) {
      const attribute = Number(cursor.leb());
      const form = Number(cursor.leb());
      const implicit = form === 0x21 ? cursor.leb(true) : 0n;
      if (attribute === 0 && form === 0) break;
      fields.push([attribute, form, implicit]);
    }
    found.set(code, { tag, children, fields });
  }
}

/** Bytes of the forms that hold a fixed number of them (DWARF 5, section 7.5.6). */
const FIXED: ReadonlyMap<number, number> = new Map([
  [0x05, 2],
  [0x06, 4],
  [0x07, 8],
  [0x0b, 1],
  [0x0c, 1],
  [0x11, 1],
  [0x12, 2],
  [0x13, 4],
  [0x14, 8],
  [0x10, 4],
  [0x17, 4],
  [0x1e, 16],
  [0x20, 8],
  [0x29, 1],
  [0x2a, 2],
  [0x2b, 3],
  [0x2c, 4],
]);

/** Bytes of an index into the table of strings. */
const STRX: ReadonlyMap<number, number> = new Map([
  [0x25, 1],
  [0x26, 2],
  [0x27, 3],
  [0x28, 4],
]);

const BLOCKS: ReadonlyMap<number, number> = new Map([
  [0x03, 2],
  [0x04, 4],
  [0x0a, 1],
]);

/**
 * Reads the debug information of an assembly.
 * @throws ExtractError `EXTRACT_ASSEMBLY` for forms and versions that this reader does not know.
 */
export function readUnit(assembly: Pick<Assembly, 'endian'> & Sections, start = 0): Unit {
  const little = assembly.endian === 'little';
  const info = assembly.section('.debug_info').bytes;
  const cursor = new Cursor(info, start, little);
  const length = Number(cursor.fixed(4));
  if (length >= 0xffff_fff0) throw damaged('found the 64-bit format, which this reader does not know');
  const end = start + length + 4;
  const version = Number(cursor.fixed(2));
  if (version !== 4 && version !== 5) throw damaged(`found version ${version}, expected 4 or 5`);
  const kind = version === 5 ? Number(cursor.fixed(1)) : 1;
  let addressSize = version === 5 ? Number(cursor.fixed(1)) : 0;
  const abbreviationsAt = Number(cursor.fixed(4));
  if (version === 4) addressSize = Number(cursor.fixed(1));
  // DWARF 5, 7.5.1.2 and 7.5.1.3: an identifier of a skeleton, a signature and an offset of a type.
  cursor.skip(kind === 2 || kind === 6 ? 12 : kind === 4 || kind === 5 ? 8 : 0);
  const abbreviations = readAbbreviations(new Cursor(assembly.section('.debug_abbrev').bytes, abbreviationsAt, little));
  /** DW_AT_str_offsets_base of the unit; behind the header of the only table where it is not said. */
  let stringsBase = 8;
  const strings = new Map<string, Uint8Array>();
  const textAt = (section: string, at: number): string => {
    const bytes = strings.get(section) ?? assembly.section(section).bytes;
    strings.set(section, bytes);
    return new Cursor(bytes, at, little).text();
  };
  const value = (form: number, implicit: bigint): bigint | string => {
    const size = form === 0x01 ? addressSize : FIXED.get(form);
    if (size !== undefined) {
      const found = cursor.fixed(size);
      // References count from the start of their unit; here every entry has its place in the section.
      return form >= 0x11 && form <= 0x14 ? found + BigInt(start) : found;
    }
    const indexSize = STRX.get(form);
    if (indexSize !== undefined || form === 0x1a) {
      const index = Number(indexSize === undefined ? cursor.leb() : cursor.fixed(indexSize));
      const offsets = assembly.section('.debug_str_offsets').bytes;
      return textAt('.debug_str', Number(new Cursor(offsets, stringsBase + index * 4, little).fixed(4)));
    }
    const block = form === 0x09 || form === 0x18 ? Number(cursor.leb()) : undefined;
    const length = block ?? (BLOCKS.has(form) ? Number(cursor.fixed(BLOCKS.get(form) ?? 0)) : undefined);
    if (length !== undefined) {
      cursor.skip(length);
      return 0n;
    }
    switch (form) {
      case 0x08:
        return cursor.text();
      case 0x0d:
        return cursor.leb(true);
      case 0x0e:
        return textAt('.debug_str', Number(cursor.fixed(4)));
      case 0x1f:
        return textAt('.debug_line_str', Number(cursor.fixed(4)));
      case 0x0f:
      case 0x1b:
      case 0x22:
      case 0x23:
        return cursor.leb();
      case 0x15:
        return cursor.leb() + BigInt(start);
      case 0x19:
        return 1n;
      case 0x21:
        return implicit;
      default:
        throw damaged(`found the form 0x${form.toString(16)}, which this reader does not know`);
    }
  };
  const byOffset = new Map<bigint, Entry>();
  const readChildren = (): Entry[] => {
    const list: Entry[] = [];
    while (cursor.at < end) {
      const offset = BigInt(cursor.at);
      const code = cursor.leb();
      if (code === 0n) break;
      const abbreviation = abbreviations.get(code);
      if (abbreviation === undefined) throw damaged(`entry at ${offset} has the unknown code ${code}`);
      const attributes = new Map<number, bigint | string>();
      for (const [attribute, form, implicit] of abbreviation.fields) {
        const found = value(form, implicit);
        attributes.set(attribute, found);
        if (attribute === 0x72 && typeof found === 'bigint') stringsBase = Number(found);
      }
      const entry: Entry = {
        tag: abbreviation.tag,
        attributes,
        children: abbreviation.children ? readChildren() : [],
      };
      byOffset.set(offset, entry);
      list.push(entry);
    }
    return list;
  };
  const [unit] = readChildren();
  return {
    entries: unit?.children ?? [],
    end,
    referred(from, attribute) {
      const at = from.attributes.get(attribute);
      return typeof at === 'bigint' ? byOffset.get(at) : undefined;
    },
  };
}
