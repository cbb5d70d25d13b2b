import { LayoutError } from './errors.js';
import type { LayoutType } from './types.js';

/** One field as its author writes it. */
export interface FieldSpec<T = unknown> {
  readonly type: LayoutType<T>;
  /** Byte offset that the author claims; checked against the computed one. */
  readonly at: number;
  readonly doc: string;
  /** A value that the field must always have (a magic, a zero padding). Encoders fill it in, decoders check it. */
  readonly value?: T;
}

/** One field with its place resolved. */
export interface ResolvedField {
  readonly name: string;
  readonly type: LayoutType<unknown>;
  /** Byte offset from the start of the struct. */
  readonly offset: number;
  readonly doc: string;
  /** The value that the field must have, where it is constant. */
  readonly value: number | bigint | undefined;
}

type FieldSpecs = Readonly<Record<string, FieldSpec<never>>>;
type FieldValue<F> = F extends { readonly type: LayoutType<infer T> } ? T : never;

/** The decoded form of a struct. */
export type StructValue<F> = { -readonly [K in keyof F]: FieldValue<F[K]> };

/** A struct: named fields at checked offsets, with a checked total size. */
export interface StructType<V> extends LayoutType<V> {
  readonly kind: 'struct';
  readonly name: string;
  readonly doc: string;
  readonly fields: readonly ResolvedField[];
  /** Byte offset of a field. */
  offsetOf(field: keyof V & string): number;
  /**
   * Decodes one struct from `bytes` at `offset` (bytes).
   * @throws LayoutError `LAYOUT_TRUNCATED` when the bytes end too early, `LAYOUT_VALUE` when a constant field differs.
   */
  decode(bytes: Uint8Array, offset?: number): V;
  /**
   * Encodes `value`; fields left out become zero or their constant.
   * @throws LayoutError `LAYOUT_RANGE` when a value does not fit its field.
   */
  encode(value: Partial<V>): Uint8Array;
}

/** Declares a field of a struct: its type, the offset it must have, and what it means. */
export function field<T>(type: LayoutType<T>, at: number, doc: string, value?: T): FieldSpec<T> {
  return value === undefined ? { type, at, doc } : { type, at, doc, value };
}

function alignUp(value: number, align: number): number {
  return Math.ceil(value / align) * align;
}

function constantValue(path: string, spec: FieldSpec<never>): number | bigint | undefined {
  const value: unknown = spec.value;
  if (value === undefined || typeof value === 'number' || typeof value === 'bigint') {
    return value;
  }
  throw new LayoutError('LAYOUT_VALUE', 'only integer fields can be constant', { path, offset: spec.at });
}

function resolveFields(name: string, specs: FieldSpecs): readonly ResolvedField[] {
  let end = 0;
  return Object.entries<FieldSpec<never>>(specs).map(([fieldName, spec]) => {
    const path = `${name}.${fieldName}`;
    if (!/^[a-z][a-z0-9_]*$/.test(fieldName)) {
      throw new LayoutError('LAYOUT_NAME', 'field names are snake_case', {
        path,
        offset: spec.at,
        found: fieldName,
        expected: '[a-z][a-z0-9_]*',
      });
    }
    const computed = alignUp(end, spec.type.align);
    if (computed !== spec.at || computed !== end) {
      throw new LayoutError(
        'LAYOUT_OFFSET',
        `declared at ${spec.at}, but the fields before it end at ${end} and its alignment is ${spec.type.align}; ` +
          'declare the padding or mend the offset',
        { path, offset: spec.at, found: spec.at, expected: computed },
      );
    }
    end = computed + spec.type.size;
    return {
      name: fieldName,
      type: spec.type,
      offset: computed,
      doc: spec.doc,
      value: constantValue(path, spec),
    };
  });
}

/**
 * Defines a struct. Every offset and the total size are stated by the author and checked here, so that a slip in the
 * description is an error when the module loads, not a wrong byte later.
 * @param size Total size in bytes.
 * @throws LayoutError naming the field, what was declared and what was computed.
 */
export function defineStruct<const F extends Readonly<Record<string, unknown>>>(
  name: string,
  size: number,
  doc: string,
  specs: F & { readonly [K in keyof F]: FieldSpec<FieldValue<F[K]>> },
): StructType<StructValue<F>> {
  type Value = StructValue<F>;
  const fields = resolveFields(name, specs as unknown as FieldSpecs);
  const last = fields.at(-1);
  const end = last === undefined ? 0 : last.offset + last.type.size;
  const align = fields.reduce((most, item) => Math.max(most, item.type.align), 1);
  if (end !== size || size % align !== 0) {
    throw new LayoutError('LAYOUT_SIZE', `declared ${size} bytes, the fields need ${alignUp(end, align)}`, {
      path: name,
      offset: end,
      found: size,
      expected: alignUp(end, align),
    });
  }

  const read = (view: DataView, offset: number, path: string): Value => {
    const value: Record<string, unknown> = {};
    for (const item of fields) {
      const found = item.type.read(view, offset + item.offset, `${path}.${item.name}`);
      if (item.value !== undefined && found !== item.value) {
        throw new LayoutError('LAYOUT_VALUE', `found ${String(found)}, expected ${String(item.value)}`, {
          path: `${path}.${item.name}`,
          offset: offset + item.offset,
          found,
          expected: item.value,
        });
      }
      value[item.name] = found;
    }
    return value as Value;
  };

  const write = (view: DataView, offset: number, value: Partial<Value>, path: string): void => {
    const given: Readonly<Record<string, unknown>> = value;
    for (const item of fields) {
      const fallback = item.value ?? item.type.zero();
      const chosen = given[item.name] ?? fallback;
      if (item.value !== undefined && chosen !== item.value) {
        throw new LayoutError('LAYOUT_VALUE', `is constant: found ${String(chosen)}, expected ${String(item.value)}`, {
          path: `${path}.${item.name}`,
          offset: offset + item.offset,
          found: chosen,
          expected: item.value,
        });
      }
      item.type.write(view, offset + item.offset, chosen, `${path}.${item.name}`);
    }
  };

  return {
    kind: 'struct',
    name,
    doc,
    size,
    align,
    fields,
    read,
    write,
    zero: () => {
      const value: Record<string, unknown> = {};
      for (const item of fields) {
        value[item.name] = item.value ?? item.type.zero();
      }
      return value as Value;
    },
    offsetOf(fieldName) {
      const found = fields.find((item) => item.name === fieldName);
      if (found === undefined) {
        throw new LayoutError('LAYOUT_NAME', 'no such field', { path: `${name}.${fieldName}`, offset: 0 });
      }
      return found.offset;
    },
    decode(source, offset = 0) {
      if (offset < 0 || offset + size > source.byteLength) {
        throw new LayoutError('LAYOUT_TRUNCATED', `needs ${size} bytes, ${source.byteLength - offset} are there`, {
          path: name,
          offset,
          found: source.byteLength - offset,
          expected: size,
        });
      }
      return read(new DataView(source.buffer, source.byteOffset, source.byteLength), offset, name);
    },
    encode(value) {
      const target = new Uint8Array(size);
      write(new DataView(target.buffer), 0, value, name);
      return target;
    },
  };
}
