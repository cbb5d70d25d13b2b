import type { ResolvedInteger, ResolvedIntegral, ResolvedSlice } from '../layout/resolved.js';

// JavaScript expressions over a DataView `v` and a byte offset, with every position and shift worked out beforehand.

/** A place: an expression for a byte offset, and bits beyond it. */
export interface Place {
  /** Expression for a byte offset. */
  readonly base: string;
  readonly bit: number;
}

const byteAt = ({ base, bit }: Place): string => {
  const at = Math.floor(bit / 8);
  return at === 0 ? base : `${base}+${at}`;
};

export const moved = (place: Place, bits: number): Place => ({ base: place.base, bit: place.bit + bits });

const hex = (value: number): string => `0x${value.toString(16)}`;
/** The lowest `width` bits (1 to 32). */
const mask = (width: number): string => hex(width === 32 ? 0xffff_ffff : 2 ** width - 1);

/** A whole number of bytes that a DataView has a method for. */
export function method(bits: number, signed: boolean): string | undefined {
  if (bits === 64) return signed ? 'BigInt64' : 'BigUint64';
  return [8, 16, 32].includes(bits) ? `${signed ? 'Int' : 'Uint'}${bits}` : undefined;
}

const little = (type: ResolvedInteger): string => (type.bits === 8 ? '' : `,${String(type.endian === 'little')}`);

/** Whether an integer can be loaded and stored at a place with one call. */
export function isDirect(type: ResolvedInteger, place: Place): boolean {
  return place.bit % 8 === 0 && type.declaredBits === undefined && method(type.bits, type.signed) !== undefined;
}

/** Up to 32 bits in at most four bytes, unsigned, most significant bit first; undefined where they span five. */
function loadMsb(place: Place, width: number): string | undefined {
  const start = place.bit % 8;
  const span = Math.ceil((start + width) / 8);
  const drop = span * 8 - start - width;
  const at = byteAt(place);
  const next = byteAt(moved(place, 16));
  const loads = [
    `v.getUint8(${at})`,
    `v.getUint16(${at})`,
    `(v.getUint16(${at})<<8|v.getUint8(${next}))`,
    `v.getUint32(${at})`,
  ];
  return cut(loads[span - 1], drop, width);
}

/** The same, least significant bit first. */
function loadLsb(place: Place, width: number): string | undefined {
  const start = place.bit % 8;
  const span = Math.ceil((start + width) / 8);
  const at = byteAt(place);
  const next = byteAt(moved(place, 16));
  const loads = [
    `v.getUint8(${at})`,
    `v.getUint16(${at},true)`,
    `(v.getUint16(${at},true)|v.getUint8(${next})<<16)`,
    `v.getUint32(${at},true)`,
  ];
  return cut(loads[span - 1], start, width);
}

function cut(load: string | undefined, drop: number, width: number): string | undefined {
  if (load === undefined) return undefined;
  const shifted = drop === 0 ? load : `${load}>>>${drop}`;
  return width === 32 ? `((${shifted})>>>0)` : `(${shifted}&${mask(width)})`;
}

/** GNU poke's little-endian order: chunks of eight bits, least significant first. */
function loadMsbLittle(place: Place, width: number): string | undefined {
  const chunks: string[] = [];
  for (let done = 0; done < width; done += 8) {
    const chunk = loadMsb(moved(place, done), Math.min(8, width - done));
    chunks.push(done === 0 ? `${chunk}` : `${chunk}<<${done}`);
  }
  return chunks.length === 1 ? chunks[0] : `((${chunks.join('|')})>>>0)`;
}

/** The bits of an integer of up to 32 bits as an unsigned number; undefined where that takes more than one load. */
export function loadRaw(type: ResolvedInteger, place: Place): string | undefined {
  if (type.bits > 32) return undefined;
  if (place.bit % 8 === 0 && method(type.bits, false) !== undefined && type.order === 'msb') {
    return `v.get${method(type.bits, false)}(${byteAt(place)}${little(type)})`;
  }
  if (type.order === 'lsb') return loadLsb(place, type.bits);
  return type.endian === 'little' ? loadMsbLittle(place, type.bits) : loadMsb(place, type.bits);
}

/** The value of an integer; undefined where only the interpreter reads it. */
export function load(type: ResolvedInteger, place: Place): string | undefined {
  if (isDirect(type, place) && !(type.wide && type.bits <= 32)) {
    return `v.get${method(type.bits, type.signed)}(${byteAt(place)}${little(type)})`;
  }
  const raw = loadRaw(type, place);
  return raw === undefined ? undefined : signedValue(type, raw);
}

function signedValue(type: ResolvedInteger, raw: string): string {
  const unused = 32 - type.bits;
  const value = type.signed ? (unused === 0 ? `(${raw}|0)` : `(${raw}<<${unused}>>${unused})`) : raw;
  return type.wide ? `BigInt(${value})` : value;
}

/** A slice of a container in memory, as an integer of its own, where it fills whole bytes; undefined where it does not. */
export function sliceInPlace(
  container: ResolvedInteger,
  place: Place,
  item: ResolvedSlice,
): { readonly type: ResolvedInteger; readonly place: Place } | undefined {
  if (item.type.kind !== 'integer' || method(item.width, false) === undefined) return undefined;
  if (place.bit % 8 !== 0 || container.bits % 8 !== 0 || container.order !== 'msb' || item.shift % 8 !== 0)
    return undefined;
  const from = container.endian === 'little' ? item.shift : container.bits - item.shift - item.width;
  return { type: { ...item.type, endian: container.endian }, place: moved(place, from) };
}

