import type { Endian } from '../../layout/target.js';
import { AT, TAG, type Entry } from '../dwarf.js';
import { ExtractError } from '../errors.js';

// BTF (kernel documentation, "BPF Type Format"). Its types become entries as DWARF has them, each when it is asked for, so
// that one reader knows what C means by both.

const MAGIC = 0xeb9f;

/** Bytes behind the twelve of every type, by kind: those of one element, and whether there are `vlen` of them. */
const EXTRA: Readonly<Record<number, readonly [bytes: number, each: boolean]>> = {
  1: [4, false],
  3: [12, false],
  4: [12, true],
  5: [12, true],
  6: [8, true],
  13: [8, true],
  14: [4, false],
  15: [12, true],
  17: [4, false],
  19: [12, true],
};

const TAGS: Readonly<Record<number, number>> = {
  2: TAG.pointer,
  8: TAG.typedef,
  9: TAG.volatile,
  10: TAG.constant,
  11: TAG.restrict,
  13: TAG.subroutine,
  18: TAG.constant,
};

/** The types of a file. */
export interface Btf {
  readonly endian: Endian;
  /** Bits of C's `long`, where the file has one. */
  readonly wordBits: 32 | 64 | undefined;
  readonly find: (keyword: 'struct' | 'union' | 'enum' | undefined, name: string) => Entry | undefined;
  readonly enumerator: (name: string) => bigint | undefined;
  readonly referred: (from: Entry, attribute: number) => Entry | undefined;
  /** For the types that are split from it. */
  readonly base: Base;
}

/** What split BTF asks of the BTF that it was split from. */
interface Base extends Pick<Btf, 'wordBits' | 'find' | 'enumerator'> {
  readonly endian: Endian;
  /** Bytes and fields of a type. */
  readonly extent: (id: number) => Extent;
  readonly count: number;
  readonly textLength: number;
  readonly text: (at: number) => string;
  readonly entry: (id: number) => Entry | undefined;
  readonly oldBitField: (id: number) => readonly [offset: number, width: number] | undefined;
}

/** How much a type is. */
interface Extent {
  /** Bytes. */
  readonly size: number;
  /** Fields of it and of all types in it. */
  readonly fields: number;
}

/** Most bytes of a type, most fields of one with all types in it, and most types of which each stands for the next one. */
const [MAX_SIZE, MAX_FIELDS, MAX_CHAIN] = [1 << 20, 1 << 20, 64];

function damaged(what: string): ExtractError {
  return new ExtractError('EXTRACT_BINARY', `BTF: ${what}`);
}

/** Whether bytes begin as BTF does. */
export function isBtf(bytes: Uint8Array): boolean {
  const first = (bytes[0] ?? 0) | ((bytes[1] ?? 0) << 8);
  return bytes.length >= 24 && (first === MAGIC || first === 0x9feb);
}

/**
 * Reads BTF; of split BTF (a module's), `base` is what it was split from.
 * @throws ExtractError `EXTRACT_BINARY`.
 */
