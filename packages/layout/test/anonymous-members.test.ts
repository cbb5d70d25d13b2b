import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from 'vitest';
import { requireJudge, type Judge } from '../../../tests/support/judge.js';
import { extract } from '../src/extract/index.js';
import {
  anonymous,
  array,
  bitField,
  bitStruct,
  codec,
  f64,
  i32,
  struct,
  u16,
  u32,
  u64,
  u8,
  uint,
  union,
  viewOf,
  x86_64,
} from '../src/index.js';
import { cEmitter, jsonEmitter, rustEmitter, type Interface, type NamedDescription } from '../src/emit/index.js';
import { diffInterfaces, parseInterface } from '../src/versions/index.js';
import { rustRefusals } from './support/compilers.js';

const GCC: Judge = { program: 'gcc', probe: ['--version'], package: 'gcc' };

/** As C has it: `struct { int kind; union { struct { int low, high; }; double real; }; unsigned char flags : 3; struct { … }; }`. */
const Pair = struct('Pair', { low: i32, high: i32 });
const Number = union('Number', { halves: anonymous(Pair), real: f64 });
const Rest = struct('Rest', { a: bitField(u32, 3), b: bitField(u32, 29) });
const Record = struct('Record', { kind: i32, number: anonymous(Number), rest: anonymous(Rest), last: u8 });

const HEADER = `
#include <stdint.h>
struct inner { uint16_t x; };
struct record {
  int kind;
  union { struct { int low, high; }; double real; struct inner one[2]; };
  struct { unsigned a : 3, b : 29; } __attribute__((packed));
  struct inner named;
  uint8_t last;
};`;

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'instar-anonymous-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function unit(types: readonly NamedDescription[]): Interface {
  return { title: 'x', regions: [], constants: [], sets: [], types };
}

async function extracted(text: string, name: string): Promise<NamedDescription> {
  const header = join(folder, 'h.h');
  writeFileSync(header, text);
  const { types } = await extract({ compiler: 'gcc', target: 'm64', header, types: [name] });
  return types[0]?.layout as NamedDescription;
}

describe('anonymous members', () => {
  it('stand in the value of the struct around them, read, written, viewed and zero', () => {
    const described = codec(Record);
    const bytes = Uint8Array.from(Buffer.from('0900000000000000' + '000000000000f03f' + '0d00000007000000', 'hex'));
    for (let round = 0; round < 5; round += 1) {
      const value = described.decode(bytes);
      expectTypeOf(value.low).toEqualTypeOf<number | undefined>();
      expect(value).toEqual({ kind: 9, low: 0, high: 0x3ff00000, real: 1, a: 5, b: 1, last: 7 });
      const { real: _, ...halves } = value;
      expect(Buffer.from(described.encode(halves))).toEqual(Buffer.from(bytes));
      expect(Buffer.from(described.encode({ kind: 9, real: 1, a: 5, b: 1, last: 7 }))).toEqual(Buffer.from(bytes));
      expect(() => described.encode(value)).toThrow(/at once, expected one arm/);
      expect(() => described.encode({ kind: 9, rael: 1 } as { kind: number })).toThrow(/Record\.rael .*no such field/);
    }
    const view = viewOf(described, bytes);
    view.high = 0x40000000;
    expect([view.real, view.kind, view.b]).toEqual([2, 9, 1]);
    expect(described.zero()).toEqual({ kind: 0, low: 0, high: 0, real: 0, a: 0, b: 0, last: 0 });
  });

  it('are members of the same names in C', async (context) => {
    requireJudge(context, GCC);
    for (const [type, name] of [
      [Record, 'Record'],
      [await extracted(HEADER, 'struct record'), 'record'],
    ] as const) {
      const again = parseInterface(JSON.parse(jsonEmitter.emit(unit([type]), { target: x86_64 })) as unknown);
      const use = `int f(${name} *p) { p->a = 1; p->b = 2; p->real = 3; return p->kind + p->low + p->high + p->last; }\n`;
      const source = cEmitter.emit(again, { target: x86_64 }) + use;
      const ended = spawnSync('gcc', ['-std=c11', '-Wall', '-fsyntax-only', '-x', 'c', '-'], {
        input: source,
        encoding: 'utf8',
      });
      expect(ended.stderr).toBe('');
      expect(await rustRefusals(context, rustEmitter.emit(again, { target: x86_64 }))).toBe('');
    }
  });

  it('stay in a member with a name where they are bits, which have no names in C', (context) => {
    requireJudge(context, GCC);
    const head = bitStruct('Head', { high: uint(3), low: uint(5) });
    const type = struct('Row', { kind: u16, head: anonymous(head), last: u8 }, { packing: 'packed' });
    const source = cEmitter.emit(unit([type]), { target: x86_64 });
    const use =
      'int f(Row *p) { return p->kind + p->head.bytes[0] + p->last; }\n_Static_assert(sizeof(Row) == 4, "4");\n';
    const words = ['-std=c11', '-Wall', '-fsyntax-only', '-x', 'c', '-'];
    expect(spawnSync('gcc', words, { input: source + use, encoding: 'utf8' }).stderr).toBe('');
  });

  it('may take in what stood beside them without a change that C code sees', async (context) => {
    requireJudge(context, GCC);
    const before = 'struct s { int kind; unsigned a; unsigned long long b; };';
    const versions: readonly (readonly [level: string, text: string])[] = [
      ['none', 'struct s { struct { int kind; struct { unsigned a; }; }; unsigned long long b; };'],
      ['minor', 'struct s { int kind; union { unsigned a; float f; }; unsigned long long b; };'],
      ['minor', 'struct s { int kind; unsigned a; union { unsigned long long b; struct { int c; int d; }; }; };'],
      ['major', 'struct s { int kind; union { short a; float f; }; unsigned long long b; };'],
      ['major', 'struct s { int kind; unsigned a; union { struct { int c; int d; }; void *q; }; };'],
      ['major', 'struct s { int kind; union { unsigned a; float f; } u; unsigned long long b; };'],
    ];
    for (const [level, text] of versions) {
      const older = unit([await extracted(before, 'struct s')]);
      const newer = unit([await extracted(text, 'struct s')]);
      expect(diffInterfaces(older, newer).level, text).toBe(level);
    }
  });

  it('are structs and unions only', () => {
    expect(() => struct('S', { a: { type: u16, anonymous: true } })).toThrow(/S\.a .*found integer/);
  });
});

describe('space that a header reserves', () => {
  it('may be taken into use', () => {
    const before = unit([struct('S', { a: u32, reserved: u64, _pad: u32, end: u32 })]);
    const smaller = unit([struct('S', { a: u32, flags: u32, reserved: u32, level: u16, _pad: u16, end: u32 })]);
    const larger = unit([struct('S', { a: u32, wide: u64, end: u32 })]);
    expect(diffInterfaces(before, smaller).level).toBe('major');
    expect(diffInterfaces(before, larger).level).toBe('major');
    const aligned = unit([struct('S', { a: u32, b: u32, reserved: array(u32, 2), _pad: u32, end: u32 })]);
    const taken = unit([struct('S', { a: u32, b: u32, flags: u32, reserved: u32, level: u16, _pad: u16, end: u32 })]);
    const { level, changes } = diffInterfaces(aligned, taken);
    expect(changes.map((item) => [item.kind, item.path])).toEqual([
      ['filled', 'S.flags'],
      ['filled', 'S.level'],
    ]);
    expect(level).toBe('minor');
  });
});
