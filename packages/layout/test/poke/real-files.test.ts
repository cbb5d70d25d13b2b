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
  checksum,
  codec,
  i32,
  integral,
  LayoutError,
  magic,
  optional,
  pointedTo,
  ranged,
  s390x,
  sized,
  struct,
  textUntil,
  u16,
  u32,
  u64,
  u8,
  uint,
  variant,
  when,
  x86_64,
  type Struct,
  type Target,
} from '../../src/index.js';
import { pokeEmitter } from '../../src/emit/index.js';
import { POKE, runPoke } from '../support/poke.js';
import { printedVariable } from '../support/printed-variable.js';

const directory = mkdtempSync(join(tmpdir(), 'instar-pickles-'));
const place = (name: string): string => join(directory, name);
afterAll(() => {
  rmSync(directory, { recursive: true });
});
const judge = (program: string, word: string, name = program): Judge => ({ program, probe: [word], package: name });

// System V ABI, "Object Files"; little endian, 64 bits.
const Elf = struct('Elf', {
  magic: magic(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1)),
  abi: u8,
  padding: bytes(8),
  type: ranged(u16, { least: 1, most: 4 }),
  machine: u16,
  version: { type: u32, value: 1 },
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
  segments: pointedTo(
    'phoff',
    array(
      struct('Segment', {
        type: u32,
        flags: u32,
        offset: u64,
        address: u64,
        physical: u64,
        file_size: u64,
        memory_size: u64,
        alignment: u64,
      }),
      'segment_count',
    ),
  ),
  sections: pointedTo(
    'shoff',
    array(
      struct('Section', {
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
      }),
      'section_count',
    ),
  ),
});

const Notes = struct('Notes', {
  notes: array(
    struct('Note', {
      name_size: u32,
      size: u32,
      type: u32,
      name: bytesOf('name_size'),
      gap: alignedTo(4),
      value: bytesOf('size'),
      tail: alignedTo(4),
    }),
  ),
});

// PNG, third edition, 5.3 and 11.2; big endian.
const Png = struct('Png', {
  signature: magic(Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10)),
  chunks: array(
    struct('Chunk', {
      length: u32,
      kind: u32,
      data: sized(
        'length',
        variant('data', 'kind', {
          header: [
            0x4948_4452,
            struct('Header', {
              width: ranged(u32, { least: 1, most: 0x7fff_ffff }),
              height: u32,
              depth: u8,
              colour: u8,
              packing: { type: u8, value: 0 },
              filter: { type: u8, value: 0 },
              interlace: ranged(u8, { most: 1 }),
            }),
          ],
          pixels: [0x4944_4154, bytesOf()],
          other: ['otherwise', bytesOf()],
        }),
      ),
      crc: checksum(u32, 'crc32', 'kind', 'data'),
    }),
  ),
});

// draft-ietf-opsawg-pcap.
const Pcap = struct('Pcap', {
  magic: { type: u32, value: 0xa1b2_c3d4 },
  major: u16,
  minor: u16,
  zone: u32,
  accuracy: u32,
  longest: u32,
  link: u32,
  packets: array(
    struct('Packet', {
      seconds: u32,
      fraction: ranged(u32, { most: 999_999 }),
      length: u32,
      original: u32,
      frame: sized(
        'length',
        struct('Frame', {
          to: bytes(6),
          from: bytes(6),
          protocol: uint(16, { endian: 'big' }),
          fourth: optional(integral('Fourth', u8, { version: uint(4), words: uint(4) }), when('protocol', '==', 0x800)),
          rest: bytesOf(),
        }),
      ),
    }),
  ),
});

