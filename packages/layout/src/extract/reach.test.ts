import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { requireJudge, type Judge } from '../../../../tests/support/judge.js';
import {
  canonicalAbi,
  cEmitter,
  jsonEmitter,
  pokeEmitter,
  rustEmitter,
  type Interface,
  type NamedDescription,
} from '../emit/index.js';
import { codec, TARGETS, x86_64, type Type } from '../index.js';
import { diffInterfaces, parseInterface } from '../versions/index.js';
import { extract, type Extraction, type ExtractOptions } from './index.js';

const GCC: Judge = { program: 'gcc', probe: ['--version'], package: 'gcc' };
const GXX: Judge = { program: 'g++', probe: ['--version'], package: 'g++' };
const CLANG: Judge = { program: 'clang', probe: ['--version'], package: 'clang' };

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'instar-reach-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function ask(
  text: string,
  types: readonly string[],
  more: Partial<ExtractOptions> = {},
  name = 'h.h',
): Promise<Extraction> {
  const header = join(folder, name);
  writeFileSync(header, text);
  return extract({ compiler: 'gcc', target: 'm64', header, types, ...more });
}

/** Bytes that a compiler makes of an initialiser, taken out of the object file and not run. */
function bytesOf(program: string, source: string): Uint8Array {
  const object = join(folder, 'value.o');
  execFileSync(program, ['-x', program === 'g++' ? 'c++' : 'c', '-c', '-o', object, '-'], { input: source });
  execFileSync('objcopy', ['-O', 'binary', '--only-section=.data', object, `${object}.bin`]);
  return Uint8Array.from(execFileSync('cat', [`${object}.bin`]));
}

function unit(types: readonly NamedDescription[]): Interface {
  return { title: 'x', regions: [], constants: [], sets: [], types };
}

/** The layout, once through canonical JSON. */
function kept(found: Extraction): { type: NamedDescription; again: Interface } {
  const types = found.types.map((item) => item.layout as NamedDescription);
  const again = parseInterface(JSON.parse(jsonEmitter.emit(unit(types), { target: x86_64 })) as unknown);
  const type = again.types.at(-1);
  if (type === undefined) throw new Error('a type');
  return { type, again };
}

function with_(judges: readonly Judge[], body: (context: TestContext) => Promise<void>) {
  return async (context: TestContext): Promise<void> => {
    for (const judge of judges) requireJudge(context, judge);
    await body(context);
  };
}

describe('enumerators', () => {
  const text = (three: number): string => `
    enum level { LOW = -2, MID = 3, HIGH = 40, ALSO_HIGH = 40, THREE = ${three} };
    typedef enum { ON, OFF } state;
    struct s { enum level one; enum level few : 7; state now; enum { INNER = 9 } own; enum level list[2]; };`;

  it(
    'stay with their fields through JSON, and come out under their own names in every language',
    with_([GCC], async () => {
      const { again } = kept(await ask(text(5), ['struct s']));
      expect(canonicalAbi(again)).toMatchObject({
        sets: {
          level: { values: { LOW: -2, MID: 3, HIGH: 40, ALSO_HIGH: 40, THREE: 5 } },
          state: { values: { ON: 0 } },
        },
      });
      const [type] = again.types;
      if (type?.kind !== 'struct') throw new Error('a struct');
      const sets = type.fields.map(({ type: field }) =>
        field.kind === 'integer'
          ? field.set?.name
          : field.kind === 'bitField' && 'set' in field.container
            ? field.container.set?.name
            : '',
      );
      expect(sets).toEqual(['level', 'level', 'state', 's_own', '']);
      const c = cEmitter.emit(again, { target: x86_64 });
      execFileSync('gcc', ['-std=c11', '-fsyntax-only', '-x', 'c', '-'], {
        input: `${c}int x[THREE + ALSO_HIGH + ON + INNER];`,
      });
      expect(rustEmitter.emit(again, { target: x86_64 })).toContain('pub const ALSO_HIGH: i32 = 40;');
      expect(pokeEmitter.emit(again, { target: x86_64 })).toContain('var THREE = 0x5U;');
    }),
  );

  it(
    'are compared: a changed value breaks, a new one does not',
    with_([GCC], async () => {
      const before = kept(await ask(text(5), ['struct s'])).again;
      const after = kept(await ask(text(6), ['struct s'])).again;
      expect(diffInterfaces(before, after).changes).toMatchObject([{ level: 'major', path: 'level.THREE' }]);
      const more = kept(await ask(text(5).replace('THREE', 'MORE = 70, THREE'), ['struct s'])).again;
      expect(diffInterfaces(before, more)).toMatchObject({ level: 'minor', changes: [{ path: 'level.MORE' }] });
      expect(diffInterfaces(before, before).level).toBe('none');
    }),
  );
});

