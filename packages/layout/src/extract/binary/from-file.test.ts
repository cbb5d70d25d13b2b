import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requireJudge, skipWithoutRight, type Judge } from '../../../../../tests/support/judge.js';
import { extract, extractFile, type ExtractedField } from '../index.js';

const GCC: Judge = { program: 'gcc', probe: ['--version'], package: 'gcc' };
const CLANG: Judge = { program: 'clang', probe: ['--version'], package: 'clang' };
const PAHOLE: Judge = { program: 'pahole', probe: ['--version'], package: 'pahole' };
const GDB: Judge = { program: 'gdb', probe: ['--version'], package: 'gdb' };

const SOURCE = `
#ifndef PAIRS
#define PAIRS [2][3]
#endif
enum level { LOW = -1, HIGH = 70000 };
typedef struct { unsigned short x, y; } pair;
struct node {
  char name[6]; enum level level : 20; unsigned flags : 3; struct node *next; pair pairs PAIRS;
  union { int word; struct { unsigned char raw[4]; }; }; double real; _Bool yes; long last; int tail[];
} __attribute__((aligned(16)));
struct node *instar_node; pair instar_pair; enum level instar_level;
int main(void) { return instar_node != 0; }
`;

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'instar-binary-'));
  writeFileSync(join(folder, 'a.c'), SOURCE);
  writeFileSync(join(folder, 'b.c'), 'struct other { int z; }; struct other other;\n');
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const at = (name: string): string => join(folder, name);

/** Programs of several units, in the ways in which compilers write types. */
const WAYS: readonly (readonly [name: string, judge: Judge, words: readonly string[]])[] = [
  ['gcc-5', GCC, ['-g', '-gdwarf-5']],
  ['gcc-4', GCC, ['-g', '-gdwarf-4', '-O2']],
  ['gcc-compressed', GCC, ['-g', '-gz=zlib']],
  ['gcc-object', GCC, ['-g', '-c']],
  ['clang-5', CLANG, ['-g', '-gdwarf-5']],
  ['clang-object', CLANG, ['-g', '-gdwarf-4', '-c']],
  // gcc 12 writes the dimensions of an array into BTF the wrong way round.
  ['gcc-btf', GCC, ['-gbtf', '-c', '-DPAIRS=[6]']],
];

const lines = (fields: readonly ExtractedField[] | undefined): unknown =>
  (fields ?? []).map((item) => [item.name, item.kind, item.bitOffset, item.bitWidth, item.counts, lines(item.fields)]);

