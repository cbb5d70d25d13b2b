import type { Codec } from '../codec/codec.js';
import { codec } from '../codec/compiled.js';
import { viewOf } from '../codec/in-place.js';
import { readValue } from '../codec/interpret.js';
import { checkRoom, viewOf as dataViewOf, type Memory } from '../codec/memory.js';
import type { View } from '../codec/views.js';
import { LayoutError } from './errors.js';
import { resolve } from './resolve.js';
import type { ResolvedField, ResolvedStruct } from './resolved.js';
import { struct, type FieldSpec, type Struct, type StructValue } from './struct.js';
import { x86_64 } from './target.js';

/** A struct that is the same everywhere: little endian, every offset and the size stated by its author and checked. */
export type FixedStruct<V> = Struct<V> &
  Pick<Codec<V>, 'decode' | 'encode' | 'zero'> & {
    /** The struct in place. */
    readonly view: (memory: Memory, offset?: number) => View<V>;
    /**
     * Decodes some of the fields, for a struct that is much larger than what is needed of it. Nothing is compiled: what
     * reads the same fields of many structs has a `view`.
     * @throws LayoutError as `decode` does, `LAYOUT_NAME` for a name that no field has.
     */
    decodeFields<K extends keyof V & string>(memory: Memory, names: readonly K[], offset?: number): Pick<V, K>;
    /** Bytes. */
    readonly size: number;
    /** Fields with their places. */
    readonly layout: readonly ResolvedField[];
    /** Byte offset of a field. @throws LayoutError `LAYOUT_NAME` when there is none of this name. */
    offsetOf(field: keyof V & string): number;
  };

/**
 * Defines a struct of a binary interface or a file format. Every offset and the total size are stated and checked here,
 * and all padding is declared, so that a slip in the description is an error when the module loads, not a wrong byte later.
 * @param size Total size in bytes.
 * @throws LayoutError naming the field, what was declared and what was computed.
 */
export function defineStruct<const F extends Readonly<Record<string, FieldSpec>>>(
  name: string,
  size: number,
  doc: string,
  specs: F,
): FixedStruct<StructValue<F>> {
  const { defined, check } = deferred(name, size, doc, () => specs);
  check();
  return defined;
}

/**
 * As {@link defineStruct}, but put together and checked when it is used first, for a program that loads many structs and uses
 * few. Whoever defines one so has a test that uses each.
 * @param specs gives its fields, and is called once
 */
export function deferStruct<const F extends Readonly<Record<string, FieldSpec>>>(
  name: string,
  size: number,
  doc: string,
  specs: () => F,
): FixedStruct<StructValue<F>> {
  return deferred(name, size, doc, specs).defined;
}

function deferred<const F extends Readonly<Record<string, FieldSpec>>>(
  name: string,
  size: number,
  doc: string,
  specs: () => F,
): { readonly defined: FixedStruct<StructValue<F>>; readonly check: () => void } {
  let description: Struct<StructValue<F>> | undefined;
  const described = (): Struct<StructValue<F>> =>
    (description ??= struct<F>(name, specs(), { doc, size, explicit: true }));
  let made: Made<StructValue<F>> | undefined;
  const make = (): Made<StructValue<F>> =>
    (made ??= { codec: codec(described(), x86_64), layout: resolve(described(), x86_64) });
  const fieldOf = (fieldName: string): ResolvedField => {
    const found = make().layout.fields.find((item) => item.name === fieldName);
    if (found !== undefined) return found;
    throw new LayoutError('LAYOUT_NAME', 'no such field', {
      path: `${name}.${fieldName}`,
      offset: 0,
      found: fieldName,
    });
  };
  const defined: FixedStruct<StructValue<F>> = {
    kind: 'struct',
    name,
    doc,
    packing: 'natural',
    // Looking at every field of every struct takes longer than all that most programs do with the few that they use.
    get fields() {
      return described().fields;
    },
    size,
    align: undefined,
    explicit: true,
    tail: undefined,
    get layout() {
      return make().layout.fields;
    },
    decode: (...where) => make().codec.decode(...where),
    encode: (value) => make().codec.encode(value),
    zero: () => make().codec.zero(),
    view: (memory, offset) => viewOf(make().codec, memory, offset),
    decodeFields(memory, names, offset = 0) {
      const view = dataViewOf(memory);
      checkRoom(view, offset, size * 8, name);
      const some = { ...make().layout, fields: names.map(fieldOf) };
      return readValue(some, view, offset * 8, name) as Pick<StructValue<F>, (typeof names)[number]>;
    },
    offsetOf: (fieldName) => fieldOf(fieldName).offset,
  };
  return { defined, check: make };
}

interface Made<V> {
  readonly codec: Codec<V>;
  readonly layout: ResolvedStruct;
}