// Linux, Documentation/bpf/btf.rst.
const Members = array(struct('Member', { name: u32, type: u32, offset: u32 }), 'info.vlen');
const Btf = struct('Btf', {
  magic: { type: u16, value: 0xeb9f },
  version: { type: u8, value: 1 },
  flags: u8,
  header_length: { type: u32, value: 24 },
  types_offset: { type: u32, value: 0 },
  types_length: u32,
  strings_offset: u32,
  strings_length: u32,
  types: sized(
    'types_length',
    array(
      struct('BtfType', {
        name: u32,
        info: integral('Info', u32, {
          flag: uint(1),
          unused: uint(2),
          kind: uint(5),
          reserved: uint(8),
          vlen: uint(16),
        }),
        size_or_type: u32,
        body: variant('body', 'info.kind', {
          integer: [1, u32],
          array: [3, struct('Array', { type: u32, index: u32, count: u32 })],
          struct: [4, struct('Struct', { members: Members })],
          union: [5, struct('Union', { members: Members })],
          enumeration: [6, array(struct('Constant', { name: u32, value: i32 }), 'info.vlen')],
          prototype: [13, array(struct('Parameter', { name: u32, type: u32 }), 'info.vlen')],
          variable: [14, u32],
          section: [15, array(struct('Variable', { type: u32, offset: u32, size: u32 }), 'info.vlen')],
          other: ['otherwise', bytes(0)],
        }),
      }),
    ),
  ),
  strings: sized('strings_length', array(textUntil())),
});

const SOURCE = `
enum colour { RED, GREEN = -7 };
union value { int whole; float part; };
struct point { int x, y; const char *name; union value values[3]; unsigned low : 3, high : 5; };
int (*handler)(struct point *, enum colour);
struct point origin;
int main(int count, char **words) { return handler(&origin, RED) + count + (words != 0); }
`;

function pickleOf(type: Struct<unknown>, target: Target): string {
  return pokeEmitter.emit({ title: 'a file', regions: [], constants: [], sets: [], types: [type] }, { target });
}

/** Reads a file by GNU poke and by us; the result is how many integers were the same. */
async function compared(type: Struct<unknown>, target: Target, file: Uint8Array): Promise<number> {
  const printed = printedVariable(type, codec(type, target).decode(file), 'v', target);
  const script = [
    'var f = open ("bytes0");',
    pickleOf(type, target),
    `set_endian (ENDIAN_${target.endian.toUpperCase()});`,
    `var v = ${type.name} @ f : 0#B;`,
    ...printed.map(({ statement }) => statement),
  ];
  const expected = printed.flatMap(({ values }) => values.map((value) => BigInt.asUintN(64, value).toString()));
  expect(await runPoke(script.join('\n'), [file])).toEqual(expected);
  return expected.length;
}

describe('pickles of structs whose parts vary, on files of other programs', { timeout: 120_000 }, () => {
  it('an object of gcc: headers, notes and types', async (context) => {
    for (const one of [POKE, judge('gcc', '--version'), judge('objcopy', '--version', 'binutils')]) {
      requireJudge(context, one);
    }
    writeFileSync(place('a.c'), SOURCE);
    execFileSync('gcc', ['-gbtf', '-c', '-o', place('a.o'), place('a.c')]);
    execFileSync('gcc', ['-o', place('program'), place('a.c')]);
    const cut = (file: string, section: string): Buffer => {
      const flags = section === '.BTF' ? ['--set-section-flags', '.BTF=alloc'] : [];
      const words = [`--only-section=${section}`, ...flags];
      execFileSync('objcopy', ['-O', 'binary', ...words, place(file), place('cut')]);
      return readFileSync(place('cut'));
    };
    expect(await compared(Elf, x86_64, readFileSync(place('a.o')))).toBeGreaterThan(50);
    expect(await compared(Elf, x86_64, readFileSync(place('program')))).toBeGreaterThan(200);
    expect(await compared(Notes, x86_64, cut('program', '.note.gnu.build-id'))).toBeGreaterThan(25);
    expect(await compared(Btf, x86_64, cut('a.o', '.BTF'))).toBeGreaterThan(200);
  });

  it('a picture of Chromium', async (context) => {
    requireJudge(context, POKE);
    requireJudge(context, judge('chromium', '--version'));
    const switches = ['--headless=new', '--no-sandbox', '--disable-gpu', `--user-data-dir=${place('profile')}`];
    const page = 'data:text/html,<body bgcolor=teal>text</body>';
    execFileSync('chromium', [...switches, '--window-size=200,100', `--screenshot=${place('a.png')}`, page], {
      stdio: 'ignore',
      timeout: 60_000,
    });
    expect(await compared(Png, s390x, readFileSync(place('a.png')))).toBeGreaterThan(300);
  });

  it('a capture of tcpdump', async (context) => {
    requireJudge(context, POKE);
    requireJudge(context, judge('tcpdump', '--version'));
    const frame = {
      to: bytesFrom(6),
      from: bytesFrom(6),
      protocol: 0x800,
      fourth: { version: 4, words: 5 },
      rest: bytesFrom(40),
    };
    const other = { ...frame, protocol: 0x88b5, fourth: undefined };
    const packets = [frame, other].map((item) => ({ original: 80, frame: item }));
    writeFileSync(place('given'), codec(Pcap, s390x).encode({ major: 2, minor: 4, longest: 65_535, link: 1, packets }));
    execFileSync('tcpdump', ['-r', place('given'), '-w', place('stored')], { stdio: 'ignore' });
    expect(await compared(Pcap, x86_64, readFileSync(place('stored')))).toBeGreaterThan(100);
  });
});