/** A slice of an unsigned number of up to 32 bits that stands in a variable. */
export function sliceOf(raw: string, bits: number, item: ResolvedSlice, type: ResolvedInteger): string {
  const shifted = item.shift === 0 ? raw : `${raw}>>>${item.shift}`;
  const part =
    item.width === 32
      ? `(${shifted})`
      : item.shift + item.width === bits
        ? `(${shifted})`
        : `(${shifted}&${mask(item.width)})`;
  return signedValue(type, part);
}

/** The halves of a 64-bit container: two words, the high one first. */
export function halves(container: ResolvedInteger, place: Place): readonly [high: string, low: string] {
  const flag = String(container.endian === 'little');
  const first = `v.getUint32(${byteAt(place)},${flag})`;
  const second = `v.getUint32(${byteAt(moved(place, 32))},${flag})`;
  return container.endian === 'little' ? [second, first] : [first, second];
}

/** The same out of the halves of 64 bits; undefined where it is in both. */
export function sliceOfHalves(
  item: ResolvedSlice,
  type: ResolvedInteger,
  high: string,
  low: string,
): string | undefined {
  if (type.wide) return undefined;
  if (item.shift >= 32) return sliceOf(high, 32, { ...item, shift: item.shift - 32 }, type);
  return item.shift + item.width <= 32 ? sliceOf(low, 32, item, type) : undefined;
}

/** A slice of a container in memory; undefined where that takes more than one load. */
export function loadSlice(container: ResolvedInteger, place: Place, item: ResolvedSlice): string | undefined {
  const direct = sliceInPlace(container, place, item);
  if (direct !== undefined) return load(direct.type, direct.place);
  if (item.type.kind !== 'integer') return undefined;
  if (container.bits === 64 && isDirect(container, place))
    return sliceOfHalves(item, item.type, ...halves(container, place));
  const raw = loadRaw(container, place);
  return raw === undefined ? undefined : sliceOf(raw, container.bits, item, item.type);
}

/** A condition that is true where the value in a variable does not fit, of whatever type it is. */
export function misfit(type: ResolvedInteger, name: string): string {
  if (type.wide) {
    return `typeof ${name}!=='bigint'||BigInt.as${type.signed ? 'Int' : 'Uint'}N(${type.bits},${name})!==${name}`;
  }
  const unused = 32 - type.bits;
  if (type.signed) return unused === 0 ? `(${name}|0)!==${name}` : `(${name}<<${unused}>>${unused})!==${name}`;
  return unused === 0 ? `(${name}>>>0)!==${name}` : `(${name}&${mask(type.bits)})!==${name}`;
}

/** A statement that stores a value that fits, where one call does it. */
export function store(type: ResolvedInteger, place: Place, value: string): string | undefined {
  if (!isDirect(type, place)) return undefined;
  const narrowed = type.wide && type.bits <= 32 ? `Number(${value})` : value;
  return `v.set${method(type.bits, type.signed)}(${byteAt(place)},${narrowed}${little(type)});`;
}

/** A run of integers that fill whole bytes together, most significant bit first: one store for each byte. */
export function storeRun(
  base: string,
  at: number,
  run: readonly { readonly bits: number; readonly value: string }[],
): string[] {
  const pieces: string[][] = [];
  let bit = 0;
  for (const { bits, value } of run) {
    for (let done = 0; done < bits;) {
      const byte = Math.floor(bit / 8);
      const room = 8 - (bit % 8);
      const count = Math.min(room, bits - done);
      // These bits end `left` bits above the end of the value and `room - count` bits above the end of the byte.
      const shift = bits - done - count - (room - count);
      const moved = shift > 0 ? `${value}>>>${shift}` : shift < 0 ? `${value}<<${-shift}` : value;
      const kept = (((1 << count) - 1) << (room - count)) & 0xff;
      (pieces[byte] ??= []).push(`(${moved})&${hex(kept)}`);
      bit += count;
      done += count;
    }
  }
  return pieces.map(
    (parts, index) => `v.setUint8(${at + index === 0 ? base : `${base}+${at + index}`},${parts.join('|')});`,
  );
}

/** The bits of an integral struct's container out of the values of its slices, up to 32 bits. */
export function joined(fields: readonly { readonly item: ResolvedSlice; readonly value: string }[]): string {
  const parts = fields.map(({ item, value }) => {
    const kept =
      item.type.kind === 'integer' && item.type.signed && item.width < 32 ? `(${value}&${mask(item.width)})` : value;
    return item.shift === 0 ? kept : `${kept}<<${item.shift}`;
  });
  return `((${parts.join('|')})>>>0)`;
}

/** The same for containers of more than 32 bits, as a bigint. */
export function joinedWide(fields: readonly { readonly item: ResolvedSlice; readonly value: string }[]): string {
  return `(${fields.map(({ item, value }) => `BigInt.asUintN(${item.width},BigInt(${value}))<<${item.shift}n`).join('|')})`;
}

/** Slices of an integral struct, those of nested ones at their place in the outermost container. */
export function flatSlices(type: ResolvedIntegral, shift = 0, path: readonly string[] = []): FlatSlice[] {
  return type.fields.flatMap((item): FlatSlice[] => {
    const inner = [...path, item.name];
    return item.type.kind === 'integral'
      ? flatSlices(item.type, shift + item.shift, inner)
      : [{ path: inner, item: { ...item, shift: shift + item.shift }, type: item.type }];
  });
}

/** A leaf of an integral struct. */
export interface FlatSlice {
  readonly path: readonly string[];
  readonly item: ResolvedSlice;
  readonly type: ResolvedInteger;
}
