import fc, { type Arbitrary } from 'fast-check';
import {
  array,
  bitField,
  bitStruct,
  bool,
  bytes,
  f64,
  int,
  integral,
  iword,
  struct,
  tagged,
  text,
  u16,
  u32,
  u64,
  u8,
  uint,
  uword,
  type Description,
  type FieldDescription,
  type FieldSpec,
  type Integer,
  type Type,
} from '../../src/index.js';

let names = 0;

function name(prefix: string): string {
  names += 1;
  return `${prefix}${names}`;
}

function fields(types: readonly Type[]): Record<string, FieldSpec> {
  return Object.fromEntries(types.map((type, index) => [`f${index}`, { type }]));
}

const anyInteger: Arbitrary<Integer> = fc
  .tuple(fc.integer({ min: 1, max: 64 }), fc.boolean())
  .map(([width, signed]) => (signed ? int(width) : uint(width)));

const anyIntegral: Arbitrary<Type> = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 24 }), fc.boolean()), { minLength: 1, maxLength: 6 })
  .filter((parts) => parts.reduce((sum, [width]) => sum + width, 0) <= 64)
  .map((parts) => {
    const sum = parts.reduce((total, [width]) => total + width, 0);
    return integral(
      name('Word'),
      uint(sum),
      fields(parts.map(([width, signed]) => (signed ? int(width) : uint(width)))),
    );
  });

const cScalar: Arbitrary<Type> = fc.constantFrom<Type[]>(
  u8,
  u16,
  u32,
  u64,
  int(8),
  int(32),
  int(64),
  uword,
  iword,
  bool,
  f64,
  text(5),
  bytes(3),
);

const cBitField: Arbitrary<Type> = fc
  .tuple(fc.constantFrom(u8, u16, u32, int(32)), fc.integer({ min: 1, max: 32 }))
  .map(([container, width]) => bitField(container, Math.min(width, container.bits)));

const { packed, natural } = fc.letrec<{ packed: Type; natural: Type }>((tie) => ({
  packed: fc
    .array(
      fc.oneof(
        { depthSize: 'small' },
        anyInteger,
        anyIntegral,
        fc.tuple(anyInteger, fc.integer({ min: 1, max: 9 })).map(([type, count]) => array(type, count)),
        tie('packed'),
      ),
      {
        minLength: 1,
        maxLength: 5,
      },
    )
    .map((types) => bitStruct(name('Packed'), fields(types))),
  natural: fc
    .tuple(
      fc.array(
        fc.oneof(
          { depthSize: 'small' },
          cScalar,
          cBitField,
          fc.tuple(cScalar, fc.integer({ min: 0, max: 4 })).map(([type, count]) => array(type, count)),
          tie('natural'),
        ),
        {
          minLength: 1,
          maxLength: 6,
        },
      ),
      fc.option(fc.constantFrom<Type>(uint(24), int(40), uint(48), int(56), array(uint(24), 2))),
    )
    .map(([types, odd]) =>
      odd === null
        ? struct(name('Natural'), fields(types))
        : struct(name('Tight'), fields([...types, odd, u8]), { packing: 'packed' }),
    ),
}));

const leastFirst: Arbitrary<Type> = fc
  .array(
    fc.oneof(
      anyInteger,
      fc.tuple(anyInteger, fc.integer({ min: 1, max: 9 })).map(([type, count]) => array(type, count)),
    ),
    { minLength: 1, maxLength: 5 },
  )
  .map((types) => bitStruct(name('Least'), fields(types), { order: 'lsb' }));

const withTag: Arbitrary<Type> = fc
  .tuple(natural, natural, fc.integer({ min: 0, max: 62 }))
  .map(([one, other, tag]) => {
    const head = integral(name('Head'), u16, { kind: uint(6), rest: uint(10) });
    return struct(name('Tagged'), {
      head,
      body: tagged(name('Body'), 'head.kind', { one: [tag, one], other: [63, other] }),
    });
  });

/** Structs packed to the bit and integral structs: types without padding. */
export const gaplessType: Arbitrary<Type> = fc.oneof(packed, leastFirst, anyIntegral);

/** Any type. */
export const anyType: Arbitrary<Type> = fc.oneof(packed, leastFirst, anyIntegral, natural, withTag);

/** Values of a type; the ends of ranges are frequent. */
export function valuesOf(type: Description): Arbitrary<unknown> {
  switch (type.kind) {
    case 'integer':
      return numbers(type.bits, type.signed, type.bits > 32);
    case 'word':
      // What fits the narrowest target.
      return numbers(32, type.signed, true);
    case 'bitField':
      return type.container.kind === 'boolean'
        ? fc.boolean()
        : numbers(type.width, type.container.signed, type.container.kind === 'word' || type.width > 32);
    case 'float':
      return fc.double({ noNaN: true });
    case 'boolean':
      return fc.boolean();
    case 'bytes':
      return fc.uint8Array({ minLength: type.count, maxLength: type.count });
    case 'text':
      return fc.string({ unit: fc.constantFrom('a', 'Z', '0', ' ', '~'), maxLength: type.count });
    case 'array':
      return fc.array(valuesOf(type.element), { minLength: type.count, maxLength: type.count });
    case 'struct':
      return type.fields.some((item) => item.type.kind === 'tagged') ? taggedValues(type.fields) : record(type.fields);
    case 'integral':
      return record(type.fields);
    default:
      throw new TypeError(type.kind);
  }
}

function record(list: readonly FieldDescription[]): Arbitrary<unknown> {
  return fc.record(Object.fromEntries(list.map((item) => [item.name, valuesOf(item.type)])));
}

function taggedValues(list: readonly FieldDescription[]): Arbitrary<unknown> {
  const [head, body] = list;
  if (head === undefined || body?.type.kind !== 'tagged') throw new TypeError('a head and a body');
  return fc.oneof(
    ...body.type.arms.map((arm) =>
      fc.record({
        head: fc.record({ kind: fc.constant(Number(arm.tag)), rest: numbers(10, false, false) }),
        body: fc.record({ arm: fc.constant(arm.name), value: valuesOf(arm.type) }),
      }),
    ),
  );
}

function numbers(bits: number, signed: boolean, wide: boolean): Arbitrary<number | bigint> {
  const low = signed ? -(1n << BigInt(bits - 1)) : 0n;
  const high = signed ? (1n << BigInt(bits - 1)) - 1n : (1n << BigInt(bits)) - 1n;
  const ends = [low, high, low + 1n > high ? high : low + 1n, 0n].filter((value) => value >= low && value <= high);
  return fc
    .oneof(fc.constantFrom(...ends), fc.bigInt({ min: low, max: high }))
    .map((value) => (wide ? value : Number(value)));
}
