import { bytesAsText } from '../codec/text.js';
import { readValue } from '../codec/interpret.js';
import { layoutError, type LayoutError } from '../layout/errors.js';
import { resolve } from '../layout/resolve.js';
import { byteSize, type ResolvedType } from '../layout/resolved.js';
import type { Target } from '../layout/target.js';
import type { Digest, Lazy, StructDescription, Type, VariableDescription, VariablePart } from '../layout/types.js';
import { sumsOf, type Sum } from './sums.js';
import { CHECKSUMS, type ChecksumName } from './checksums.js';

/** Structs inside structs, and pointers behind pointers; more is an attack on the stack. */
const MOST_DEPTH = 200;
/** Values of one decoding for each byte that is there, and a few: what has no bytes cannot be there without end. */
export const MOST_PER_BYTE = 8;
export const MOST_WITHOUT_BYTES = 65_536;

/** Parts whose value is no other part's. */
const BYTES: ReadonlySet<string> = new Set(['run', 'align', 'magic', 'digest', 'processed']);

/** Values of the structs around a part, the innermost last. */
type Scopes = readonly Readonly<Record<string, unknown>>[];

/** A value, and the byte behind it. */
export interface Found {
  readonly value: unknown;
  readonly next: number;
}

/** What a path leads to from the innermost struct that has its first name. */
export function lookUp(scopes: Scopes, path: string): unknown {
  const [first = '', ...rest] = path.split('.');
  const scope = [...scopes].reverse().find((item) => Object.hasOwn(item, first));
  let found: unknown = scope?.[first];
  for (const step of rest) {
    found =
      typeof found === 'object' && found !== null ? (found as Readonly<Record<string, unknown>>)[step] : undefined;
  }
  return found;
}

/** A value in a message. */
export function shown(value: unknown): string {
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'string'
    ? `${value}`
    : typeof value;
}

export function failure(
  code: ConstructorParameters<typeof LayoutError>[0],
  message: string,
  path: string,
  offset: number,
  found?: unknown,
): LayoutError {
  return layoutError(code, message, path, offset, found);
}

/** The sum that a checksum should be. */
export function sumOf(
  algorithm: string | ((bytes: Uint8Array) => number | bigint),
  bytes: Uint8Array,
): number | bigint {
  return typeof algorithm === 'string' ? CHECKSUMS[algorithm as ChecksumName](bytes) : algorithm(bytes);
}

/** Whether what was found is a number, and this one. */
export function isNumber(found: unknown, expected: number | bigint): boolean {
  return typeof found === 'bigint' ? found === BigInt(expected) : found === Number(expected);
}

/** The bytes that a sum is over, where its own are zeros. */
function summed(bytes: Uint8Array<ArrayBuffer>, from: number, to: number, own: number, ownEnd: number): Uint8Array {
  const range = bytes.slice(from, to);
  if (own >= from && own < to) range.fill(0, own - from, ownEnd - from);
  return range;
}

function isDigest(digest: Digest, bytes: Uint8Array, found: unknown): boolean {
  return found instanceof Uint8Array && digest.of(bytes).every((byte, index) => byte === found[index]);
}

/** Whether a checksum or a digest is that of the bytes of a range. */
export function isSum(
  part: Sum,
  bytes: Uint8Array<ArrayBuffer>,
  ...[from, to, own, ownEnd, found]: readonly [number, number, number, number, unknown]
): boolean {
  if (to < from) return false;
  const range = summed(bytes, from, to, own, ownEnd);
  if (part.form === 'digest') return isDigest(part.digest, range, found);
  return isNumber(found, sumOf(part.algorithm, range));
}

/** What is wrong with an integer that has bounds; undefined where it is within them. */
export function outOfRange(
  part: Extract<VariablePart, { readonly form: 'range' }>,
  found: unknown,
): string | undefined {
  const number = typeof found === 'bigint' || typeof found === 'number' ? BigInt(found) : 0n;
  const { least, most } = part;
  if ((least === undefined || number >= least) && (most === undefined || number <= most)) return undefined;
  if (most === undefined) return `found ${number}, expected at least ${least}`;
  return `found ${number}, expected ${least === undefined ? 'at most' : `${least} to`} ${most}`;
}

