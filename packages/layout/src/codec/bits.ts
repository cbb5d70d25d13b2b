import type { BitOrder } from '../layout/resolved.js';
import type { Endian } from '../layout/target.js';

// All positions are bits from the start of the view. Sums stay below 2^45, so they are exact as numbers.

/** Reads up to 32 bits, the first of them the most significant. */
function readMsb(view: DataView, bit: number, width: number): number {
  const first = Math.floor(bit / 8);
  const end = bit + width;
  const last = Math.ceil(end / 8);
  let sum = 0;
  for (let at = first; at < last; at += 1) sum = sum * 256 + view.getUint8(at);
  return Math.floor(sum / 2 ** (last * 8 - end)) % 2 ** width;
}

/**
 * Reads up to 32 bits as GNU poke reads a little-endian integer from any bit: whole bytes least significant first, the
 * bits that are left over most significant.
 */
function readMsbLittle(view: DataView, bit: number, width: number): number {
  let sum = 0;
  for (let done = 0; done < width; done += 8) {
    sum += readMsb(view, bit + done, Math.min(8, width - done)) * 2 ** done;
  }
  return sum;
}

/** Reads up to 32 bits, the first of them the least significant. */
function readLsb(view: DataView, bit: number, width: number): number {
  const first = Math.floor(bit / 8);
  let sum = 0;
  for (let at = Math.ceil((bit + width) / 8) - 1; at >= first; at -= 1) sum = sum * 256 + view.getUint8(at);
  return Math.floor(sum / 2 ** (bit % 8)) % 2 ** width;
}

/** Reads an unsigned integer of 1 to 64 bits: a `number` up to 32 bits, a `bigint` above. */
export function readBits(view: DataView, bit: number, width: number, endian: Endian, order: BitOrder): number | bigint {
  if (bit % 8 === 0 && order === 'msb') {
    // What lies on bytes, as nearly all integers do, is read at once.
    const [at, little] = [bit / 8, endian === 'little'];
    if (width === 32) return view.getUint32(at, little);
    if (width === 64) return view.getBigUint64(at, little);
    if (width === 8) return view.getUint8(at);
    if (width === 16) return view.getUint16(at, little);
  }
  const read = order === 'lsb' ? readLsb : endian === 'little' ? readMsbLittle : readMsb;
  if (width <= 32) return read(view, bit, width);
  const rest = width - 32;
  const high = read(view, order === 'msb' && endian === 'big' ? bit : bit + 32, rest);
  const low = read(view, order === 'msb' && endian === 'big' ? bit + rest : bit, 32);
  return (BigInt(high) << 32n) | BigInt(low);
}

function writeMsb(view: DataView, bit: number, width: number, value: number): void {
  // Each step writes the bits that lie in one byte, the last byte first.
  let rest = value;
  let left = width;
  while (left > 0) {
    const end = bit + left;
    const at = Math.ceil(end / 8) - 1;
    const below = (at + 1) * 8 - end;
    const count = Math.min(left, 8 - below);
    const mask = ((1 << count) - 1) << below;
    view.setUint8(at, (view.getUint8(at) & ~mask) | (((rest % 2 ** count) << below) & mask));
    rest = Math.floor(rest / 2 ** count);
    left -= count;
  }
}

function writeMsbLittle(view: DataView, bit: number, width: number, value: number): void {
  for (let done = 0; done < width; done += 8) {
    const count = Math.min(8, width - done);
    writeMsb(view, bit + done, count, Math.floor(value / 2 ** done) % 2 ** count);
  }
}

function writeLsb(view: DataView, bit: number, width: number, value: number): void {
  let rest = value;
  for (let done = 0; done < width;) {
    const at = Math.floor((bit + done) / 8);
    const below = (bit + done) % 8;
    const count = Math.min(width - done, 8 - below);
    const mask = ((1 << count) - 1) << below;
    view.setUint8(at, (view.getUint8(at) & ~mask) | (((rest % 2 ** count) << below) & mask));
    rest = Math.floor(rest / 2 ** count);
    done += count;
  }
}

/** Writes an unsigned integer of 1 to 64 bits; the bits beside it stay. */
export function writeBits(
  view: DataView,
  bit: number,
  width: number,
  endian: Endian,
  order: BitOrder,
  value: number | bigint,
): void {
  if (bit % 8 === 0 && order === 'msb') {
    const [at, little] = [bit / 8, endian === 'little'];
    if (width === 32) {
      view.setUint32(at, Number(value), little);
      return;
    }
    if (width === 64) {
      view.setBigUint64(at, BigInt(value), little);
      return;
    }
    if (width === 8) {
      view.setUint8(at, Number(value));
      return;
    }
    if (width === 16) {
      view.setUint16(at, Number(value), little);
      return;
    }
  }
  const write = order === 'lsb' ? writeLsb : endian === 'little' ? writeMsbLittle : writeMsb;
  if (width <= 32) {
    write(view, bit, width, Number(value));
    return;
  }
  const rest = width - 32;
  const high = Number(BigInt(value) >> 32n);
  const low = Number(BigInt(value) & 0xffff_ffffn);
  write(view, order === 'msb' && endian === 'big' ? bit : bit + 32, rest, high);
  write(view, order === 'msb' && endian === 'big' ? bit + rest : bit, 32, low);
}
