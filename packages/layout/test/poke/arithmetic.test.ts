import { describe, expect, it } from 'vitest';
import { requireJudge } from '../../../../tests/support/judge.js';
import {
  add,
  and,
  ArithmeticError,
  cast,
  codec,
  compare,
  divide,
  divideUp,
  fromInteger,
  int,
  integral,
  modulo,
  multiply,
  negate,
  not,
  operand,
  or,
  power,
  s390x,
  shiftLeft,
  shiftRight,
  subtract,
  toInteger,
  typed,
  u32,
  u64,
  uint,
  xor,
  type Integer,
  type Integral,
  type TypedInteger,
  viewOf,
} from '../../src/index.js';
import { pokeEmitter } from '../../src/emit/index.js';
import { POKE, printed, runPoke } from '../support/poke.js';
import { RandomTypes } from '../support/random-types.js';

const CASES = Number(process.env['INSTAR_CASES'] ?? 1500);
const SEED = Number(process.env['INSTAR_SEED'] ?? 9_000_000);

type Binary = (left: TypedInteger, right: TypedInteger) => TypedInteger;
const truth = (value: boolean): TypedInteger => operand(value ? 1 : 0);

const BINARY: readonly [string, Binary][] = [
  ['+', add],
  ['-', subtract],
  ['*', multiply],
  ['/', divide],
  ['/^', divideUp],
  ['%', modulo],
  ['&', and],
  ['|', or],
  ['^', xor],
  ['<', (a, b) => truth(compare(a, b) < 0)],
  ['>=', (a, b) => truth(compare(a, b) >= 0)],
  ['==', (a, b) => truth(compare(a, b) === 0)],
];
const SHIFTS: readonly [string, Binary][] = [
  ['<<.', shiftLeft],
  ['.>>', shiftRight],
  ['**', power],
];
const UNARY: readonly [string, (value: TypedInteger) => TypedInteger][] = [
  ['-', negate],
  ['~', not],
];

function typeText({ bits, signed }: { readonly bits: number; readonly signed: boolean }): string {
  return `${signed ? 'int' : 'uint'}<${bits}>`;
}

/** What we make of a calculation, as GNU poke prints it below. */
function outcome(calculate: () => TypedInteger): string {
  try {
    const result = calculate();
    return `${BigInt.asUintN(64, result.value)} 1`;
  } catch (error) {
    if (error instanceof ArithmeticError) return error.code;
    throw error;
  }
}

interface Calculation {
  readonly expression: string;
  readonly calculate: () => TypedInteger;
}

/** Statements that print the result and whether it has the type that we say; an exception's name instead. */
function statement({ expression, calculate }: Calculation): string {
  let type = 'int<32>';
  try {
    type = typeText(calculate());
  } catch (error) {
    if (!(error instanceof ArithmeticError)) throw error;
  }
  const print = `printf ("%u64d %i32d\\n", (${expression}) as uint<64>, (${expression}) isa ${type});`;
  return (
    `try { ${print} } catch (Exception e) { printf ("%s\\n", e.code == EC_overflow ? "ARITHMETIC_OVERFLOW" ` +
    `: e.code == EC_div_by_zero ? "ARITHMETIC_DIVISION_BY_ZERO" : e.code == EC_out_of_bounds ? "ARITHMETIC_SHIFT" : e.name); }`
  );
}

async function judge(declarations: string, bytes: Uint8Array, calculations: readonly Calculation[]): Promise<void> {
  const found = await runPoke([declarations, ...calculations.map(statement)].join('\n'), bytes);
  const expected = calculations.map(({ expression, calculate }) => `${expression} => ${outcome(calculate)}`);
  expect(calculations.map(({ expression }, index) => `${expression} => ${found[index] ?? ''}`)).toEqual(expected);
}

describe('calculating as GNU poke does', () => {
  it(`${CASES} random operations, widths and signs`, async (context) => {
    requireJudge(context, POKE);
    const { random } = new RandomTypes(SEED);
    const lines = ['set_endian (ENDIAN_BIG);'];
    const chunks: Buffer[] = [];
    let length = 0;
    const variable = (name: string): TypedInteger => {
      const width = random.chance(2) ? random.pick([8, 16, 32, 64]) : random.between(1, 64);
      const type: Integer = random.chance(2) ? int(width) : uint(width);
      // Small values and the ends of the range are where rules show.
      const all = random.bytes(8).readBigUInt64BE();
      const value = random.pick([all, all & 15n, -1n, 1n << BigInt(width - 1), 0n]);
      const integer = cast(fromBits(value), type);
      const bytes = codec(type, s390x).encode(width <= 32 ? Number(integer.value) : integer.value);
      lines.push(`var ${name} = ${typeText(type)} @ ios : ${length}#B;`);
      chunks.push(Buffer.from(bytes));
      length += bytes.length;
      return integer;
    };
    const calculations = Array.from({ length: CASES }, (_, index): Calculation => {
      const [left, right] = [variable(`a${index}`), variable(`b${index}`)];
      if (random.chance(8)) {
        const [sign, calculate] = random.pick(UNARY as [(typeof UNARY)[number]]);
        return { expression: `${sign} a${index}`, calculate: () => calculate(left) };
      }
      if (random.chance(4)) {
        const [sign, calculate] = random.pick(SHIFTS as [(typeof SHIFTS)[number]]);
        // GNU poke's right shift by the width or more is what the processor makes of it.
        const count = random.below(sign === '**' ? 6 : sign === '.>>' ? left.bits : 64);
        lines.push(`var c${index} = ${count};`);
        return { expression: `a${index} ${sign} c${index}`, calculate: () => calculate(left, operand(count)) };
      }
      const [sign, calculate] = random.pick(BINARY as [(typeof BINARY)[number]]);
      if (sign === '/^' && !pokeDividesUp(left, right)) {
        return { expression: `a${index} + b${index}`, calculate: () => add(left, right) };
      }
      return { expression: `a${index} ${sign} b${index}`, calculate: () => calculate(left, right) };
    });
    await judge(lines.join('\n'), Buffer.concat(chunks), calculations);
  });
});