/** What is told of a value: the bytes that it was read from, and its layout where it has a fixed one. */
export type Note = (path: string, from: number, to: number, value: unknown, layout: ResolvedType | undefined) => void;

/** Reads one value; it belongs to one decoding, whose steps it counts. */
export class VariableReader {
  readonly #view: DataView;
  /** The bytes of the view. */
  readonly #all: Uint8Array<ArrayBuffer>;
  readonly #start: number;
  readonly #target: Target;
  readonly #note: Note | undefined;
  readonly #open = new Set<string>();
  /** Values elsewhere that were asked for. */
  readonly #places = new Map<Type, Map<number, Found>>();
  #left: number;
  #depth = 0;

  /** @param note told of each value that is not made of others, and where it lies; not of what stands for other bytes */
  constructor(view: DataView, start: number, target: Target, note?: Note) {
    this.#note = note;
    this.#view = view;
    this.#all = new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength);
    this.#start = start;
    this.#target = target;
    this.#left = (view.byteLength - start) * MOST_PER_BYTE + MOST_WITHOUT_BYTES;
  }

  read(type: Type, at: number, end: number, path: string, scopes: Scopes): Found {
    this.#left -= 1;
    if (this.#left < 0) throw failure('LAYOUT_UNSUPPORTED', 'found more values than its bytes can hold', path, at);
    if (type.kind === 'struct' && type.variable === true)
      return this.#deeper(path, at, () => this.#struct(type, at, end, path, scopes));
    if (type.kind === 'variable') {
      const found = this.#deeper(path, at, () => this.#part(type, at, end, path, scopes));
      if (BYTES.has(type.part.form)) this.#note?.(path, at, found.next, found.value, undefined);
      return found;
    }
    const layout = resolve(type, this.#target);
    const next = at + byteSize(layout);
    this.#room(at, next, end, path);
    const value = readValue(layout, this.#view, at * 8, path, scopes.at(-1));
    this.#note?.(path, at, next, value, layout);
    return { value, next };
  }

  #deeper(path: string, at: number, read: () => Found): Found {
    this.#depth += 1;
    if (this.#depth > MOST_DEPTH)
      throw failure('LAYOUT_CYCLE', `found more than ${MOST_DEPTH} values inside each other`, path, at);
    const found = read();
    this.#depth -= 1;
    return found;
  }

  #room(at: number, next: number, end: number, path: string): void {
    if (next <= end) return;
    throw failure(
      'LAYOUT_TRUNCATED',
      `needs ${next - at} bytes, ${Math.max(0, end - at)} are there`,
      path,
      at,
      end - at,
    );
  }

  #struct(type: StructDescription, start: number, end: number, path: string, around: Scopes): Found {
    const value: Record<string, unknown> = {};
    const places = new Map<string, readonly [from: number, to: number]>();
    const scopes = [...around, value];
    let at = start;
    for (const item of type.fields) {
      const inner = `${path}.${item.name}`;
      const { value: found, next } = this.read(item.type, at, end, inner, scopes);
      if (item.value !== undefined && found !== item.value) {
        throw failure('LAYOUT_VALUE', `found ${String(found)}, expected ${item.value}`, inner, at, found);
      }
      places.set(item.name, [at, next]);
      if (item.anonymous === true) Object.assign(value, found);
      else value[item.name] = found;
      at = next;
    }
    for (const { item, part } of sumsOf(type)) {
      this.#verify(part, item.name, value[item.name], places, `${path}.${item.name}`);
    }
    return { value, next: at };
  }

  #verify(
    part: Sum,
    name: string,
    found: unknown,
    places: ReadonlyMap<string, readonly [number, number]>,
    path: string,
  ): void {
    const [own = 0, ownEnd = 0] = places.get(name) ?? [];
    const [from, to] = rangeOf(part, places, path);
    const range = summed(this.#all, from, to, own, ownEnd);
    if (part.form === 'digest') {
      if (isDigest(part.digest, range, found)) return;
      throw failure('LAYOUT_VALUE', 'found another digest than that of the bytes', path, own, found);
    }
    const expected = sumOf(part.algorithm, range);
    if (isNumber(found, expected)) return;
    throw failure('LAYOUT_VALUE', `found the checksum ${String(found)}, expected ${expected}`, path, own, found);
  }

  #bytes(from: number, to: number): Uint8Array<ArrayBuffer> {
    return this.#all.slice(from, to);
  }

