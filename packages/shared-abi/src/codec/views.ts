import { LayoutError } from '../layout/errors.js';
import {
  byteSize,
  type ResolvedArray,
  type ResolvedIntegral,
  type ResolvedStruct,
  type ResolvedType,
  type ResolvedUnion,
} from '../layout/resolved.js';
import { load } from './expressions.js';
import { mayGenerate } from './generate.js';
import { readValue, writeValue } from './interpret.js';

/**
 * Fields in place: reading one reads the memory, assigning one writes it. Nested structs are views too, arrays are
 * {@link ArrayView}s, byte strings are windows of the memory. Constants are not checked.
 */
export type View<T> = T extends number | bigint | boolean | string | Uint8Array
  ? T
  : T extends readonly (infer E)[]
    ? ArrayView<E>
    : { -readonly [K in keyof T]: View<T[K]> };

/** Elements in place. */
export interface ArrayView<T> extends Iterable<View<T>> {
  readonly length: number;
  /** One element. @throws LayoutError `LAYOUT_RANGE` outside the array. */
  at(index: number): View<T>;
  /** Writes one element. @throws LayoutError `LAYOUT_RANGE` outside the array, and what encoding the element throws. */
  set(index: number, value: T): void;
}

type Composite = ResolvedStruct | ResolvedIntegral | ResolvedUnion;
type Construct = (view: DataView, offset: number) => unknown;

/** Something that stands for a value in memory: built once for a type and a bit within its first byte. */
const constructors = new WeakMap<ResolvedType, Map<number, Construct>>();

/** The view of a value that begins at `bit` (0 to 7) of a byte. */
export function viewer(type: ResolvedType, bit = 0): Construct {
  const known = constructors.get(type)?.get(bit);
  if (known !== undefined) return known;
  const made = makeViewer(type, bit);
  const perBit = constructors.get(type) ?? new Map<number, Construct>();
  perBit.set(bit, made);
  constructors.set(type, perBit);
  return made;
}

function makeViewer(type: ResolvedType, bit: number): Construct {
  switch (type.kind) {
    case 'struct':
    case 'integral':
    case 'union':
      return compositeViewer(type, bit);
    case 'array':
      return (view, offset) => new ElementsView(type, view, offset * 8 + bit);
    case 'bytes':
      return bit === 0
        ? (view, offset) => new Uint8Array(view.buffer, view.byteOffset + offset, byteSize(type))
        : (view, offset) => readValue(type, view, offset * 8 + bit, '');
    default:
      return (view, offset) => readValue(type, view, offset * 8 + bit, '');
  }
}

interface Member {
  readonly name: string;
  readonly type: ResolvedType;
  readonly get: Construct;
  readonly set: (view: DataView, offset: number, value: unknown) => void;
  /** An expression that reads it, where there is one. */
  readonly expression: string | undefined;
}

function members(type: Composite, bit: number): Member[] {
  if (type.kind === 'integral') {
    // A slice has no address of its own: the container is read and split, or written with one part changed.
    const read = (view: DataView, offset: number): Record<string, unknown> =>
      readValue(type, view, offset * 8 + bit, type.name) as Record<string, unknown>;
    return type.fields.map((item) => ({
      name: item.name,
      type: item.type,
      get: (view, offset) => read(view, offset)[item.name],
      set: (view, offset, value) => {
        writeValue(type, view, offset * 8 + bit, { ...read(view, offset), [item.name]: value }, type.name);
      },
      expression: undefined,
    }));
  }
  const fields = type.kind === 'struct' ? type.fields : type.arms;
  return fields
    .filter((item) => !item.unnamed)
    .map((item) => {
      const at = bit + item.bit;
      const byte = Math.floor(at / 8);
      const inner = item.type.kind === 'tagged' ? undefined : viewer(item.type, at % 8);
      const around = (view: DataView, offset: number): Record<string, unknown> =>
        readValue(type, view, offset * 8 + bit, type.name) as Record<string, unknown>;
      return {
        name: item.name,
        type: item.type,
        get:
          inner === undefined
            ? (view, offset) => around(view, offset)[item.name]
            : (view, offset) => inner(view, offset + byte),
        set: (view, offset, value) => {
          const given = item.type.kind === 'tagged' ? around(view, offset) : {};
          writeValue(item.type, view, offset * 8 + at, value, `${type.name}.${item.name}`, given);
        },
        expression:
          item.type.kind === 'integer'
            ? load(item.type, { base: 'this.#o', bit: at })?.replaceAll(/\bv\./g, 'this.#v.')
            : undefined,
      };
    });
}

function compositeViewer(type: Composite, bit: number): Construct {
  const parts = members(type, bit);
  if (mayGenerate()) return generatedViewer(parts);
  const viewOf = new WeakMap<object, readonly [DataView, number]>();
  const placeOf = (self: object): readonly [DataView, number] =>
    viewOf.get(self) ?? [new DataView(new ArrayBuffer(0)), 0];
  const prototype = Object.create(null) as object;
  for (const part of parts) {
    Object.defineProperty(prototype, part.name, {
      enumerable: true,
      get(this: object) {
        return part.get(...placeOf(this));
      },
      set(this: object, value: unknown) {
        part.set(...placeOf(this), value);
      },
    });
  }
  return (view, offset) => {
    const self = Object.create(prototype) as object;
    viewOf.set(self, [view, offset]);
    return self;
  };
}

function generatedViewer(parts: readonly Member[]): Construct {
  const lines = parts.map(
    ({ name, expression }, index) =>
      `get ${name}(){return ${expression ?? `G[${index}].get(this.#v,this.#o)`}}` +
      `set ${name}(x){G[${index}].set(this.#v,this.#o,x)}`,
  );
  const body = `'use strict';class View{#v;#o;constructor(v,o){this.#v=v;this.#o=o}${lines.join('')}}return (v,o)=>new View(v,o)`;
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- compiled accessors; names are checked identifiers
  return (new Function('G', body) as (parts: readonly Member[]) => Construct)(parts);
}

/** Elements of any type one behind the other, at any bit. */
export class ElementsView implements ArrayView<unknown> {
  readonly length: number;
  readonly #type: ResolvedArray;
  readonly #view: DataView;
  readonly #bit: number;

  constructor(type: ResolvedArray, view: DataView, bit: number) {
    this.#type = type;
    this.#view = view;
    this.#bit = bit;
    this.length = type.count;
  }

  #place(index: number): number {
    if (!Number.isInteger(index) || index < 0 || index >= this.length) {
      throw new LayoutError('LAYOUT_RANGE', `found index ${index}, expected 0 to ${this.length - 1}`, {
        path: `[${index}]`,
        offset: Math.floor(this.#bit / 8),
        found: index,
        expected: `0..${this.length - 1}`,
      });
    }
    return this.#bit + index * this.#type.element.bits;
  }

  at(index: number): never {
    const bit = this.#place(index);
    return viewer(this.#type.element, bit % 8)(this.#view, Math.floor(bit / 8)) as never;
  }

  set(index: number, value: unknown): void {
    writeValue(this.#type.element, this.#view, this.#place(index), value, `[${index}]`);
  }

  *[Symbol.iterator](): Generator<never> {
    for (let index = 0; index < this.length; index += 1) yield this.at(index);
  }
}