const bytesFrom = (count: number): Uint8Array => Uint8Array.from({ length: count }, (_, index) => index * 7);

describe('what a pickle says of values', () => {
  const Small = struct('Small', {
    mark: magic(Uint8Array.of(7, 8)),
    fixed: { type: u8, value: 3 },
    size: ranged(u8, { least: 2, most: 4 }),
    tag: u8,
    body: sized('size', variant('body', 'tag', { pair: [1, u16], rest: [2, bytesOf()], four: [-1, u32] })),
    tail: sized(3, struct('Tail', { count: u8, list: array(u8, 'count') })),
  });
  const tail = [2, 8, 9];
  const pair = [7, 8, 3, 2, 1, 5, 6, ...tail];

  it.each([
    ['a pair', pair, true],
    ['the rest', [7, 8, 3, 4, 2, 5, 6, 0, 0, ...tail], true],
    ['another magic', [7, 9, ...pair.slice(2)], false],
    ['another constant', [7, 8, 4, ...pair.slice(3)], false],
    ['a size below the least', [7, 8, 3, 1, 2, 5, ...tail], false],
    ['a size above the most', [7, 8, 3, 5, 2, 5, 6, 7, 8, 9, ...tail], false],
    ['a size that is not used', [7, 8, 3, 3, 1, 5, 6, 7, ...tail], false],
    ['a size of a struct that is not used', [...pair.slice(0, -3), 1, 8, 9], false],
    ['a size of a struct that does not do', [...pair.slice(0, -3), 3, 8, 9, 10], false],
    ['a tag that no arm has', [7, 8, 3, 2, 9, 5, 6, ...tail], false],
    ['too few bytes', [7, 8, 3, 4, 2, 5, 6], false],
  ] as const)('%s: GNU poke takes and refuses what we do', async (_what, file, isFine) => {
    const target = x86_64;
    const read = (): unknown => codec(Small, target).decode(Uint8Array.from(file));
    if (isFine) expect(read).not.toThrow();
    else expect(read).toThrow(LayoutError);
    const script = `var f = open ("bytes0");\n${pickleOf(Small, target)}\nvar v = Small @ f : 0#B;`;
    const run = runPoke(script, [Uint8Array.from(file)]);
    if (isFine) await run;
    else await expect(run).rejects.toThrow(/constraint violation|EOF|out of map bounds/);
  });

  it.each([
    [
      'an arm whose name would be code',
      struct('S', { k: u8, b: variant('b', 'k', { 'x; } y; system ("id"); struct {': [1, u8] }) }),
      'S.b',
    ],
    ['a choice by a function', struct('S', { a: u8, b: optional(u8, () => true) }), 'S.b'],
    [
      'an alignment where nothing is known of the start',
      struct('S', { a: textUntil(), b: struct('T', { c: alignedTo(4), d: bytesOf() }) }),
      'S.b',
    ],
    [
      'a value elsewhere in a struct inside another',
      struct('S', { t: struct('T', { at: u8, b: pointedTo('at', u8) }) }),
      'T.b',
    ],
    ['a path that leads out', struct('S', { b: bytesOf('nothing') }), 'S'],
    ['a type that ends within a byte', struct('S', { a: uint(12), b: bytesOf() }), 'S.a'],
  ] as const)('refuses %s by name', (_what, type, path) => {
    expect(() => pickleOf(type as never, x86_64)).toThrow(
      expect.objectContaining({ code: 'LAYOUT_UNSUPPORTED', path }),
    );
  });
});
