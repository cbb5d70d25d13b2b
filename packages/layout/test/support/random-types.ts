import { Random } from '../../../../tests/support/random.js';
import {
  array,
  bitStruct,
  int,
  integral,
  resolve,
  s390x,
  uint,
  x86_64,
  type FieldSpec,
  type Integer,
  type Integral,
  type Struct,
  type Type,
} from '../../src/index.js';

/** Types that are packed to the bit: what GNU poke can say too. */
export class RandomTypes {
  readonly random: Random;
  readonly #prefix: string;
  #names = 0;

  /** @param prefix What every name begins with, so that the types of several seeds can stand in one file. */
  constructor(seed: number, prefix = '') {
    this.random = new Random(seed);
    this.#prefix = prefix;
  }

  #name(prefix: string): string {
    this.#names += 1;
    return `${this.#prefix}${prefix}${this.#names}`;
  }

  integer(most = 64): Integer {
    // Whole bytes are as frequent as all other widths together.
    const whole = [8, 16, 24, 32, 40, 48, 56, 64].filter((width) => width <= most);
    const [first, ...rest] = whole;
    const width =
      first !== undefined && this.random.chance(2) ? this.random.pick([first, ...rest]) : this.random.between(1, most);
    return this.random.chance(3) ? int(width) : uint(width);
  }

  /** An integral struct, nested up to `depth`. */
  integral(depth = 2, container: Integer = this.integer()): Integral<Record<string, unknown>> {
    const fields: Record<string, FieldSpec> = {};
    let left = container.bits;
    for (let index = 0; left > 0; index += 1) {
      const part = index === 5 ? left : this.random.between(1, left);
      const integer = this.random.chance(3) ? int(part) : uint(part);
      const type = depth > 0 && this.random.chance(4) ? this.integral(depth - 1, integer) : integer;
      fields[`f${index}`] = { type };
      left -= part;
    }
    return integral(this.#name('Word'), container, fields);
  }

  /** A struct packed to the bit, nested up to `depth`. */
  struct(depth = 2): Struct<Record<string, unknown>> {
    const fields: Record<string, FieldSpec> = {};
    const count = this.random.between(1, 6);
    const end = { little: 0, big: 0 };
    for (let index = 0; index < count; index += 1) {
      const type = this.#member(depth);
      if (this.random.chance(6)) {
        end.little += this.random.below(20);
        end.big += this.random.below(20);
        fields[`f${index}`] = { type, label: { ...end } };
      } else {
        fields[`f${index}`] = { type };
      }
      end.little += resolve(type, x86_64).bits;
      end.big += resolve(type, s390x).bits;
    }
    return bitStruct(this.#name('Record'), fields);
  }

  #member(depth: number): Type {
    switch (this.random.below(depth > 0 ? 8 : 5)) {
      case 0:
      case 1:
      case 2:
        return this.integer();
      case 3:
        return this.integral(1);
      case 4:
        return array(this.integer(), this.random.between(1, 20));
      case 5:
        return array(this.struct(depth - 1), this.random.between(1, 3));
      case 6:
        return array(this.integral(1), this.random.between(1, 4));
      default:
        return this.struct(depth - 1);
    }
  }

  /** Any of them. */
  type(): Type {
    switch (this.random.below(4)) {
      case 0:
        return this.integral();
      case 1:
        return array(this.integer(), this.random.between(1, 30));
      default:
        return this.struct();
    }
  }
}
