import type { LayoutError } from '../layout/errors.js';
import { layoutError } from '../layout/errors.js';
import { kinds, known, type Fields } from '../layout/kinds.js';
import type { ResolvedField, ResolvedType } from '../layout/resolved.js';
import { readBits, writeBits } from './bits.js';
import { checkConstant, checkKeys, checkObject, fromBits, joinIntegral, splitIntegral, toBits } from './integers.js';
import { putInto, valueFor } from './members.js';

// Reads and writes values by walking their layout. Compiled codecs call it for what they do not compile and for the error
// of what they found wrong; where no code may be generated, it does everything.

export function byteOf(bit: number): number {
  return Math.floor(bit / 8);
}

/**
 * Reads a value that begins at a bit of the view.
 * @param around The fields of the struct around it that were read before, for a tagged union.
 */
export function readValue(type: ResolvedType, view: DataView, bit: number, path: string, around: Fields = {}): unknown {
  switch (type.kind) {
    case 'integer':
      return fromBits(type, readBits(view, bit, type.bits, type.endian, type.order));
    case 'float': {
      const bytes = readBytes(view, bit, type.bits / 8);
      const aligned = new DataView(bytes.buffer);
      const little = type.endian === 'little';
      return type.bits === 32 ? aligned.getFloat32(0, little) : aligned.getFloat64(0, little);
    }
    case 'boolean': {
      const found = readBits(view, bit, type.bits, 'big', type.order);
      if (found !== 0 && found !== 1) {
        throw layoutError('LAYOUT_VALUE', `found ${found}, expected 0 or 1`, path, byteOf(bit), found, '0 or 1');
      }
      return found === 1;
    }
    case 'bytes':
      return readBytes(view, bit, type.bits / 8);
    case 'text':
      return known(kinds.text).read(type, view, bit, path, around);
    case 'array': {
      const values: unknown[] = [];
      for (let index = 0; index < type.count; index += 1) {
        values.push(readValue(type.element, view, bit + index * type.element.bits, `${path}[${index}]`));
      }
      return values;
    }
    case 'struct': {
      const value: Record<string, unknown> = {};
      for (const item of type.fields) {
        if (item.unnamed) continue;
        const inner = `${path}.${item.name}`;
        const found = readValue(item.type, view, bit + item.bit, inner, value);
        checkConstant(item.value, found, inner, byteOf(bit + item.bit));
        putInto(value, item, found);
      }
      return value;
    }
    case 'integral': {
      const raw = readBits(view, bit, type.bits, type.container.endian, type.container.order);
      return splitIntegral(type, raw, path, byteOf(bit));
    }
    case 'union':
      return known(kinds.union).read(type, view, bit, path, around);
    case 'tagged':
      return known(kinds.tagged).read(type, view, bit, path, around);
  }
}

/** Writes a value that begins at a bit of the view; fields left out become zero or their constant. */
export function writeValue(
  type: ResolvedType,
  view: DataView,
  bit: number,
  value: unknown,
  path: string,
  around: Fields = {},
): void {
  const offset = byteOf(bit);
  switch (type.kind) {
    case 'integer':
      writeBits(
        view,
        bit,
        type.bits,
        type.endian,
        type.order,
        toBits(type, value ?? (type.wide ? 0n : 0), path, offset),
      );
      return;
    case 'float': {
      const bytes = new Uint8Array(type.bits / 8);
      const aligned = new DataView(bytes.buffer);
      const little = type.endian === 'little';
      const number = value ?? 0;
      if (typeof number !== 'number') throw wrongType(number, 'number', path, offset);
      if (type.bits === 32 && Number.isFinite(number) && !Number.isFinite(Math.fround(number))) {
        throw layoutError('LAYOUT_RANGE', `${number} does not fit f32`, path, offset, number);
      }
      if (type.bits === 32) aligned.setFloat32(0, number, little);
      else aligned.setFloat64(0, number, little);
      writeBytes(view, bit, bytes, bytes.length, path);
      return;
    }
    case 'boolean': {
      const truth = value ?? false;
      if (typeof truth !== 'boolean') throw wrongType(truth, 'boolean', path, offset);
      writeBits(view, bit, type.bits, 'big', type.order, truth ? 1 : 0);
      return;
    }
    case 'bytes': {
      const bytes = value ?? new Uint8Array(0);
      if (!(bytes instanceof Uint8Array)) throw wrongType(bytes, 'Uint8Array', path, offset);
      writeBytes(view, bit, bytes, type.bits / 8, path);
      return;
    }
    case 'text':
      known(kinds.text).write(type, view, bit, value, path, around);
      return;
    case 'array': {
      const values: unknown = value ?? [];
      if (!isList(values)) throw wrongType(values, 'array', path, offset);
      if (values.length > type.count) throw tooLong(values.length, 'elements', type.count, path, offset);
      for (let index = 0; index < type.count; index += 1) {
        const at = bit + index * type.element.bits;
        writeValue(type.element, view, at, values[index], `${path}[${index}]`);
        // Elements that were left out are all alike.
        if (index >= values.length && repeat(view, at, type.element.bits, type.count - index)) return;
      }
      return;
    }
    case 'struct': {
      const given = checkObject(value ?? {}, path, offset);
      const filled = type.fields.some((item) => item.type.kind === 'tagged')
        ? known(kinds.tagged).fill(type.fields, given, path, offset)
        : given;
      checkKeys(type.fields, filled, path, offset);
      for (const item of type.fields) {
        const inner = `${path}.${item.name}`;
        if (item.unnamed) continue;
        const chosen = valueFor(item, filled) ?? item.value;
        if (item.value !== undefined) checkConstant(item.value, chosen, inner, byteOf(bit + item.bit));
        writeValue(item.type, view, bit + item.bit, chosen, inner, filled);
      }
      return;
    }
    case 'integral': {
      const raw = joinIntegral(type, value ?? {}, path, offset);
      writeBits(view, bit, type.bits, type.container.endian, type.container.order, raw);
      return;
    }
    case 'union':
      known(kinds.union).write(type, view, bit, value, path, around);
      return;
    case 'tagged':
      known(kinds.tagged).write(type, view, bit, value, path, around);
  }
}