describe('constants', () => {
  const text = `
    #define BIG 0xfedcba9876543210ull
    #define NEGATIVE ((short)-7)
    #define SIZE (sizeof(int) * COUNT)
    #define HALF 0.5f
    #define NAME "layout" "s"
    #define CHARACTER 'x'
    #define CALL(x) x
    enum { COUNT = 3 };
    typedef unsigned port;`;
  it(
    'have the value and the type that the compiler gives them, beside types',
    with_([GCC, CLANG], async () => {
      for (const compiler of ['gcc', 'clang']) {
        const names = ['BIG', 'NEGATIVE', 'SIZE', 'HALF', 'NAME', 'CHARACTER', 'COUNT', 'port'];
        const found = await ask(text, names, { compiler });
        expect(found.types.map((item) => item.name)).toEqual(['port']);
        expect(found.constants.map(({ name, value, size }) => [name, value, size])).toEqual([
          ['BIG', 0xfedc_ba98_7654_3210n, 8],
          ['NEGATIVE', -7n, 2],
          ['SIZE', 12n, 8],
          ['HALF', 0.5, 4],
          ['NAME', 'layouts', 8],
          ['CHARACTER', 120n, 4],
          ['COUNT', 3n, 4],
        ]);
      }
      await expect(ask(text, ['CALL'])).rejects.toMatchObject({ code: 'EXTRACT_UNKNOWN_TYPE' });
    }),
  );
});

describe('fields with a byte order of their own', () => {
  const header = `
    #include <linux/types.h>
    enum e { ONE = 1, TWO };
    struct net { __be16 port; __le32 size; __be64 list[2]; __u8 small; } __attribute__((packed));
    struct turned { unsigned a; enum e e; unsigned b : 4, c : 12; unsigned char d : 3, f : 5; double g; void *p; }
      __attribute__((scalar_storage_order("big-endian")));`;

  it(
    'are read in it',
    with_([GCC], async () => {
      const net = kept(await ask(header, ['struct net'])).type;
      const bytes = bytesOf(
        'gcc',
        `${header}struct net x = { __builtin_bswap16(80), 5, { 0, __builtin_bswap64(7) }, 9 };`,
      );
      expect(codec<unknown>(net as Type).decode(bytes)).toEqual({ port: 80, size: 5, list: [0n, 7n], small: 9 });
      const turned = kept(await ask(header, ['struct turned'])).type;
      const value = `${header}struct turned x = { 0x01020304, TWO, 5, 0x678, 3, 17, 1.5, (void *)0x1122 };`;
      expect(codec<unknown>(turned as Type).decode(bytesOf('gcc', value))).toEqual({
        a: 0x01020304,
        e: 2,
        b: 5,
        c: 0x678,
        d: 3,
        f: 17,
        g: 1.5,
        p: 0x1122n,
      });
      expect(() => cEmitter.emit(unit([turned]), { target: x86_64 })).toThrow(/byte order of its own/);
    }),
  );
});