  #part({ part, name }: VariableDescription, at: number, end: number, path: string, scopes: Scopes): Found {
    switch (part.form) {
      case 'list':
        return this.#list(part, at, end, path, scopes);
      case 'run': {
        const { terminator } = part;
        let to = part.length === undefined ? end : at + this.#number(part.length, scopes, path, at);
        this.#room(at, to, end, path);
        if (terminator !== undefined) {
          const found = this.#all.subarray(at, end).indexOf(terminator);
          if (found < 0) throw failure('LAYOUT_TRUNCATED', `found no byte ${terminator} that ends it`, path, at);
          to = at + found;
        }
        const bytes = this.#bytes(at, to);
        const value = part.encoding === undefined ? bytes : bytesAsText(part.encoding, bytes, path, at);
        return { value, next: to + (terminator === undefined ? 0 : 1) };
      }
      case 'optional':
        return part.isThere(scopes.at(-1) ?? {})
          ? this.read(part.type, at, end, path, scopes)
          : { value: undefined, next: at };
      case 'variant': {
        const tag = lookUp(scopes, part.by);
        const number = typeof tag === 'number' || typeof tag === 'bigint' ? BigInt(tag) : undefined;
        const arm =
          part.arms.find((item) => item.tag !== undefined && item.tag === number) ??
          part.arms.find((item) => item.tag === undefined);
        if (arm === undefined) {
          const expected = part.arms.map((item) => `${item.tag} (${item.name})`).join(', ');
          throw failure(
            'LAYOUT_TAG',
            `found the tag ${String(tag)} in ${part.by}, expected ${expected}`,
            path,
            at,
            tag,
          );
        }
        const found = this.read(arm.type, at, end, `${path}.${arm.name}`, scopes);
        return { value: { arm: arm.name, value: found.value }, next: found.next };
      }
      case 'pointed': {
        const place = this.#start + this.#number(part.at, scopes, path, at);
        const key = `${place} ${path.split('.').at(-1) ?? ''} ${name}`;
        this.#room(place, place, this.#view.byteLength, path);
        if (this.#open.has(key))
          throw failure('LAYOUT_CYCLE', `found a value at byte ${place} inside itself`, path, at);
        this.#open.add(key);
        const { value } = this.read(part.type, place, this.#view.byteLength, path, scopes);
        this.#open.delete(key);
        return { value, next: at };
      }
      case 'sized': {
        const next = at + this.#number(part.length, scopes, path, at);
        this.#room(at, next, end, path);
        const found = this.read(part.type, at, next, path, scopes);
        if (found.next !== next) {
          throw failure('LAYOUT_SIZE', `found ${next - at} bytes, of which ${found.next - at} are used`, path, at);
        }
        return found;
      }
      case 'align': {
        const next = this.#start + Math.ceil((at - this.#start) / part.to) * part.to;
        this.#room(at, next, end, path);
        const bytes = this.#bytes(at, next);
        return { value: bytes.every((byte) => byte === 0) ? undefined : bytes, next };
      }
      case 'magic': {
        const next = at + part.expected.length;
        this.#room(at, next, end, path);
        const bytes = this.#bytes(at, next);
        if (bytes.every((byte, index) => byte === part.expected[index])) return { value: bytes, next };
        const hex = (list: Uint8Array): string =>
          Array.from(list, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
        throw failure('LAYOUT_VALUE', `found ${hex(bytes)}, expected ${hex(part.expected)}`, path, at, bytes);
      }
      case 'checksum':
        return this.read(part.type, at, end, path, scopes);
      case 'range': {
        const found = this.read(part.type, at, end, path, scopes);
        const problem = outOfRange(part, found.value);
        if (problem !== undefined) throw failure('LAYOUT_RANGE', problem, path, at, found.value);
        return found;
      }
      case 'digest': {
        const next = at + part.digest.size;
        this.#room(at, next, end, path);
        return { value: this.#bytes(at, next), next };
      }
      case 'lazy':
        return { value: this.#later(part, at, path, scopes), next: at };
      case 'processed': {
        const next = part.length === undefined ? end : at + this.#number(part.length, scopes, path, at);
        this.#room(at, next, end, path);
        const plain = part.process.decode(this.#bytes(at, next));
        if (!(plain instanceof Uint8Array)) {
          throw failure('LAYOUT_VALUE', `found ${typeof plain} from process.decode, expected bytes`, path, at, plain);
        }
        const view = new DataView(plain.buffer, plain.byteOffset, plain.byteLength);
        const inner = new VariableReader(view, 0, this.#target);
        const found = inner.read(part.type, 0, plain.length, path, scopes);
        if (found.next !== plain.length) {
          const problem = `found ${plain.length} bytes when it was processed, of which ${found.next} are used`;
          throw failure('LAYOUT_SIZE', problem, path, at);
        }
        return { value: found.value, next };
      }
    }
  }

  /** A value elsewhere, once for each place and type. */
  #later(
    part: Extract<VariableDescription['part'], { readonly form: 'lazy' }>,
    at: number,
    path: string,
    scopes: Scopes,
  ): Lazy<unknown> {
    const place = this.#start + this.#number(part.at, scopes, path, at);
    let found: Found | undefined;
    return {
      get: () => {
        if (found !== undefined) return found.value;
        const type = part.type();
        const places = this.#places.get(type) ?? new Map<number, Found>();
        this.#places.set(type, places);
        const depth = this.#depth;
        try {
          found = places.get(place) ?? this.read(type, place, this.#view.byteLength, path, scopes);
        } finally {
          this.#depth = depth;
        }
        places.set(place, found);
        return found.value;
      },
    };
  }

  #list(
    part: Extract<VariableDescription['part'], { readonly form: 'list' }>,
    start: number,
    end: number,
    path: string,
    scopes: Scopes,
  ): Found {
    const { element, until } = part;
    const count = part.count === undefined ? undefined : this.#number(part.count, scopes, path, start);
    const values: unknown[] = [];
    let at = start;
    while (count === undefined ? at < end || until !== undefined : values.length < count) {
      const { value, next } = this.read(element, at, end, `${path}[${values.length}]`, scopes);
      if (next === at && count === undefined && until === undefined) {
        throw failure('LAYOUT_UNSUPPORTED', 'found an element without bytes in a list without a count', path, at);
      }
      values.push(value);
      at = next;
      if (until?.(value) === true) break;
    }
    return { value: values, next: at };
  }

  /** A count, a length or an offset. */
  #number(path: string | number, scopes: Scopes, owner: string, at: number): number {
    if (typeof path === 'number') return path;
    const found = lookUp(scopes, path);
    const number = typeof found === 'bigint' ? Number(found) : found;
    if (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0) return number;
    throw failure('LAYOUT_RANGE', `found ${String(found)} in ${path}, expected a whole number`, owner, at, found);
  }
}

/** The bytes that a checksum is over. */
export function rangeOf(
  part: { readonly first: string; readonly last: string },
  places: ReadonlyMap<string, readonly [number, number]>,
  path: string,
): readonly [from: number, to: number] {
  const [first, last] = [places.get(part.first), places.get(part.last)];
  if (first !== undefined && last !== undefined && last[1] >= first[0]) return [first[0], last[1]];
  throw failure(
    'LAYOUT_NAME',
    `found no fields from ${part.first} to ${part.last}, expected them in this struct`,
    path,
    0,
  );
}
