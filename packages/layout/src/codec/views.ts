import { LayoutError } from '../layout/errors.js';
import {
  byteSize,
  type ResolvedInteger,
  type ResolvedIntegral,
  type ResolvedStruct,
  type ResolvedType,
  type ResolvedUnion,
} from '../layout/resolved.js';
import { load, loadSlice, type Place } from './expressions.js';
import { mayGenerate } from './runtime.js';
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
/** Makes what stands for a value in memory; of an array's view, `count` is the number of elements. */
type Construct = (view: DataView, offset: number, count?: number) => unknown;

type Makers = WeakMap<ResolvedType, Construct[]>;
const values: Makers = new WeakMap();
const lists: Makers = new WeakMap();

/** What makes views is built once for a type and a bit (0 to 7) within the first byte. */
function once(makers: Makers, type: ResolvedType, bit: number, make: (type: ResolvedType, bit: number) => Construct) {
  const perBit = makers.get(type) ?? [];
  makers.set(type, perBit);
  return (perBit[bit] ??= make(type, bit));
}

/** The view of a value that begins at `bit` (0 to 7) of a byte. */
export function viewer(type: ResolvedType, bit = 0): Construct {
  return once(values, type, bit, makeViewer);
}

/** The view of elements one behind the other, the first at `bit` (0 to 7) of a byte. */
export function listViewer(element: ResolvedType, bit = 0): Construct {
  return once(lists, element, bit, makeListViewer);
}

function makeViewer(type: ResolvedType, bit: number): Construct {
  switch (type.kind) {
    case 'struct':
    case 'integral':
    case 'union':
      return compositeViewer(type, bit);
    case 'array': {
      const make = listViewer(type.element, bit);
      return (view, offset) => make(view, offset, type.count);
    }
    default:
      return type.kind === 'bytes' && bit === 0
        ? (view, offset) => new Uint8Array(view.buffer, view.byteOffset + offset, byteSize(type))
        : (view, offset) => readValue(type, view, offset * 8 + bit, '');
  }
}

interface Member {
  readonly name: string;
  readonly get: Construct;
  readonly set: (view: DataView, offset: number, value: unknown) => void;
  /** An expression over `v` and `o` that reads it, where there is one; `g` is called for what has a view of its own. */
  readonly expression: string | undefined;
  readonly inner?: Construct | undefined;
}

function members(type: Composite, bit: number): Member[] {
  const around = (view: DataView, offset: number): Record<string, unknown> =>
    readValue(type, view, offset * 8 + bit, type.name) as Record<string, unknown>;
  if (type.kind === 'integral') {
    // A slice has no address of its own: the container is read and split, or written with one part changed.
    return type.fields.map((item) => ({
      name: item.name,
      get: (view, offset) => around(view, offset)[item.name],
      set: (view, offset, value) => {
        writeValue(type, view, offset * 8 + bit, { ...around(view, offset), [item.name]: value }, type.name);
      },
      expression: loadSlice(type.container, { base: 'o', bit }, item),
    }));
  }
  const fields = type.kind === 'struct' ? type.fields : type.arms;
  return fields
    .filter((item) => !item.unnamed)
    .flatMap((item) => {
      const at = bit + item.bit;
      if (item.anonymous === true) return members(item.type as Composite, at);
      const byte = Math.floor(at / 8);
      const inner = item.type.kind === 'tagged' ? undefined : viewer(item.type, at % 8);
      return {
        name: item.name,
        get:
          inner === undefined
            ? (view, offset) => around(view, offset)[item.name]
            : (view, offset) => inner(view, offset + byte),
        set: (view, offset, value) => {
          const given = item.type.kind === 'tagged' ? around(view, offset) : {};
          writeValue(item.type, view, offset * 8 + at, value, `${type.name}.${item.name}`, given);
        },
        inner,
        expression:
          (item.type.kind === 'integer' ? loadTruncated(item.type, { base: 'o', bit: at }) : undefined) ??
          (inner === undefined ? undefined : `g(v,o+${byte})`),
      };
    });
}

/** An engine that is told a second time that 64 bits are all there is need not allocate a bigint to compare it. */
function loadTruncated(type: ResolvedInteger, place: Place): string | undefined {
  const expression = load(type, place);
  return type.bits < 64 || expression === undefined
    ? expression
    : `BigInt.as${type.signed ? 'Int' : 'Uint'}N(64,${expression})`;
}

function compositeViewer(type: Composite, bit: number): Construct {
  const parts = members(type, bit);
  if (mayGenerate()) {
    const lines = parts.map(
      ({ name, expression }, index) =>
        `get ${name}(){const v=this.#v,o=this.#o;return ${(expression ?? 'g(v,o)').replace(/^g/, `g${index}`)}}` +
        `set ${name}(x){s${index}(this.#v,this.#o,x)}`,
    );
    const named = parts.flatMap(({ get, set, inner = get }, index): [string, unknown][] => [
      [`g${index}`, inner],
      [`s${index}`, set],
    ]);
    const body = `class View{#v;#o;constructor(v,o){this.#v=v;this.#o=o}${lines.join('')}}return (v,o)=>new View(v,o)`;
    return compiled(body, named);
  }
  const places = new WeakMap<object, readonly [DataView, number]>();
  const placeOf = (self: object): readonly [DataView, number] =>
    places.get(self) ?? [new DataView(new ArrayBuffer(0)), 0];
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
    places.set(self, [view, offset]);
    return self;
  };
}