describe('compilers and what they are told', () => {
  it(
    'pass on the flags of the caller, which may change the layout',
    with_([GCC], async () => {
      const before = join(folder, 'before.h');
      writeFileSync(before, 'typedef short half;\n');
      const text = 'struct s { char c; half h; long long x; int a : 3; char b : 4; };';
      const sizes: number[] = [];
      for (const flags of [[], ['-fpack-struct'], ['-mms-bitfields'], ['-fpack-struct=2', '-std=c99']]) {
        const found = await ask(text, ['struct s'], { flags: ['-include', before, ...flags] });
        sizes.push(found.types[0]?.size ?? 0);
        const source = `#include "${before}"\n${text}\nchar x[sizeof(struct s)] = { 1 };`;
        const args = ['-x', 'c', ...flags, '-c', '-o', join(folder, 'size.o'), '-'];
        execFileSync('gcc', args, { input: source });
        const listed = execFileSync('nm', ['-S', join(folder, 'size.o')], { encoding: 'utf8' });
        expect(Number.parseInt(listed.split(' ')[1] ?? '', 16), flags.join(' ')).toBe(sizes.at(-1));
      }
      expect(new Set(sizes).size).toBeGreaterThan(2);
    }),
  );

  const CPP = `
    #include <cstdint>
    namespace ns {
      struct Base { int32_t a; char c; };
      class Derived : public Base { char d; public: static int count; Derived(int); virtual ~Derived(); uint16_t list[2]; int &ref; };
      template <typename T> struct Pair { T first; T second; };
      enum class Mode : unsigned char { Off, On = 4 };
      struct Uses { Pair<short> pair; Mode mode; struct { int x; } inner; };
    }
    extern "C" { typedef struct { uint32_t a; uint8_t b; } Plain; }`;
  it.for(['gcc', 'clang'])('read classes, templates and scopes of C++ with %s', async (compiler, context) => {
    for (const judge of [GXX, ...(compiler === 'clang' ? [CLANG] : [])]) requireJudge(context, judge);
    const names = ['ns::Base', 'class ns::Derived', 'ns::Pair<int64_t>', 'ns::Uses', 'Plain', 'ns::Mode'];
    const { types, constants } = await ask(CPP, [...names, 'ns::Mode::On'], { compiler }, 'h.hpp');
    expect(types.map((item) => [item.name, item.size, item.align])).toEqual([
      ['ns::Base', 8, 4],
      ['class ns::Derived', 32, 8],
      ['ns::Pair<int64_t>', 16, 8],
      ['ns::Uses', 12, 4],
      ['Plain', 8, 4],
      ['ns::Mode', 1, 1],
    ]);
    expect(types[1]?.fields?.map((item) => [item.name?.replace(/\W.*/, ''), item.bitOffset / 8])).toEqual([
      ['_vptr', 0],
      ['a', 8],
      ['c', 12],
      ['d', 16],
      ['list', 18],
      ['ref', 24],
    ]);
    expect(constants).toMatchObject([{ name: 'ns::Mode::On', value: 4n, size: 1 }]);
    await expect(
      ask('struct A { int x; }; struct B : virtual A {};', ['B'], { compiler }, 'v.hpp'),
    ).rejects.toMatchObject({
      code: 'EXTRACT_UNSUPPORTED',
    });
  });

  it.for(TARGETS.map((target) => [target.name, target] as const))('lay out for %s', async ([, target], context) => {
    requireJudge(context, CLANG);
    const text = `struct s { char a; long long b; long c; char d : 3; int e : 4, : 0, f : 9; short : 2; char *g; double h;
      union { char i; long long j : 5; } k; struct { char l; int m : 20; short n : 9; long long o : 33; } p; };
      typedef struct s t;`;
    const found = await ask(text, ['struct s'], { compiler: 'clang', target });
    expect(found.target).toBe(target.name);
    // A natural struct of the language gave the compiler's places: nothing had to be mended.
    const [type] = found.types;
    if (type?.layout.kind !== 'struct') throw new Error('a struct');
    const alone = await ask(text.replace(', : 0,', ',').replace('short : 2;', ''), ['struct s'], {
      compiler: 'clang',
      target,
    });
    const layout = alone.types[0]?.layout;
    expect(layout?.kind === 'struct' && layout.packing === 'natural' && layout.align === undefined).toBe(true);
    expect(layout?.kind === 'struct' && layout.fields.every((item) => item.align === undefined)).toBe(true);
  });

  it('find a compiler for a target by themselves', async (context) => {
    requireJudge(context, CLANG);
    const text = 'struct s { char c; long x; };';
    const sizes: (number | undefined)[] = [];
    for (const target of ['m64', 'riscv64', 'mips', 'windows_x64'] as const) {
      const found = await ask(text, ['struct s'], { target, compiler: undefined });
      sizes.push(found.types[0]?.size);
    }
    expect(sizes).toEqual([16, 16, 8, 8]);
  });
});
