import { LayoutError } from './errors.js';

/**
 * A type that has a fixed size in memory.
 *
 * `T` is the value that TypeScript code sees: `number` up to 32 bits, `bigint` for 64,
 * `Uint8Array` for byte strings. All numbers are little endian (the ABI has one byte order).
 */
export interface LayoutType<T> {
  readonly kind: 'integer' | 'bytes' | 'array' | 'struct';
  /** Size in bytes. */
  readonly size: number;
  /** Natural alignment in bytes (System V x86-64 psABI, "Scalar Types"). */
  readonly align: number;
  read(view: DataView, offset: number, path: string): T;
  write(view: DataView, offset: number, value: T, path: string): void;
  /** The value of an all-zero memory, used for fields that an encoder's caller left out. */
  zero(): T;
}

/** The TypeScript value type of a layout type. */
export type ValueOf<L> = L extends LayoutType<infer T> ? T : never;

/** An integer of 8 to 64 bits. */
export interface IntegerType<T extends number | bigint> extends LayoutType<T> {
  readonly kind: 'integer';
  readonly bits: 8 | 16 | 32 | 64;
  readonly signed: boolean;
}

/** A fixed number of raw bytes. */
export interface BytesType extends LayoutType<Uint8Array> {
  readonly kind: 'bytes';
}

/** A fixed number of elements of one type, without gaps. */
export interface ArrayType<T> extends LayoutType<readonly T[]> {
  readonly kind: 'array';
  readonly element: LayoutType<T>;
  readonly count: number;
}

function narrow(bits: 8 | 16 | 32, signed: boolean): IntegerType<number> {
  const size = bits / 8;
  const low = signed ? -(2 ** (bits - 1)) : 0;
  const high = signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
  return {
    kind: 'integer',
    bits,
    signed,
    size,
    align: size,
    zero: () => 0,
    read(view, offset) {
      switch (bits) {
        case 8:
          return signed ? view.getInt8(offset) : view.getUint8(offset);
        case 16:
          return signed ? view.getInt16(offset, true) : view.getUint16(offset, true);
        case 32:
          return signed ? view.getInt32(offset, true) : view.getUint32(offset, true);
      }
    },
    write(view, offset, value, path) {
      if (!Number.isInteger(value) || value < low || value > high) {
        throw new LayoutError('LAYOUT_RANGE', `${value} does not fit ${signed ? 'i' : 'u'}${bits}`, {
          path,
          offset,
          found: value,
          expected: `${low}..${high}`,
        });
      }
      switch (bits) {
        case 8:
          view.setUint8(offset, value & 0xff);
          return;
        case 16:
          view.setUint16(offset, value & 0xffff, true);
          return;
        case 32:
          view.setUint32(offset, value >>> 0, true);
      }
    },
  };
}

function wide(signed: boolean): IntegerType<bigint> {
  const low = signed ? -(2n ** 63n) : 0n;
  const high = signed ? 2n ** 63n - 1n : 2n ** 64n - 1n;
  return {
    kind: 'integer',
    bits: 64,
    signed,
    size: 8,
    align: 8,
    zero: () => 0n,
    read: (view, offset) => (signed ? view.getBigInt64(offset, true) : view.getBigUint64(offset, true)),
    write(view, offset, value, path) {
      if (typeof value !== 'bigint' || value < low || value > high) {
        throw new LayoutError('LAYOUT_RANGE', `${String(value)} does not fit ${signed ? 'i' : 'u'}64`, {
          path,
          offset,
          found: value,
          expected: `${low}..${high}`,
        });
      }
      view.setBigUint64(offset, BigInt.asUintN(64, value), true);
    },
  };
}

export const u8: IntegerType<number> = narrow(8, false);
export const u16: IntegerType<number> = narrow(16, false);
export const u32: IntegerType<number> = narrow(32, false);
export const i32: IntegerType<number> = narrow(32, true);
export const u64: IntegerType<bigint> = wide(false);
export const i64: IntegerType<bigint> = wide(true);

/**
 * `count` raw bytes. Shorter values are zero-filled on encoding, longer ones refused.
 * Decoding copies, so the result does not change with the memory it came from.
 */
export function bytes(count: number): BytesType {
  return {
    kind: 'bytes',
    size: count,
    align: 1,
    zero: () => new Uint8Array(count),
    read: (view, offset) => new Uint8Array(view.buffer, view.byteOffset + offset, count).slice(),
    write(view, offset, value, path) {
      if (value.byteLength > count) {
        throw new LayoutError('LAYOUT_RANGE', `${value.byteLength} bytes do not fit ${count}`, {
          path,
          offset,
          found: value.byteLength,
          expected: count,
        });
      }
      const target = new Uint8Array(view.buffer, view.byteOffset + offset, count);
      target.fill(0);
      target.set(value);
    },
  };
}

/** `count` elements of `element`, without gaps. Fewer values are zero-filled on encoding, more refused. */
export function array<T>(element: LayoutType<T>, count: number): ArrayType<T> {
  return {
    kind: 'array',
    element,
    count,
    size: element.size * count,
    align: element.align,
    zero: () => Array.from({ length: count }, () => element.zero()),
    read: (view, offset, path) =>
      Array.from({ length: count }, (_, index) =>
        element.read(view, offset + index * element.size, `${path}[${index}]`),
      ),
    write(view, offset, value, path) {
      if (value.length > count) {
        throw new LayoutError('LAYOUT_RANGE', `${value.length} elements do not fit ${count}`, {
          path,
          offset,
          found: value.length,
          expected: count,
        });
      }
      for (let index = 0; index < count; index += 1) {
        const item = value[index];
        element.write(
          view,
          offset + index * element.size,
          item === undefined ? element.zero() : item,
          `${path}[${index}]`,
        );
      }
    },
  };
}