let made = 0;
/** One view of each class lives: engines forget the shape of what has no instance, and the code that they made for it. */
const examples = new WeakMap<Construct, unknown>();

/**
 * Runs a function's body with named values around it. Engines share what they learn of calls between functions of one
 * source, so each has a number: a view that is always of one class is fast only while they know that it is.
 */
function compiled(body: string, named: readonly (readonly [string, unknown])[]): Construct {
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- compiled accessors; names are checked identifiers
  const make = new Function(...named.map(([name]) => name), `'use strict';${body}//${(made += 1)}`) as (
    ...all: unknown[]
  ) => Construct;
  const construct = make(...named.map(([, value]) => value));
  examples.set(construct, construct(new DataView(new ArrayBuffer(0)), 0, 0));
  return construct;
}

/** The bit at which an element begins. @throws LayoutError `LAYOUT_RANGE`. */
function placeOf(element: ResolvedType, first: number, length: number, index: number): number {
  if (Number.isInteger(index) && index >= 0 && index < length) return first + index * element.bits;
  throw new LayoutError('LAYOUT_RANGE', `found index ${index}, expected 0 to ${length - 1}`, {
    path: `[${index}]`,
    offset: Math.floor(first / 8),
    found: index,
    expected: `0..${length - 1}`,
  });
}

function makeListViewer(element: ResolvedType, bit: number): Construct {
  const at = (view: DataView, offset: number, length: number, index: number): unknown => {
    const place = placeOf(element, offset * 8 + bit, length, index);
    return viewer(element, place % 8)(view, Math.floor(place / 8));
  };
  const set = (view: DataView, offset: number, length: number, index: number, value: unknown): void => {
    writeValue(element, view, placeOf(element, offset * 8 + bit, length, index), value, `[${index}]`);
  };
  const fast = mayGenerate() ? fastElement(element, bit) : undefined;
  if (fast === undefined) return (view, offset, count = 0) => new ElementsView(view, offset, count, at, set);
  // `f` elements from the first one on are read by an expression; what lies behind, `at` reads or refuses.
  const body =
    'class Elements{#v;#o;#f;constructor(v,o,n){this.#v=v;this.#o=o;this.length=n;this.#f=' +
    `${fast.most}}at(i){if(i>>>0===i&&i<this.#f){const v=this.#v,o=this.#o;${fast.body}}` +
    'return at(this.#v,this.#o,this.length,i)}set(i,x){set(this.#v,this.#o,this.length,i,x)}' +
    '*[Symbol.iterator](){for(let i=0;i<this.length;i++)yield this.at(i)}}return (v,o,n)=>new Elements(v,o,n)';
  return compiled(body, [
    ['at', at],
    ['set', set],
    ['g', element.bits % 8 === 0 ? viewer(element, bit) : undefined],
  ]);
}

/** Statements that return element `i`, and an expression for how many of `n` elements they are good for. */
function fastElement(element: ResolvedType, bit: number): { readonly body: string; readonly most: string } | undefined {
  const { bits } = element;
  if (bits % 8 === 0) {
    const place = { base: `(o+i*${bits / 8})`, bit };
    const expression = element.kind === 'integer' ? load(element, place) : undefined;
    return { body: `return ${expression ?? `g(v,${place.base})`}`, most: 'n' };
  }
  // One load of four bytes holds any 25 bits; it must not reach beyond the memory, nor the bit's number beyond 31 bits.
  if (element.kind !== 'integer' || bits > 25 || element.wide) return undefined;
  if (element.order === 'msb' && element.endian === 'little' && bits > 8) return undefined;
  const part =
    element.order === 'lsb' ? 'v.getUint32(o+(b>>>3),true)>>>(b&7)' : `v.getUint32(o+(b>>>3))>>>${32 - bits}-(b&7)`;
  const value = element.signed ? `(${part})<<${32 - bits}>>${32 - bits}` : `${part}&${2 ** bits - 1}`;
  return {
    body: `const b=${bit}+i*${bits};return ${value}`,
    most: `Math.min(n,Math.floor((Math.min((v.byteLength-o)*8,0x7fffffff)-${32 + bit})/${bits})+1)`,
  };
}

/** Elements of any type where no code may be generated. */
class ElementsView implements ArrayView<unknown> {
  constructor(
    readonly view: DataView,
    readonly offset: number,
    readonly length: number,
    readonly read: (view: DataView, offset: number, length: number, index: number) => unknown,
    readonly write: (view: DataView, offset: number, length: number, index: number, value: unknown) => void,
  ) {}

  at(index: number): never {
    return this.read(this.view, this.offset, this.length, index) as never;
  }

  set(index: number, value: unknown): void {
    this.write(this.view, this.offset, this.length, index, value);
  }

  *[Symbol.iterator](): Generator<never> {
    for (let index = 0; index < this.length; index += 1) yield this.at(index);
  }
}