describe('types of a file', () => {
  it.for(WAYS)('are those that the compiler of its source says: %s', async ([name, judge, words], context) => {
    requireJudge(context, judge);
    requireJudge(context, GCC);
    const sources = words.includes('-c') ? [at('a.c')] : [at('b.c'), at('a.c')];
    execFileSync(judge.program, [...words, '-o', at(name), ...sources]);
    const types = ['struct node', 'pair', 'enum level'];
    const expected = await extract({
      compiler: 'gcc',
      target: 'm64',
      header: at('a.c'),
      types,
      defines: words.some((word) => word.startsWith('-D')) ? { PAIRS: '[6]' } : {},
    });
    const found = extractFile({ file: at(name), types: [...types, 'HIGH'] });
    expect(found.compiler).toBe(name === 'gcc-btf' ? 'BTF' : 'DWARF');
    expect(found.target).toBe('x86_64');
    found.types.forEach((type, index) => {
      const other = expected.types[index];
      // The alignment that an attribute gave stands in no debug information.
      expect([type.size, type.values]).toEqual([other?.size, other?.values]);
      expect(lines(type.fields)).toEqual(lines(other?.fields));
    });
    expect(found.constants).toMatchObject([{ name: 'HIGH', value: 70_000n }]);
  });

  it.each([
    ['a program', ['-g']],
    ['an object, of which relocations are read', ['-g', '-c']],
    ['an object with BTF', ['-gbtf', '-c']],
  ])('are the same where a file is so large that little of it is read: %s', (_what, words) => {
    const large = `${SOURCE.replace('PAIRS [2][3]', 'PAIRS [6]')} char large[3 << 20] = { 1 };`;
    writeFileSync(at('large.c'), large);
    execFileSync('gcc', [...words, '-o', at('large'), at('large.c')]);
    const bytes = readFileSync(at('large'));
    expect(bytes.length).toBeGreaterThan(3 << 20);
    const types = ['struct node', 'pair', 'enum level', 'LOW'];
    const read = extractFile({ file: at('large'), types });
    expect(read).toEqual(extractFile({ file: at('large'), bytes, types }));
    expect(read.types[1]).toMatchObject({ name: 'pair', size: 4 });
  });

  it('are refused of a file for which there is no memory', () => {
    writeFileSync(at('endless'), readFileSync(at('large')));
    truncateSync(at('endless'), 2 ** 43);
    expect(() => extractFile({ file: at('endless'), types: ['struct node'] })).toThrow(
      expect.objectContaining({ code: 'EXTRACT_BINARY', message: expect.stringContaining('no memory') as string }),
    );
  });

  it('are those of gdb', (context) => {
    requireJudge(context, GCC);
    requireJudge(context, GDB);
    execFileSync('gcc', ['-g', '-o', at('gdb'), at('b.c'), at('a.c')]);
    const [type] = extractFile({ file: at('gdb'), types: ['struct node'] }).types;
    for (const field of type?.fields ?? []) {
      if (field.name === null || field.bitField) continue;
      const question = `print (int)(long)&((struct node *)0)->${field.name}`;
      const answer = execFileSync('gdb', ['-batch', '-nx', '-ex', question, at('gdb')], { encoding: 'utf8' });
      expect(answer.trim(), field.name).toBe(`$1 = ${field.bitOffset / 8}`);
    }
  });

  it('are those of a module, whose BTF was split from that of a kernel: pahole shows the same', (context) => {
    requireJudge(context, GCC);
    requireJudge(context, PAHOLE);
    const shared = SOURCE.replace(/struct node \*instar_node;[^]*$/, '');
    const module = `${shared}
      enum mine { ONE = 1, TWO = 2 };
      struct own { pair first; struct node *other; enum mine mine; unsigned low : 5, high : 20; struct node nodes[2]; long end; };
      struct own own;`;
    writeFileSync(at('base.c'), `${SOURCE} enum { WIDE = 0x7fffffff } wide; long word;`);
    writeFileSync(at('module.c'), module);
    execFileSync('gcc', ['-g', '-DPAIRS=[6]', '-o', at('base'), at('base.c')]);
    execFileSync('gcc', ['-g', '-DPAIRS=[6]', '-c', '-o', at('module.ko'), at('module.c')]);
    execFileSync('pahole', ['-J', at('base')]);
    execFileSync('pahole', ['-J', '--btf_base', at('base'), at('module.ko')]);
    const words = ['-F', 'btf', '--btf_base', at('base')];
    const places = (type: string): string[] => {
      const text = execFileSync('pahole', [...words, '-C', type, at('module.ko')], { encoding: 'utf8' });
      const members = [...text.matchAll(/^\t([^\t].*);\s+\/\*\s+(\d+)(?::\s*(\d+))?\s+\d+\s*\*\/$/gm)];
      const found = members.flatMap(([, declaration = '', byte, bit = '0']) => {
        const name = /(\w+)(?:\[\d*\])*(?::\d+)?$/.exec(declaration.replace(/\s+__attribute__.*$/, ''))?.[1];
        return name === undefined ? [] : [`${name} ${Number(byte) * 8 + Number(bit)}`];
      });
      const size = /size: (\d+)/.exec(text)?.[1];
      return [...found, `size ${size}`];
    };
    const file = { file: at('module.ko'), base: at('base') };
    const { types, constants } = extractFile({ ...file, types: ['struct own', 'struct node', 'pair', 'TWO', 'WIDE'] });
    const mine = types.map((type) => [
      ...(type.fields ?? []).filter(({ name }) => name !== null).map((item) => `${item.name} ${item.bitOffset}`),
      `size ${type.size}`,
    ]);
    expect(mine[0]).toEqual(places('own'));
    expect(mine[0]).toHaveLength(8);
    // What the module shares with the kernel stands in the kernel's BTF alone.
    expect(mine[1]).toEqual(places('node'));
    expect(mine[2]).toEqual(['x 0', 'y 16', 'size 4']);
    expect(constants).toMatchObject([
      { name: 'TWO', value: 2n },
      { name: 'WIDE', value: 0x7fff_ffffn },
    ]);
    // Without the kernel, or with another one, its numbers lead nowhere.
    expect(() => extractFile({ file: at('module.ko'), types: ['struct own'] })).toThrow(
      expect.objectContaining({ code: 'EXTRACT_BINARY' }),
    );
    expect(() => extractFile({ ...file, base: at('module.ko'), types: ['struct own'] })).toThrow(
      expect.objectContaining({ code: 'EXTRACT_BINARY' }),
    );
    // Damaged, it never ends otherwise.
    const whole = readFileSync(at('module.ko'));
    for (let seed = 1; seed <= 150; seed += 1) {
      const bytes = Uint8Array.from(whole);
      for (let index = 0; index < 20; index += 1)
        bytes[(seed * 7919 + index * 104_729 * seed) % bytes.length] = (seed * 31 + index) & 0xff;
      try {
        extractFile({ ...file, bytes, types: ['struct own'] });
      } catch (error) {
        expect((error as Error).name, String((error as Error).stack)).toMatch(/^(ExtractError|LayoutError)$/);
      }
    }
  });

  it('are read out of the running kernel', (context) => {
    const file = '/sys/kernel/btf/vmlinux';
    if (!existsSync(file)) skipWithoutRight(context, 'this kernel shows no BTF');
    const started = performance.now();
    const { types } = extractFile({
      file,
      types: ['struct list_head', 'struct task_struct', 'struct sk_buff', 'struct page'],
    });
    expect(performance.now() - started).toBeLessThan(5000);
    expect(types.map((type) => type.size).slice(0, 1)).toEqual([16]);
    for (const type of types) {
      const end = (type.fields ?? []).reduce((most, item) => Math.max(most, item.bitOffset + item.bitWidth), 0);
      expect(end).toBeLessThanOrEqual(type.size * 8);
    }
  });

  it.each<[about: string, make: () => Uint8Array, code: string]>([
    ['neither ELF nor BTF', () => Buffer.from('#!/bin/sh\n'), 'EXTRACT_BINARY'],
    [
      'BTF that is cut off',
      () => Uint8Array.of(0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
      'EXTRACT_BINARY',
    ],
    [
      'ELF that is cut off',
      () =>
        Buffer.concat([
          Buffer.from('7f454c4602010100', 'hex'),
          Buffer.alloc(8),
          Buffer.from('03003e00', 'hex'),
          Buffer.alloc(44, 0xff),
        ]),
      'EXTRACT_BINARY',
    ],
  ])('are refused of %s', (_about, make, code) => {
    writeFileSync(at('bad'), make());
    expect(() => extractFile({ file: at('bad'), types: ['struct a'] })).toThrow(expect.objectContaining({ code }));
    expect(() => extractFile({ file: at('none'), types: ['struct a'] })).toThrow(/cannot be read \(ENOENT\)/);
  });

  it('are refused by name, and a damaged file never ends otherwise', (context) => {
    requireJudge(context, GCC);
    for (const [name, flags] of [
      ['x', ['-g']],
      ['y.o', ['-gbtf', '-c']],
    ] as const) {
      execFileSync('gcc', [...flags, '-o', at(name), at('a.c')]);
      expect(() => extractFile({ file: at(name), types: ['struct nowhere'] })).toThrow(
        /struct nowhere is not in the (DWARF|BTF) of /,
      );
      const whole = readFileSync(at(name));
      for (let seed = 1; seed <= 150; seed += 1) {
        const bad = Uint8Array.from(whole);
        for (let index = 0; index < 20; index += 1)
          bad[(seed * 7919 + index * 104_729 * seed) % bad.length] = (seed * 31 + index) & 0xff;
        writeFileSync(at('bad'), bad);
        try {
          extractFile({ file: at('bad'), types: ['struct node'] });
        } catch (error) {
          expect((error as Error).name, String((error as Error).stack)).toMatch(/^(ExtractError|LayoutError)$/);
        }
      }
    }
  });
});
