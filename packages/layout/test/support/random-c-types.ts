import type { Random } from '../../../../tests/support/random.js';
import {
  array,
  bool,
  f32,
  f64,
  i16,
  i32,
  i64,
  i8,
  iword,
  pointer,
  struct,
  u16,
  u32,
  u64,
  u8,
  union,
  unnamedBits,
  uword,
  type FieldSpec,
  type Type,
} from '../../src/index.js';
import type { NamedDescription } from '../../src/emit/index.js';
import { describeBitField, type BitFieldDescription } from '../../src/layout/types.js';

/** A struct or union of C, written down twice: as C, and in the layout language. Neither was made from the other. */
export interface RandomType {
  /** `struct s12` or `union s12`. */
  readonly spelled: string;
  /** Its definition, with those of the enumerations that it uses. */
  readonly c: string;
  readonly type: NamedDescription;
}

type Container = BitFieldDescription['container'];

const CONTAINERS: readonly (readonly [c: string, type: Container & Type, bits: number])[] = [
  ['signed char', i8, 8],
  ['unsigned char', u8, 8],
  ['short', i16, 16],
  ['unsigned short', u16, 16],
  ['signed int', i32, 32],
  ['unsigned int', u32, 32],
  ['long long', i64, 64],
  ['unsigned long long', u64, 64],
  // A word has 32 bits on i386, and a header must be right for all targets.
  ['signed long', iword, 32],
  ['unsigned long', uword, 32],
  ['_Bool', bool, 1],
];

const SCALARS: readonly (readonly [c: string, type: Type])[] = [
  ...CONTAINERS.map(([c, type]) => [c, type] as const),
  ['float', f32],
  ['double', f64],
  ['void *', pointer()],
];

function pick<T>(random: Random, from: readonly T[]): T {
  const found = from[random.below(from.length)];
  if (found === undefined) throw new RangeError('nothing to pick from');
  return found;
}

/** What random types may use. */
export interface RandomOptions {
  /** Begins every name. */
  readonly prefix?: string;
  /**
   * Bit fields with an alignment of their own. No ABI document knows them, and the compilers differ: gcc moves the field
   * first and then looks whether it crosses its unit, clang does not look again. We follow gcc.
   */
  readonly alignedBitFields?: boolean;
}

/** Members of one struct or union, in C and in our language. */
class Members {
  readonly lines: string[] = [];
  readonly specs: Record<string, FieldSpec> = {};
  readonly #random: Random;
  readonly #earlier: readonly RandomType[];
  readonly #name: string;
  readonly enums: string[] = [];
  #count = 0;
  readonly #alignedBitFields: boolean;

  constructor(random: Random, name: string, earlier: readonly RandomType[], alignedBitFields: boolean) {
    this.#alignedBitFields = alignedBitFields;
    this.#random = random;
    this.#name = name;
    this.#earlier = earlier;
  }

  get isEmpty(): boolean {
    return !Object.values(this.specs).some((spec) => spec.type.kind !== 'bitField' || !spec.type.unnamed);
  }

  add(inUnion: boolean): void {
    const dice = this.#random.below(100);
    if (dice < 45) this.#bitField(inUnion);
    else if (dice < 52) this.#unnamed(inUnion);
    else if (dice < 60) this.#array();
    else if (dice < 70 && this.#earlier.length > 0) this.#nested();
    else this.#scalar();
  }

  #next(): string {
    this.#count += 1;
    return `f${this.#count}`;
  }

