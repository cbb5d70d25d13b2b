import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { requireJudge, type Judge } from '../../../../tests/support/judge.js';
import {
  alignedTo,
  array,
  bytes,
  bytesOf,
  codec,
  i64,
  integral,
  magic,
  optional,
  pointedTo,
  sized,
  struct,
  textUntil,
  u16,
  u32,
  u64,
  u8,
  uint,
  variant,
} from '../../src/index.js';

const GCC: Judge = { program: 'gcc', probe: ['--version'], package: 'gcc' };
const READELF: Judge = { program: 'readelf', probe: ['--version'], package: 'binutils' };

// System V ABI, "Object Files"; little endian, 64 bits.
const Symbol64 = struct('Symbol', {
  name: u32,
  info: integral('Info', u8, { binding: uint(4), type: uint(4) }),
  other: u8,
  section: u16,
  value: u64,
  size: u64,
});
const Rela = struct('Rela', { offset: u64, info: integral('RelaInfo', u64, { symbol: u32, type: u32 }), addend: i64 });
const Note = struct('Note', {
  name_size: u32,
  size: u32,
  type: u32,
  name: bytesOf('name_size'),
  gap: alignedTo(4),
  value: bytesOf('size'),
  tail: alignedTo(4),
});
const Section = struct('Section', {
  name: u32,
  type: u32,
  flags: u64,
  address: u64,
  offset: u64,
  size: u64,
  link: u32,
  info: u32,
  alignment: u64,
  entry_size: u64,
  // SHT_NULL and SHT_NOBITS have none.
  body: optional(
    pointedTo(
      'offset',
      sized(
        'size',
        variant('body', 'type', {
          symbols: [2, array(Symbol64)],
          strings: [3, array(textUntil())],
          relocations: [4, array(Rela)],
          notes: [7, array(Note)],
          dynamic_symbols: [11, array(Symbol64)],
          other: ['otherwise', bytesOf()],
        }),
      ),
    ),
    ({ type }) => type !== 0 && type !== 8,
  ),
});
const Segment = struct('Segment', {
  type: u32,
  flags: u32,
  offset: u64,
  address: u64,
  physical: u64,
  file_size: u64,
  memory_size: u64,
  alignment: u64,
});
const Elf = struct('Elf', {
  magic: magic(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1)),
  abi: u8,
  padding: bytes(8),
  type: u16,
  machine: u16,
  version: u32,
  entry: u64,
  phoff: u64,
  shoff: u64,
  flags: u32,
  header_size: u16,
  segment_size: u16,
  segment_count: u16,
  section_size: u16,
  section_count: u16,
  names: u16,
  segments: pointedTo('phoff', array(Segment, 'segment_count')),
  sections: pointedTo('shoff', array(Section, 'section_count')),
});

const directory = mkdtempSync(join(tmpdir(), 'instar-elf-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const SOURCE = `
#include <stdio.h>
int counter = 7;
static const char *words[] = { "one", "two" };
int unused[1000];
int twice(int number) { return 2 * number; }
int main(void) { return printf("%s %d\\n", words[1], twice(counter)) < 0; }
`;

/** What readelf says of a file. */
function readelf(...words: string[]): string {
  return execFileSync('readelf', ['--wide', ...words], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
}

describe('ELF files of gcc and binutils', () => {
  it.for([
    ['an object', ['-c', '-g']],
    ['a program', []],
    ['a program without symbols', ['-s']],
    ['a library', ['-shared', '-fPIC']],
  ] as const)('%s comes back byte for byte, with what readelf says in it', ([, options], context) => {
    requireJudge(context, GCC);
    requireJudge(context, READELF);
    const [source, file] = [join(directory, 'a.c'), join(directory, `out${options.join('')}`)];
    writeFileSync(source, SOURCE);
    execFileSync('gcc', [...options, '-o', file, source]);
    const stored = readFileSync(file);
    const elf = codec(Elf);
    for (let turn = 0; turn < 4; turn += 1) {
      expect(Buffer.from(elf.encode(elf.decode(stored))).equals(stored)).toBe(true);
    }

    const value = elf.decode(stored);
    const nameAt = (table: number, offset: number): string => {
      const { offset: place } = value.sections[table] ?? { offset: 0n };
      const text = stored.subarray(Number(place) + offset);
      return text.subarray(0, text.indexOf(0)).toString('latin1');
    };
    const rows = readelf('-S', file).matchAll(/^ +\[ *(\d+)\] (\S*) +[A-Z]\S* +([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+) /gm);
    const seen = [...rows].map(([, number, name, address, offset, size]) =>
      [number, name, address, offset, size].join(),
    );
    const hex = (number: bigint, width: number): string => number.toString(16).padStart(width, '0');
    const mine = value.sections.map((item, index) =>
      [index, nameAt(value.names, item.name), hex(item.address, 16), hex(item.offset, 6), hex(item.size, 6)].join(),
    );
    expect(mine.slice(1)).toEqual(seen.filter((row) => !row.startsWith('0,')));

    const symbols = value.sections.flatMap(({ body, link }) =>
      body?.arm === 'symbols' || body?.arm === 'dynamic_symbols'
        ? body.value.map((item) => `${hex(item.value, 16)} ${item.size} ${nameAt(link, item.name).replace(/@.*/, '')}`)
        : [],
    );
    const listed = [...readelf('-s', file).matchAll(/^ *\d+: ([0-9a-f]+) +(\d+) (\S+) +\S+ +\S+ +\S+ ?(\S*)/gm)];
    // Symbols of sections have no name of their own, those of libraries a version behind it.
    const wanted = listed.map(
      ([, at, size, type, name = '']) => `${at} ${size} ${type === 'SECTION' ? '' : name.replace(/@.*/, '')}`,
    );
    expect([...symbols].sort()).toEqual([...wanted].sort());
  });

  it('are written from what is known of them, and readelf reads them', (context) => {
    requireJudge(context, READELF);
    const text = Buffer.from('made here\0');
    const file = join(directory, 'made');
    const base = { flags: 0n, address: 0n, link: 0, info: 0, alignment: 1n, entry_size: 0n };
    const made = codec(Elf).encode({
      type: 1,
      machine: 62,
      version: 1,
      header_size: 64,
      section_size: 64,
      names: 2,
      phoff: 0n,
      segments: [],
      sections: [
        { ...base, name: 0, type: 0, offset: 0n, size: 0n },
        {
          ...base,
          name: 11,
          type: 7,
          alignment: 4n,
          body: { arm: 'notes', value: [{ type: 9, name: Buffer.from('mine\0'), value: text }] },
        },
        { ...base, name: 1, type: 3, body: { arm: 'strings', value: ['', '.shstrtab', '.note', '.text'] } },
        { ...base, name: 17, type: 1, body: { arm: 'other', value: Uint8Array.of(0x90, 0xc3) } },
      ],
    } as never);
    writeFileSync(file, made);
    expect(readelf('-S', file)).toMatch(/\[ 3\] \.text +PROGBITS +0{16} [0-9a-f]{6} 000002 /);
    expect(readelf('-n', file)).toMatch(/mine +0x0000000a/);
    expect(execFileSync('readelf', ['--lint', '-h', file], { encoding: 'utf8', stdio: 'pipe' })).not.toMatch(/Warning/);
  });
});
