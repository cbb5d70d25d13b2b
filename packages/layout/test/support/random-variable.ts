import { Random } from '../../../../tests/support/random.js';
import {
  alignedTo,
  anonymous,
  array,
  arrayUntil,
  bytes,
  bytesOf,
  bytesUntil,
  checksum,
  digestOf,
  f64,
  i16,
  integral,
  magic,
  optional,
  pointedTo,
  processed,
  ranged,
  sha256,
  sized,
  struct,
  text,
  textOf,
  textUntil,
  u16,
  u32,
  u64,
  u8,
  uint,
  variant,
  when,
  type FieldSpec,
  type Type,
} from '../../src/index.js';

type Made = Record<string, unknown>;

/** A type, and what makes values of it; what follows from the rest is left out of them. */
export interface RandomPart {
  readonly type: Type;
  readonly value: () => unknown;
}

const WORDS = ['', 'a', 'name', 'some/longer/path.txt', 'ß€', '\u{1f600}', 'x'.repeat(60)] as const;
const flipped = (stored: Uint8Array): Uint8Array => stored.map((byte) => byte ^ 0x5a);

/** Random descriptions of structs whose parts vary, with values for them. */
export class RandomVariable {
  readonly random: Random;
  #names = 0;

  /**
   * @param forPoke only what GNU poke can say
   * @param prefix what every name of a type begins with
   */
  constructor(
    seed: number,
    readonly forPoke = false,
    readonly prefix = '',
  ) {
    this.random = new Random(seed);
  }

