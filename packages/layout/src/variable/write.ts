import { textAsBytes } from '../codec/text.js';
import { checkKeys, checkObject } from '../codec/integers.js';
import { readValue, writeValue } from '../codec/interpret.js';
import { resolve } from '../layout/resolve.js';
import { byteSize } from '../layout/resolved.js';
import type { Target } from '../layout/target.js';
import type { FieldDescription, Lazy, StructDescription, Type, VariableDescription } from '../layout/types.js';
import { integerOf, knownKeys, partOf, put, valueAt, type Scope } from './write-values.js';
import { sumsOf } from './sums.js';
import { failure, isNumber, lookUp, outOfRange, rangeOf, shown, sumOf } from './read.js';

/** Bytes that may be left out before what is elsewhere. */
export const MOST_GAP = 2 ** 30;

/** Writes one value; counts, lengths, tags, offsets and checksums that were left out are worked out. */
export class VariableWriter {
  readonly #target: Target;
  #bytes = new Uint8Array(256);
  #length = 0;
  /** What is elsewhere, written behind the rest. */
  readonly #elsewhere: (() => void)[] = [];
  readonly #sums: (() => void)[] = [];
  /** Stretches that were left out before what is elsewhere. */
  readonly #holes: (readonly [from: number, to: number])[] = [];
  /** Where values that were given as lazy ones are written. */
  readonly #written = new Map<unknown, number>();

  constructor(target: Target) {
    this.#target = target;
  }

  /** The bytes of a whole value. */
  whole(type: Type, value: unknown, path: string): Uint8Array<ArrayBuffer> {
    if (typeof value === 'object' && value !== null) this.#written.set(value, 0);
    this.#write(type, value, path, []);
    for (let next = this.#elsewhere.shift(); next !== undefined; next = this.#elsewhere.shift()) next();
    for (const sum of this.#sums) sum();
    return this.#bytes.slice(0, this.#length);
  }

  #grow(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    return at;
  }

  #put(bytes: Uint8Array): void {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
  }