export function readBtf(bytes: Uint8Array, base?: Base): Btf {
  if (!isBtf(bytes)) throw damaged('found another magic');
  const little = bytes[0] === 0x9f;
  if (base !== undefined && (base.endian === 'little') !== little) throw damaged('its base has another byte order');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u32 = (at: number): number => {
    if (at + 4 > bytes.length) throw damaged('it ends too early');
    return view.getUint32(at, little);
  };
  const header = u32(4);
  const [typesAt, typesEnd] = [header + u32(8), header + u32(8) + u32(12)];
  const [textAt, textLength] = [header + u32(16), u32(20)];
  if (typesEnd > bytes.length || textAt + textLength > bytes.length) throw damaged('its parts lead out of it');
  const baseText = base?.textLength ?? 0;
  const text = (at: number): string => {
    if (at < baseText) return base?.text(at) ?? '';
    const from = textAt + at - baseText;
    const end = bytes.indexOf(0, from);
    if (at - baseText >= textLength || end < 0) throw damaged('a name leads out of it');
    const found = Buffer.from(bytes.subarray(from, end)).toString('latin1');
    if (!/^[\x20-\x7e]*$/.test(found)) throw damaged('a name has control characters');
    return found;
  };
  const places: number[] = [];
  for (let at = typesAt; at < typesEnd;) {
    places.push(at);
    const info = u32(at + 4);
    const [extra, each] = EXTRA[(info >>> 24) & 0x1f] ?? [0, false];
    at += 12 + extra * (each ? info & 0xffff : 1);
  }
  const first = (base?.count ?? 0) + 1;
  const extents = new Map<number, Extent | 'open'>();
  /** Refuses what is larger than what it lies in, and what contains itself: whoever goes through it would never end. */
  const extent = (id: number, chain = 0): Extent => {
    if (id === 0) return { size: 0, fields: 0 };
    if (id < first) return base?.extent(id) ?? { size: 0, fields: 0 };
    const at = places[id - first];
    if (at === undefined) throw damaged(`found the type ${id}, expected at most ${first + places.length - 1}`);
    const known = extents.get(id);
    if (known === 'open' || chain > MAX_CHAIN) throw damaged('types lead in a circle');
    if (known !== undefined) return known;
    extents.set(id, 'open');
    const found = measure(at, chain);
    if (found.size > MAX_SIZE) throw damaged(`found a type of ${found.size} bytes, expected at most ${MAX_SIZE}`);
    if (found.fields > MAX_FIELDS) throw damaged(`found a type of more than ${MAX_FIELDS} fields`);
    extents.set(id, found);
    return found;
  };
  const measure = (at: number, chain: number): Extent => {
    const info = u32(at + 4);
    const [kind, size] = [(info >>> 24) & 0x1f, u32(at + 8)];
    if (kind === 3) {
      const element = extent(u32(at + 12), chain + 1);
      return { size: element.size * u32(at + 20), fields: element.fields };
    }
    if (kind === 4 || kind === 5) {
      let fields = 0;
      for (let from = at + 12; from < at + 12 + 12 * (info & 0xffff); from += 12) {
        const member = extent(u32(from + 4), chain + 1);
        const [place, isBits] = [u32(from + 8), info >>> 31 === 1];
        const bytes = Math.floor((isBits ? place & 0xff_ffff : place) / 8);
        // A bit field may end within its type.
        const inBits = isBits && place >>> 24 > 0;
        if (bytes + (inBits ? 0 : member.size) > size) throw damaged('a field lies outside its structure');
        fields += 1 + member.fields;
      }
      return { size, fields };
    }
    // What stands for another type has that one where others have their size; pointers lead nowhere.
    return [8, 9, 10, 11, 18].includes(kind) ? extent(size, chain + 1) : { size: kind === 2 ? 8 : size, fields: 0 };
  };
  const entries = new Map<number, Entry>();
  const entry = (id: number): Entry | undefined => {
    if (id === 0) return undefined;
    if (id < first) return base?.entry(id);
    const at = places[id - first];
    if (at === undefined) throw damaged(`found the type ${id}, expected at most ${first + places.length - 1}`);
    const known = entries.get(id);
    if (known !== undefined) return known;
    extent(id);
    const made = make(at);
    entries.set(id, made);
    return made;
  };
  const named = (at: number): [number, string][] => (u32(at) === 0 ? [] : [[AT.name, text(u32(at))]]);
  const child = (tag: number, attributes: readonly (readonly [number, bigint | string])[]): Entry => ({
    tag,
    attributes: new Map(attributes),
    children: [],
  });
  const make = (at: number): Entry => {
    const info = u32(at + 4);
    const kind = (info >>> 24) & 0x1f;
    const count = info & 0xffff;
    const flag = info >>> 31 === 1;
    const size = u32(at + 8);
    const name = named(at);
    switch (kind) {
      case 1: {
        const how = u32(at + 12);
        const encoding = (how >>> 24) & 0xf;
        // A character of one byte that is signed is DWARF's 6; BTF calls it a signed integer or a character.
        const dwarf = (encoding & 4) !== 0 ? 2 : (encoding & 1) !== 0 ? 5 : 7;
        return child(TAG.base, [...name, [AT.byteSize, BigInt(size)], [AT.encoding, BigInt(dwarf)]]);
      }
      case 3: {
        const range = child(TAG.subrange, [[AT.count, BigInt(u32(at + 20))]]);
        return { tag: TAG.array, attributes: new Map([[AT.type, BigInt(u32(at + 12))]]), children: [range] };
      }
      case 4:
      case 5: {
        const children = Array.from({ length: count }, (_, index) => {
          const from = at + 12 + index * 12;
          const place = u32(from + 8);
          const width = flag ? place >>> 24 : 0;
          const bit = flag ? place & 0xff_ffff : place;
          const type: [number, bigint] = [AT.type, BigInt(u32(from + 4))];
          const old = flag ? undefined : oldBitField(u32(from + 4));
          if (old !== undefined)
            return child(TAG.member, [
              ...named(from),
              type,
              [AT.bitSize, BigInt(old[1])],
              [AT.dataBitOffset, BigInt(bit + old[0])],
            ]);
          const where: (readonly [number, bigint])[] =
            width > 0
              ? [
                  [AT.bitSize, BigInt(width)],
                  [AT.dataBitOffset, BigInt(bit)],
                ]
              : [[AT.memberLocation, BigInt(Math.floor(bit / 8))]];
          return child(TAG.member, [...named(from), type, ...where]);
        });
        return {
          tag: kind === 4 ? TAG.structure : TAG.union,
          attributes: new Map<number, bigint | string>([...name, [AT.byteSize, BigInt(size)]]),
          children,
        };
      }
      case 6:
      case 19: {
        const children = enumerators(at).map(([key, value]) =>
          child(TAG.enumerator, [
            [AT.name, key],
            [AT.constValue, value],
          ]),
        );
        return {
          tag: TAG.enumeration,
          attributes: new Map<number, bigint | string>([...name, [AT.byteSize, BigInt(size)]]),
          children,
        };
      }
      case 7:
        return child(flag ? TAG.union : TAG.structure, [...name, [AT.declaration, 1n]]);
      case 16:
        return child(TAG.base, [...name, [AT.byteSize, BigInt(size)], [AT.encoding, 4n]]);
      default: {
        const tag = TAGS[kind];
        if (tag === undefined) throw damaged(`found the kind ${kind} where a type stands`);
        return child(tag, [...name, ...(size === 0 || kind === 13 ? [] : [[AT.type, BigInt(size)] as const])]);
      }
    }
  };
  /** Bit offset and width that an integer of a bit field states itself, as BTF had it at first. */
  const oldBitField = (id: number): readonly [number, number] | undefined => {
    if (id < first) return base?.oldBitField(id);
    const at = places[id - first];
    if (at === undefined || ((u32(at + 4) >>> 24) & 0x1f) !== 1) return undefined;
    const how = u32(at + 12);
    return (how & 0xff) < u32(at + 8) * 8 && (how & 0xff) > 0 ? [(how >>> 16) & 0xff, how & 0xff] : undefined;
  };
  const enumerators = (at: number): [string, bigint][] => {
    const info = u32(at + 4);
    const isWide = ((info >>> 24) & 0x1f) === 19;
    const isSigned = info >>> 31 === 1;
    return Array.from({ length: info & 0xffff }, (_, index): [string, bigint] => {
      const from = at + 12 + index * (isWide ? 12 : 8);
      // Values of 32 bits are written signed, whatever the enumeration is.
      if (!isWide) return [text(u32(from)), BigInt(view.getInt32(from + 4, little))];
      const bits = (BigInt(u32(from + 8)) << 32n) | BigInt(u32(from + 4));
      return [text(u32(from)), isSigned ? BigInt.asIntN(64, bits) : bits];
    });
  };
  const search = (accepts: (kind: number) => boolean, name: string): number | undefined => {
    const index = places.findIndex((at) => accepts((u32(at + 4) >>> 24) & 0x1f) && text(u32(at)) === name);
    return index < 0 ? undefined : first + index;
  };
  const KINDS = { struct: [4], union: [5], enum: [6, 19] } as const;
  const long = search((kind) => kind === 1, 'long int') ?? search((kind) => kind === 1, 'long');
  const longAt = long === undefined || long < first ? undefined : places[long - first];
  const wordBits = longAt === undefined ? base?.wordBits : u32(longAt + 8) === 4 ? 32 : 64;
  const endian = little ? 'little' : 'big';
  /** What split BTF does not have itself, it shares with its base. */
  const find: Btf['find'] = (keyword, name) => {
    const kinds: readonly number[] = keyword === undefined ? [8, 1, 16] : KINDS[keyword];
    const id =
      search((kind) => kinds.includes(kind), name) ??
      (keyword === undefined ? search((kind) => [4, 5, 6, 19].includes(kind), name) : undefined);
    return id === undefined ? base?.find(keyword, name) : entry(id);
  };
  const enumerator = (name: string): bigint | undefined => {
    for (const at of places) {
      const kind = (u32(at + 4) >>> 24) & 0x1f;
      if (kind !== 6 && kind !== 19) continue;
      const found = enumerators(at).find(([key]) => key === name);
      if (found !== undefined) return found[1];
    }
    return base?.enumerator(name);
  };
  const [count, allText] = [first + places.length - 1, baseText + textLength];
  return {
    endian,
    wordBits,
    find,
    enumerator,
    referred(from, attribute) {
      const id = from.attributes.get(attribute);
      return typeof id === 'bigint' ? entry(Number(id)) : undefined;
    },
    base: { endian, wordBits, find, enumerator, extent, count, textLength: allText, text, entry, oldBitField },
  };
}