/** Whether GNU poke 2.4's `/^` is right: its (left + right - 1) / right goes wrong for negative numbers and large sums. */
function pokeDividesUp(left: TypedInteger, right: TypedInteger): boolean {
  const bits = Math.max(left.bits, right.bits);
  const signed = left.signed && right.signed;
  const [a, b] = signed
    ? [left.value, right.value]
    : [BigInt.asUintN(bits, left.value), BigInt.asUintN(bits, right.value)];
  const sum = a + b - 1n;
  return a >= 0n && b >= 0n && sum === (signed ? BigInt.asIntN(bits, sum) : BigInt.asUintN(bits, sum));
}

describe('dividing up', () => {
  it('gives the smallest integer that is not below the quotient, also where GNU poke does not', () => {
    const { random } = new RandomTypes(SEED + 1);
    for (let index = 0; index < 2000; index += 1) {
      const [a, b] = [BigInt(random.between(-500, 500)), BigInt(random.between(-20, 20))];
      if (b === 0n) continue;
      const { value } = divideUp(a, b);
      const above = (quotient: bigint): boolean => (b > 0n ? quotient * b >= a : quotient * b <= a);
      expect(above(value) && !above(value - 1n), `${a} /^ ${b} = ${value}`).toBe(true);
    }
    expect(divideUp({ bits: 8, signed: false, value: 255n }, { bits: 8, signed: false, value: 2n }).value).toBe(128n);
  });
});

describe('integral structs as integers', () => {
  const RelInfo = integral('RelInfo', u64, { r_sym: u32, r_type: u32 });

  it('promote in expressions: rel.r_info + 20 * rel.r_info.r_type', async (context) => {
    requireJudge(context, POKE);
    const bytes = Uint8Array.of(0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80);
    const info = codec(RelInfo, s390x).decode(bytes);
    const sum = (): TypedInteger => add(toInteger(RelInfo, info), multiply(20, typed(u32, info.r_type)));
    const types = { title: 'test', regions: [], constants: [], sets: [], types: [RelInfo] };
    const declarations = [
      pokeEmitter.emit(types, { target: s390x }),
      'set_endian (ENDIAN_BIG);',
      'var info = RelInfo @ ios : 0#B;',
    ].join('\n');
    await judge(declarations, bytes, [{ expression: 'info + 20 * info.r_type', calculate: sum }]);
    // 20 * 0x50607080 wraps around in uint<32>.
    expect(sum()).toEqual({
      bits: 64,
      signed: false,
      value: 0x1020304050607080n + ((20n * 0x50607080n) & 0xffff_ffffn),
    });
  });

  it('cast both ways: cut, extended with their sign, and split from the top', async (context) => {
    requireJudge(context, POKE);
    const CASTS = Number(process.env['INSTAR_CASES'] ?? 200);
    const lines: string[] = [];
    const calculations: Calculation[] = [];
    const statements: string[] = [];
    const values: bigint[] = [];
    const types: Integral<Record<string, unknown>>[] = [];
    const bytes: Buffer[] = [];
    let length = 0;
    for (let index = 0; index < CASTS; index += 1) {
      const random = new RandomTypes(SEED + 100 + index, `C${index}`);
      const type = random.integral(1);
      types.push(type);
      const place = random.random.bytes(8);
      const value = codec(type, s390x).decode(place);
      lines.push(`var v${index} = ${type.name} @ ios : ${length}#B;`);
      bytes.push(place);
      length += place.length;
      const target = random.integer();
      const name = typeText(target);
      calculations.push({ expression: `v${index} as ${name}`, calculate: () => cast(toInteger(type, value), target) });
      const number = random.random.bytes(8).readBigInt64BE();
      const back = printed(type, fromInteger(type, number), `w${index}`);
      const literal = `(0x${BigInt.asUintN(64, number).toString(16)}UL as ${type.name})`;
      statements.push(`var w${index} = ${literal};`, ...back.map((item) => item.statement));
      values.push(...back.flatMap((item) => item.values));
    }
    const unit = { title: 'test', regions: [], constants: [], sets: [], types };
    const declarations = [pokeEmitter.emit(unit, { target: s390x }), 'set_endian (ENDIAN_BIG);', ...lines].join('\n');
    await judge(declarations, Buffer.concat(bytes), calculations);
    const found = await runPoke([declarations, ...statements].join('\n'), Buffer.concat(bytes));
    expect(found).toEqual(values.map((value) => BigInt.asUintN(64, value).toString()));
  });

  it('take fields one by one', () => {
    const bytes = codec(RelInfo).encode({ r_sym: 3, r_type: 7 });
    const view = viewOf(codec(RelInfo), bytes);
    view.r_type = 8;
    expect(toInteger(RelInfo, codec(RelInfo).decode(bytes)).value).toBe(0x3_0000_0008n);
    expect(fromInteger(RelInfo, 0x5_0000_0006n)).toEqual({ r_sym: 5, r_type: 6 });
  });
});

function fromBits(value: bigint): TypedInteger {
  return { bits: 64, signed: true, value: BigInt.asIntN(64, value) };
}