  #name(): string {
    this.#names += 1;
    return `${this.prefix}T${this.#names}`;
  }

  /** A field of a fixed size. */
  fixed(): RandomPart {
    const { random } = this;
    const byte = (): number => random.below(256);
    const kinds: readonly [() => RandomPart, ...(() => RandomPart)[]] = [
      () => ({ type: u8, value: byte }),
      () => ({ type: i16, value: () => random.between(-32_768, 32_767) }),
      () => ({ type: u32, value: () => random.below(2 ** 32) }),
      () => ({ type: u64, value: () => BigInt(random.below(2 ** 32)) << 9n }),
      () => ({ type: f64, value: () => random.below(1000) / 8 }),
      () => ({ type: uint(32, { endian: 'big' }), value: () => random.below(2 ** 32) }),
      () => ({ type: bytes(3), value: () => Uint8Array.from(random.bytes(3)) }),
      () => ({ type: text(6), value: () => random.pick(['', 'ab', 'abcdef']) }),
      () => ({ type: array(u16, 3), value: () => [byte(), byte(), byte()] }),
      () => ({
        type: struct(this.#name(), { a: u8, b: u32, c: u8 }),
        value: () => ({ a: byte(), b: random.below(2 ** 32), c: byte() }),
      }),
      () => ({
        type: integral(this.#name(), u16, { high: uint(5), low: uint(11) }),
        value: () => ({ high: random.below(32), low: random.below(2048) }),
      }),
    ];
    return random.pick(kinds)();
  }

  /** A struct; one that is the last part of what is around it may go up to its end. */
  struct(depth: number, isLast: boolean): RandomPart {
    const { random } = this;
    const fields: Record<string, Type | FieldSpec> = {};
    const makers: [string, () => unknown][] = [];
    const count = random.between(1, 5);
    const put = (name: string, { type, value }: RandomPart): void => {
      fields[name] = type;
      makers.push([name, value]);
    };
    for (let index = 0; index < count; index += 1) {
      if (random.chance(3)) put(`x${index}`, this.fixed());
      this.#part(index, depth, isLast && index === count - 1, fields, put);
    }
    return {
      type: struct(this.#name(), fields),
      value: () => {
        const value: Made = {};
        for (const [name, make] of makers) Object.assign(value, { [name]: make() });
        for (const [name, item] of Object.entries(value)) if (item === OMITTED) Reflect.deleteProperty(value, name);
        return value;
      },
    };
  }

  #part(
    index: number,
    depth: number,
    isLast: boolean,
    fields: Record<string, Type | FieldSpec>,
    put: (name: string, part: RandomPart) => void,
  ): void {
    const { random } = this;
    const [n, p] = [`n${index}`, `p${index}`];
    const omitted = (): unknown => OMITTED;
    /** A field for a count of at least so many bits; its path. */
    const counter = (least: number): string => {
      const kinds: Type[] = [u8, u16, u32, u64, uint(32, { endian: 'big' })].filter(({ bits }) => bits >= least);
      if (random.chance(4)) kinds.splice(0, kinds.length, ranged(u32, { most: 100_000 }));
      if (random.chance(4)) {
        fields[n] = integral(this.#name(), u32, { kind: uint(6), count: uint(26) });
        put(n, { type: fields[n], value: () => (random.chance(2) ? OMITTED : { kind: random.below(64) }) });
        return `${n}.count`;
      }
      put(n, { type: random.pick(kinds as [Type, ...Type[]]), value: omitted });
      return n;
    };
    const inner = (last: boolean): RandomPart =>
      depth > 0 && random.chance(2) ? this.struct(depth - 1, last) : this.fixed();
    const some = <T>(make: () => T): T[] => Array.from({ length: random.below(4) }, make);
    /** What GNU poke cannot say. */
    const outside = (make: () => void): (() => void)[] => (this.forPoke ? [] : [make]);
    const word = (): string => random.pick(WORDS);
    const forms: (() => void)[] = [
      () => {
        const { type, value } = inner(false);
        put(p, { type: array(type, counter(8)), value: () => some(value) });
      },
      () => {
        put(p, { type: bytesOf(counter(8)), value: () => Uint8Array.from(random.bytes(random.below(40))) });
      },
      () => {
        put(p, { type: textOf(counter(8)), value: word });
      },
      () => {
        put(p, { type: textUntil(), value: word });
      },
      () => {
        put(p, { type: bytesUntil(10), value: () => Uint8Array.from(some(() => random.between(11, 255))) });
      },
      ...outside(() => {
        const type = struct(this.#name(), { more: u8, note: textUntil(0, { encoding: 'latin1' }) });
        const value = (more: number): unknown => ({ more, note: random.pick(['', 'é', 'plain']) });
        put(p, {
          type: arrayUntil(type, (item) => item.more === 0),
          value: () => [...some(() => value(1 + random.below(9))), value(0)],
        });
      }),
      () => {
        const { type, value } = inner(false);
        let flag = 0;
        put(n, { type: u8, value: () => (flag = random.below(4)) });
        put(p, {
          type: optional(
            type,
            this.forPoke || random.chance(2) ? when(n, '&', 1) : (seen) => (Number(seen[n]) & 1) === 1,
          ),
          value: () => ((flag & 1) === 1 ? value() : undefined),
        });
      },
      () => {
        const [one, two] = [inner(false), inner(false)];
        const by = counter(8);
        const isNested = by !== n;
        const rest = random.chance(2) && !isNested;
        const type = variant(p, by, {
          one: [1, one.type],
          two: [isNested ? 63 : 200, two.type],
          ...(rest ? { rest: ['otherwise', u8] } : {}),
        } as never);
        put(p, {
          type,
          value: () => (random.chance(2) ? { arm: 'one', value: one.value() } : { arm: 'two', value: two.value() }),
        });
      },
      () => {
        const { type, value } = this.struct(Math.max(0, depth - 1), true);
        put(p, { type: sized(counter(16), type), value });
      },
      () => {
        put(p, { type: ranged(u16, { least: 20_000, most: 60_000 }), value: () => random.between(20_000, 60_000) });
      },
      () => {
        put(p, { type: ranged(u64, { least: 2n ** 33n }), value: () => 2n ** 33n + BigInt(random.below(9)) });
      },
      () => {
        put(p, { type: alignedTo(random.pick([2, 4, 8])), value: omitted });
      },
      () => {
        put(p, { type: magic(Uint8Array.of(1, 2, 3)), value: omitted });
      },
      () => {
        const { type, value } = inner(false);
        put(n, { type, value });
        const sum = random.pick(['crc32', 'adler32', 'internet', 'sum'] as const);
        put(p, { type: checksum(sum === 'internet' ? u16 : u32, sum, n), value: omitted });
      },
      () => {
        put(n, this.fixed());
        put(p, { type: digestOf(sha256, n), value: omitted });
      },
      ...outside(() => {
        const { type, value } = this.struct(0, true);
        put(p, { type: processed({ decode: flipped, encode: flipped }, type, counter(16)), value });
      }),
      // GNU poke counts from the start of a struct.
      ...outside(() => {
        const { type, value } = inner(false);
        put(n, { type: u32, value: omitted });
        put(p, { type: pointedTo(n, type), value });
      }),
    ];
    if (isLast) {
      forms.push(
        () => {
          const { type, value } = this.fixed();
          put(p, { type: array(type), value: () => some(value) });
        },
        () => {
          put(p, { type: bytesOf(), value: () => Uint8Array.from(random.bytes(random.below(20))) });
        },
      );
    }
    forms[random.below(forms.length)]?.();
    if (random.chance(12)) fields[`a${index}`] = anonymous(struct(this.#name(), { [`m${index}`]: u16 }));
  }
}

/** A field that a value does not have. */
const OMITTED = Symbol('omitted');
