import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requireJudge, skipWithoutRight, type Judge } from '../../../../../tests/support/judge.js';
import { extract, extractFile, type ExtractedField } from '../index.js';

const GCC: Judge = { program: 'gcc', probe: ['--version'], package: 'gcc' };
const CLANG: Judge = { program: 'clang', probe: ['--version'], package: 'clang' };
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