/** Copies what was written to where it must stand `count` times. Returns whether it lies on bytes, as that needs. */
function repeat(view: DataView, bit: number, bits: number, count: number): boolean {
  if (bit % 8 !== 0 || bits % 8 !== 0) return false;
  const memory = new Uint8Array(view.buffer, view.byteOffset + bit / 8, (bits / 8) * count);
  for (let done = bits / 8; done < memory.length; done *= 2) memory.copyWithin(done, 0, done);
  return true;
}

/** The value of an all-zero memory, with constants filled in. */
export function zeroValue(type: ResolvedType): unknown {
  switch (type.kind) {
    case 'integer':
      return type.wide ? 0n : 0;
    case 'bytes':
      return new Uint8Array(type.bits / 8);
    case 'array':
      return Array.from({ length: type.count }, () => zeroValue(type.element));
    case 'struct':
      if (type.fields.some((item) => item.type.kind === 'tagged')) break;
      return zeroFields(type.fields.filter((item) => !item.unnamed));
    case 'integral':
      return zeroFields(type.fields);
    default:
      break;
  }
  const view = new DataView(new ArrayBuffer(Math.ceil(type.bits / 8)));
  writeValue(type, view, 0, undefined, 'zero');
  return readValue(type, view, 0, 'zero');
}

type Zeroed = Pick<ResolvedField, 'name' | 'type' | 'value' | 'anonymous'>;

function zeroFields(fields: readonly Zeroed[]): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const item of fields) putInto(value, item, item.value ?? zeroValue(item.type));
  return value;
}

export function readBytes(view: DataView, bit: number, count: number): Uint8Array<ArrayBuffer> {
  if (bit % 8 === 0) return new Uint8Array(new Uint8Array(view.buffer, view.byteOffset + bit / 8, count));
  return Uint8Array.from({ length: count }, (_, index) => Number(readBits(view, bit + index * 8, 8, 'big', 'msb')));
}

export function writeBytes(view: DataView, bit: number, bytes: Uint8Array, count: number, path: string): void {
  if (bytes.byteLength > count) throw tooLong(bytes.byteLength, 'bytes', count, path, byteOf(bit));
  if (bit % 8 === 0) {
    const memory = new Uint8Array(view.buffer, view.byteOffset + bit / 8, count);
    memory.set(bytes);
    memory.fill(0, bytes.length);
    return;
  }
  for (let index = 0; index < count; index += 1) writeBits(view, bit + index * 8, 8, 'big', 'msb', bytes[index] ?? 0);
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

export function wrongType(value: unknown, expected: string, path: string, offset: number): LayoutError {
  const found = value === null ? 'null' : typeof value;
  return layoutError('LAYOUT_VALUE', `found ${found}, expected ${expected}`, path, offset, value, expected);
}

function tooLong(found: number, what: string, expected: number, path: string, offset: number): LayoutError {
  return layoutError('LAYOUT_RANGE', `${found} ${what} do not fit ${expected}`, path, offset, found, expected);
}