  #write(type: Type, value: unknown, path: string, scopes: readonly Scope[]): void {
    if (type.kind === 'variable') {
      this.#part(type, value, path, scopes);
      return;
    }
    if (type.kind === 'struct' && type.variable === true) {
      this.#struct(type, value, path, scopes);
      return;
    }
    const layout = resolve(type, this.#target);
    const at = this.#grow(byteSize(layout));
    writeValue(layout, this.#view(), at * 8, value, path, scopes.at(-1)?.values);
  }

  #view(): DataView {
    return new DataView(this.#bytes.buffer);
  }

  #struct(type: StructDescription, value: unknown, path: string, around: readonly Scope[]): void {
    const given = checkObject(value ?? {}, path, this.#length);
    checkKeys(type.fields.flatMap(knownKeys), given, path, this.#length);
    const scope: Scope = { type, path, values: { ...given }, places: new Map() };
    const scopes = [...around, scope];
    for (const item of type.fields) {
      const from = this.#length;
      const chosen =
        item.anonymous === true ? partOf(item.type, scope.values) : (scope.values[item.name] ?? item.value);
      if (item.value !== undefined && chosen !== item.value) {
        throw failure(
          'LAYOUT_VALUE',
          `found ${shown(chosen)}, expected ${item.value}`,
          `${path}.${item.name}`,
          from,
          chosen,
        );
      }
      this.#write(item.type, chosen, `${path}.${item.name}`, scopes);
      scope.places.set(item.name, [from, this.#length]);
    }
    for (const { item } of sumsOf(type)) {
      this.#sums.push(() => {
        this.#sum(scope, item);
      });
    }
    for (const item of type.fields) {
      const { type: part } = item;
      if (part.kind !== 'variable') continue;
      if (part.part.form === 'optional' && part.part.isThere(scope.values) !== (given[item.name] !== undefined)) {
        const state = given[item.name] === undefined ? 'nothing' : 'a value';
        throw failure(
          'LAYOUT_VALUE',
          `found ${state} where the fields before it say otherwise`,
          `${path}.${item.name}`,
          0,
        );
      }
    }
  }

  #sum(scope: Scope, item: FieldDescription): void {
    if (item.type.kind !== 'variable') return;
    const { part } = item.type;
    const path = `${scope.path}.${item.name}`;
    if (part.form === 'digest') {
      const [own = 0] = scope.places.get(item.name) ?? [];
      this.#bytes.fill(0, own, own + part.digest.size);
      const digest = part.digest.of(this.#bytes.slice(...rangeOf(part, scope.places, path)));
      const wanted = scope.values[item.name];
      const isSame = wanted instanceof Uint8Array && digest.every((byte, index) => byte === wanted[index]);
      if (wanted !== undefined && !isSame) {
        throw failure('LAYOUT_VALUE', 'found another digest than that of the bytes, expected that, or none', path, own);
      }
      this.#bytes.set(digest, own);
      return;
    }
    if (part.form !== 'checksum') return;
    const layout = resolve(part.type, this.#target);
    const [own = 0] = scope.places.get(item.name) ?? [];
    this.#bytes.fill(0, own, own + byteSize(layout));
    const sum = sumOf(part.algorithm, this.#bytes.slice(...rangeOf(part, scope.places, path)));
    const wanted = scope.values[item.name];
    if (wanted !== undefined && !isNumber(wanted, sum)) {
      throw failure('LAYOUT_VALUE', `found the checksum ${shown(wanted)}, expected ${sum}, or none`, path, own, wanted);
    }
    writeValue(layout, this.#view(), own * 8, part.type.bits > 32 ? BigInt(sum) : Number(sum), path);
  }

  /** Says what a field before must be: writes it where it was left out, and refuses another value. */
  #claim(scopes: readonly Scope[], by: string, number: number | bigint, path: string): void {
    const [first = '', ...rest] = by.split('.');
    const scope = [...scopes].reverse().find((item) => item.type.fields.some((field) => field.name === first));
    const field = scope?.type.fields.find((item) => item.name === first);
    const place = scope?.places.get(first);
    if (scope === undefined || field === undefined || place === undefined) {
      throw failure('LAYOUT_NAME', `found no field ${by} before it, expected one`, path, this.#length, by);
    }
    const found = lookUp([scope.values], by);
    if (found !== undefined) {
      if (isNumber(found, number)) return;
      throw failure(
        'LAYOUT_VALUE',
        `found ${shown(found)} in ${by}, expected ${number}, or nothing`,
        path,
        place[0],
        found,
      );
    }
    const type = integerOf(field.type);
    scope.values[first] = put(scope.values[first], rest, number, type);
    const layout = resolve(type, this.#target);
    writeValue(layout, this.#view(), place[0] * 8, scope.values[first], `${scope.path}.${first}`, scope.values);
  }

  /** Writes a value elsewhere: behind what is written, or in a stretch that was left out before. */
  #writeAt(at: number, by: string | number, path: string, write: () => void): void {
    const length = this.#length;
    const hole = this.#holes.find(([from, to]) => at >= from && at < to);
    if (Number.isSafeInteger(at) && hole !== undefined) {
      this.#length = at;
      write();
      const [end, [from, to]] = [this.#length, hole];
      if (end > to) throw failure('LAYOUT_OFFSET', `found ${end - at} bytes, ${to - at} are free there`, path, at);
      this.#length = length;
      this.#holes.splice(this.#holes.indexOf(hole), 1, [from, at], [end, to]);
      return;
    }
    const isBehind = Number.isSafeInteger(at) && at >= length && at <= length + MOST_GAP;
    if (isBehind && at > length) this.#holes.push([length, at]);
    if (isBehind) this.#grow(at - length);
    write();
    // What has no bytes may be anywhere.
    if (isBehind || (Number.isSafeInteger(at) && at >= 0 && this.#length === length)) return;
    throw failure('LAYOUT_OFFSET', `found ${shown(at)} in ${by}, expected ${length} or more, or nothing`, path, length);
  }

  /** Whether a value of a fixed size lies in what is written already, as it would be written. */
  #isThere(type: Type, at: number, value: unknown, path: string, scopes: readonly Scope[]): boolean {
    if (type.kind === 'variable' || (type.kind === 'struct' && type.variable === true) || at < 0) return false;
    const length = this.#length;
    this.#write(type, value, path, scopes);
    const written = this.#bytes.slice(length, this.#length);
    this.#bytes.fill(0, length, this.#length);
    this.#length = length;
    return at + written.length <= length && written.every((byte, index) => byte === this.#bytes[at + index]);
  }

  /** Says what a field before must be, or sees that a number is as it was described. */
  #agree(scopes: readonly Scope[], by: string | number, number: number, path: string): void {
    if (typeof by === 'string') {
      this.#claim(scopes, by, number, path);
    } else if (by !== number) {
      throw failure('LAYOUT_RANGE', `found ${number} bytes, expected ${by}`, path, this.#length, number);
    }
  }

  #part({ part }: VariableDescription, value: unknown, path: string, scopes: readonly Scope[]): void {
    switch (part.form) {
      case 'list': {
        const values: unknown = value ?? [];
        if (!Array.isArray(values))
          throw failure('LAYOUT_VALUE', `found ${typeof values}, expected an array`, path, this.#length, values);
        const { until, count } = part;
        if (typeof count === 'number' && values.length !== count) {
          throw failure(
            'LAYOUT_RANGE',
            `found ${values.length} elements, expected ${count}`,
            path,
            this.#length,
            values.length,
          );
        }
        // Not forEach: a hole is an element that was left out.
        for (let index = 0; index < values.length; index += 1) {
          const item: unknown = values[index];
          if (until !== undefined && until(item) !== (index === values.length - 1)) {
            throw failure(
              'LAYOUT_VALUE',
              'found the last element elsewhere than at the end',
              `${path}[${index}]`,
              this.#length,
            );
          }
          this.#write(part.element, item, `${path}[${index}]`, scopes);
        }
        if (until !== undefined && values.length === 0) {
          throw failure('LAYOUT_VALUE', 'found no element, expected one that is the last', path, this.#length);
        }
        if (typeof count === 'string') this.#claim(scopes, count, values.length, path);
        return;
      }
      case 'run': {
        const bytes = this.#run(part.encoding, value, path);
        if (part.terminator !== undefined && bytes.includes(part.terminator)) {
          throw failure('LAYOUT_VALUE', `found the byte ${part.terminator}, which would end it`, path, this.#length);
        }
        this.#put(bytes);
        if (part.terminator !== undefined) this.#put(Uint8Array.of(part.terminator));
        if (part.length !== undefined) this.#agree(scopes, part.length, bytes.length, path);
        return;
      }
      case 'optional':
        if (value !== undefined) this.#write(part.type, value, path, scopes);
        return;
      case 'variant': {
        const given = checkObject(value, path, this.#length);
        const arm = part.arms.find((item) => item.name === given['arm']);
        if (arm === undefined) {
          const names = part.arms.map((item) => item.name).join(', ');
          throw failure('LAYOUT_TAG', `found the arm ${String(given['arm'])}, expected ${names}`, path, this.#length);
        }
        if (arm.tag !== undefined) this.#claim(scopes, part.by, arm.tag, path);
        else this.#checkOther(part, scopes, path);
        this.#write(arm.type, given['value'], `${path}.${arm.name}`, scopes);
        return;
      }
      case 'pointed':
        this.#elsewhere.push(() => {
          const wanted = typeof part.at === 'number' ? part.at : valueAt(scopes, part.at);
          const at = wanted === undefined ? this.#length : Number(wanted);
          if (at < this.#length && this.#isThere(part.type, at, value, path, scopes)) return;
          this.#writeAt(at, part.at, path, () => {
            this.#write(part.type, value, path, scopes);
          });
          this.#agree(scopes, part.at, at, path);
        });
        return;
      case 'sized': {
        const from = this.#length;
        this.#write(part.type, value, path, scopes);
        this.#agree(scopes, part.length, this.#length - from, path);
        return;
      }
      case 'align':
        this.#padding((part.to - (this.#length % part.to)) % part.to, value, path);
        return;
      case 'magic':
        if (value !== undefined && !(value instanceof Uint8Array && String(value) === String(part.expected))) {
          throw failure(
            'LAYOUT_VALUE',
            'found other bytes than the constant ones, expected those, or nothing',
            path,
            this.#length,
          );
        }
        this.#put(part.expected);
        return;
      case 'checksum':
        this.#grow(byteSize(resolve(part.type, this.#target)));
        return;
      case 'range': {
        const at = this.#length;
        this.#write(part.type, value, path, scopes);
        // What was left out may follow from what comes later.
        this.#sums.push(() => {
          const found = value ?? readValue(resolve(part.type, this.#target), this.#view(), at * 8, path);
          const problem = outOfRange(part, found);
          if (problem !== undefined) throw failure('LAYOUT_RANGE', problem, path, at, found);
        });
        return;
      }
      case 'digest':
        this.#grow(part.digest.size);
        return;
      case 'lazy':
        this.#elsewhere.push(() => {
          this.#later(part, value, path, scopes);
        });
        return;
      case 'processed': {
        const plain = new VariableWriter(this.#target).whole(part.type, value, path);
        const stored = part.process.encode(plain);
        this.#put(stored);
        if (part.length !== undefined) this.#agree(scopes, part.length, stored.length, path);
      }
    }
  }

  /** Writes a value elsewhere, or says where it is written already: values may lead to each other in a circle. */
  #later(
    part: Extract<VariableDescription['part'], { readonly form: 'lazy' }>,
    value: unknown,
    path: string,
    scopes: readonly Scope[],
  ): void {
    const { get } = checkObject(value, path, this.#length) as Partial<Lazy<unknown>>;
    if (typeof get !== 'function') throw failure('LAYOUT_VALUE', 'found no get, expected { get }', path, this.#length);
    const inner = get();
    const known = this.#written.get(inner);
    const wanted = typeof part.at === 'number' ? part.at : valueAt(scopes, part.at);
    const at = known ?? (wanted === undefined ? this.#length : Number(wanted));
    if (known === undefined) {
      if (typeof inner === 'object' && inner !== null) this.#written.set(inner, at);
      this.#writeAt(at, part.at, path, () => {
        this.#write(part.type(), inner, path, scopes);
      });
    }
    this.#agree(scopes, part.at, at, path);
  }

  /** What lay in the padding, or zeros. */
  #padding(count: number, value: unknown, path: string): void {
    if (value !== undefined && !(value instanceof Uint8Array && value.length === count)) {
      const found = value instanceof Uint8Array ? `${value.length} bytes` : typeof value;
      throw failure('LAYOUT_VALUE', `found ${found}, expected ${count} bytes, or nothing`, path, this.#length, value);
    }
    this.#put(value ?? new Uint8Array(count));
  }

  #checkOther(
    part: Extract<VariableDescription['part'], { readonly form: 'variant' }>,
    scopes: readonly Scope[],
    path: string,
  ): void {
    const tag = valueAt(scopes, part.by);
    const isOther =
      (typeof tag === 'number' || typeof tag === 'bigint') && !part.arms.some((item) => item.tag === BigInt(tag));
    if (isOther) return;
    throw failure(
      'LAYOUT_TAG',
      `found the tag ${String(tag)} in ${part.by}, expected one that no arm has`,
      path,
      this.#length,
      tag,
    );
  }

  #run(
    encoding: Extract<VariableDescription['part'], { readonly form: 'run' }>['encoding'],
    value: unknown,
    path: string,
  ): Uint8Array {
    if (encoding !== undefined) return textAsBytes(encoding, value ?? '', path, this.#length);
    const bytes = value ?? new Uint8Array(0);
    if (bytes instanceof Uint8Array) return bytes;
    throw failure('LAYOUT_VALUE', `found ${typeof bytes}, expected Uint8Array`, path, this.#length, bytes);
  }
}