  #enumeration(): readonly [c: string, type: Type & Container] {
    const name = `e_${this.#name}_${this.enums.length}`;
    const signed = this.#random.chance(2);
    this.enums.push(`enum ${name} { ${name}_a = ${signed ? -3 : 0}, ${name}_b = ${this.#random.below(1000)} };`);
    return [`enum ${name}`, signed ? i32 : u32];
  }

  #bitField(inUnion: boolean): void {
    // Several in a row share units, which is where the rules differ.
    const run = inUnion ? 1 : this.#random.between(1, 4);
    for (let index = 0; index < run; index += 1) {
      const isEnum = this.#random.chance(8);
      const [c, container, most] = isEnum ? [...this.#enumeration(), 32] : pick(this.#random, CONTAINERS);
      const width = this.#random.chance(6) ? most : this.#random.between(1, most);
      // gcc for i386 gives a whole `long long : 64` with an attribute the alignment 8, which it gives nothing else there.
      const mayAlign = this.#alignedBitFields && width < 64;
      const align = mayAlign && this.#random.chance(25) ? 2 ** this.#random.below(5) : undefined;
      const name = this.#next();
      const attribute = align === undefined ? '' : ` __attribute__((aligned(${align})))`;
      this.lines.push(`  ${c} ${name} : ${width}${attribute};`);
      const type: Type = describeBitField(container, width, false);
      this.specs[name] = align === undefined ? { type } : { type, align };
    }
  }

  #unnamed(inUnion: boolean): void {
    const [c, container, most] = pick(this.#random, CONTAINERS);
    const width = inUnion || this.#random.chance(2) ? 0 : this.#random.between(1, most);
    this.lines.push(`  ${c} : ${width};`);
    this.specs[this.#next()] = { type: unnamedBits(container, width) };
  }

  #put(c: string, type: Type, suffix = ''): void {
    const align = this.#random.chance(12) ? 2 ** this.#random.below(6) : undefined;
    const name = this.#next();
    // The attribute, unlike _Alignas, may ask for less than the type has, which then changes nothing in a natural struct.
    const attribute = align === undefined ? '' : ` __attribute__((aligned(${align})))`;
    this.lines.push(`  ${c} ${name}${suffix}${attribute};`);
    this.specs[name] = align === undefined ? { type } : { type, align };
  }

  #scalar(): void {
    const [c, type] = this.#random.chance(8) ? this.#enumeration() : pick(this.#random, SCALARS);
    this.#put(c, type);
  }

  #array(): void {
    const [c, type] = pick(this.#random, SCALARS);
    const first = this.#random.between(1, 5);
    if (this.#random.chance(3)) {
      const second = this.#random.between(1, 4);
      this.#put(c, array(array(type, second), first), `[${first}][${second}]`);
    } else this.#put(c, array(type, first), `[${first}]`);
  }

  #nested(): void {
    const inner = pick(this.#random, this.#earlier);
    const count = this.#random.between(1, 3);
    if (this.#random.chance(3)) this.#put(inner.spelled, array(inner.type, count), `[${count}]`);
    else this.#put(inner.spelled, inner.type);
  }
}

/** `count` random structs and unions; each may contain those before it. */
export function randomTypes(random: Random, count: number, options: RandomOptions = {}): RandomType[] {
  const { prefix = 's', alignedBitFields = true } = options;
  const made: RandomType[] = [];
  for (let index = 0; index < count; index += 1) {
    const name = `${prefix}${index}`;
    const isUnion = random.chance(7);
    const packed = random.chance(3);
    const align = !isUnion && random.chance(10) ? 2 ** random.below(5) : undefined;
    // Only small ones are nested, or sizes would grow without bound.
    const small = made.slice(-12).filter((item) => item.c.length < 400);
    const members = new Members(random, name, small, alignedBitFields);
    for (let left = random.between(1, 6); left > 0 || members.isEmpty; left -= 1) members.add(isUnion);
    const attributes = [...(packed ? ['packed'] : []), ...(align === undefined ? [] : [`aligned(${align})`])];
    const suffix = attributes.length === 0 ? '' : ` __attribute__((${attributes.join(', ')}))`;
    const spelled = `${isUnion ? 'union' : 'struct'} ${name}`;
    const type = isUnion
      ? union(name, members.specs, { packed })
      : struct(name, members.specs, {
          packing: packed ? 'packed' : 'natural',
          ...(align === undefined ? {} : { align }),
        });
    const c = [...members.enums, `${spelled} {`, ...members.lines, `}${suffix};`, ''].join('\n');
    made.push({ spelled, c, type });
  }
  return made;
}
