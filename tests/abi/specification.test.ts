// `instar abi decode --from FILE.ksy`: what it reads is what the reference compiler's program reads.
import { stringify } from 'yaml';
import { describe, expect, it } from 'vitest';
import { camelCase, referenceReader } from '../../packages/layout/test/kaitai/reference.js';
import { SPECIFIED } from '../../packages/layout/test/kaitai/specifications.js';
import { instar, program } from '../support/command.js';
import { requireJudge, type Judge } from '../support/judge.js';
import { workdir } from '../support/workdir.js';
import { CHROMIUM, inBrowser, selected } from './page-in-browser.js';

const GCC: Judge = { program: 'gcc', probe: ['--version'], package: 'gcc' };
const POKE: Judge = { program: 'poke', probe: ['--version'], package: 'poke' };

type Fields = Readonly<Record<string, unknown>>;

/** What of the reference's value a value of ours in JSON names, in the form of JSON: bytes as hexadecimal text, a choice's value alone. */
function agreed(mine: unknown, theirs: unknown): readonly [mine: unknown, theirs: unknown] {
  if (typeof mine === 'object' && mine !== null && 'arm' in mine && 'value' in mine) return agreed(mine.value, theirs);
  if (theirs instanceof Uint8Array) return [mine, Buffer.from(theirs).toString('hex')];
  if (Array.isArray(mine)) {
    const pairs = mine.map((item, index) => agreed(item, (theirs as readonly unknown[])[index]));
    return [pairs.map(([one]) => one), pairs.map(([, other]) => other)];
  }
  if (typeof mine !== 'object' || mine === null)
    return [mine, typeof mine === 'number' ? Number(theirs) : (theirs ?? mine)];
  const fields = mine as Fields;
  const names = Object.keys(fields).filter((name) => !name.endsWith('_rest'));
  const pairs = names.map((name) => [name, agreed(fields[name], (theirs as Fields)[camelCase(name)])] as const);
  return [
    Object.fromEntries(pairs.map(([name, [one]]) => [name, one])),
    Object.fromEntries(pairs.map(([name, [, other]]) => [name, other])),
  ];
}

/** The fields of the reference's value that the specification above names, by those names. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !name.startsWith('_'))
      .map(([name, item]) => [name, plain(item)]),
  );
}

describe('a specification of Kaitai in YAML', () => {
  it.each(SPECIFIED)('$name: the command reads what the reference reads', async ({ document, file }) => {
    const directory = workdir().write('format.ksy', stringify(document)).write('file', file);
    const { stdout } = instar('abi', 'decode', '--from', 'format.ksy', '--json', '.', 'file').in(directory).must();
    const { value } = JSON.parse(stdout) as { readonly value: unknown };
    const [mine, theirs] = agreed(value, (await referenceReader(document))(file));
    expect(Object.keys(mine as object).length).toBeGreaterThan(0);
    expect(mine).toEqual(theirs);
    const plain = instar('abi', 'decode', '--from', 'format.ksy', '.', 'file').in(directory).must().stdout;
    for (const name of Object.keys(mine as object)) expect(plain).toMatch(new RegExp(`^${name}:`, 'm'));
  });

  const TINY = {
    meta: { id: 'tiny', endian: 'be' },
    seq: [
      { id: 'count', type: 'u2' },
      { id: 'items', type: 'item', repeat: 'expr', 'repeat-expr': 'count' },
    ],
    types: {
      item: {
        seq: [
          { id: 'size', type: 'u1' },
          { id: 'name', type: 'str', size: 'size', encoding: 'UTF-8' },
        ],
      },
    },
    instances: { twice: { value: 'count * 2' } },
  };
  const BYTES = Buffer.from('\0\u0002\u0003abc\u0002de');

  it('one type of it, at an offset, from standard input; what is worked out is named', () => {
    const directory = workdir().write('tiny.ksy', stringify(TINY));
    const finished = instar('abi', 'decode', '--from', 'tiny.ksy', 'tiny::item', '-@6')
      .in(directory)
      .reading(BYTES)
      .must();
    expect(finished.stdout).toBe('size: 2\nname: "de"\n');
    expect(finished.stderr).toBe('instar: abi: note: left out, since they are worked out from others: tiny.twice\n');
  });

  it.for<readonly [what: string, ksy: string, bytes: Buffer, said: RegExp]>([
    [
      'a file that ends too early',
      stringify(TINY),
      BYTES.subarray(0, 7),
      /^instar: abi: file: tiny\.items\[1\]\.\w+ at byte \d+: needs/,
    ],
    [
      'a type that there is not',
      stringify({ ...TINY, meta: { id: 'other', endian: 'be' } }),
      BYTES,
      /found no type tiny in tiny\.ksy; there is \., other::item/,
    ],
    ['what is no YAML', 'meta: [\n', BYTES, /^instar: abi: tiny\.ksy: is no YAML: line 2, column 1: /],
    [
      'what is not taken',
      stringify({ ...TINY, seq: [{ id: 'count', type: 'u2', process: 'zlib' }] }),
      BYTES,
      /^instar: abi: tiny\.ksy: tiny\.seq\[0\]\.process/,
    ],
    [
      'aliases that stand for more and more',
      `a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c, *c, *c, *c, *c]\n`,
      BYTES,
      /^instar: abi: tiny\.ksy: Excessive alias count/,
    ],
  ])('is refused in one line: %s', ([, ksy, bytes, said]) => {
    const directory = workdir().write('tiny.ksy', ksy).write('file', bytes);
    const { status, stderr, stdout } = instar('abi', 'decode', '--from', 'tiny.ksy', 'tiny', 'file')
      .in(directory)
      .run();
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(said);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});

describe('types of a specification', () => {
  const MIXED = {
    meta: { id: 'mixed', endian: 'be' },
    seq: [
      { id: 'head', type: 'head' },
      { id: 'items', type: 'item', repeat: 'expr', 'repeat-expr': 'head.count' },
    ],
    types: {
      head: {
        seq: [
          { id: 'kind', type: 'u4', doc: 'what follows' },
          { id: 'high', type: 'b3' },
          { id: 'low', type: 'b5' },
          { id: 'count', type: 'u2' },
        ],
      },
      item: {
        seq: [
          { id: 'size', type: 'u1' },
          { id: 'name', type: 'str', size: 'size', encoding: 'UTF-8' },
        ],
      },
    },
  };
  const FILE = Buffer.from('\x01\x02\x03\x04\x5d\0\x02\x03abc\x02de', 'latin1');
  const folder = (): ReturnType<typeof workdir> => workdir().write('mixed.ksy', stringify(MIXED)).write('file', FILE);

  it('are listed, and drawn where they have a size', () => {
    const directory = folder();
    const listed = instar('abi', 'show', '--from', 'mixed.ksy').in(directory).must().stdout;
    expect(listed).toMatch(/mixed_head +7\n +mixed_item +varies\n +mixed +varies/);
    const drawn = instar('abi', 'show', '--from', 'mixed.ksy', 'mixed::head').in(directory).must().stdout;
    expect(drawn).toContain('mixed_head (7 bytes, alignment 1)');
  });

  it('are written in C, which the compiler takes with all assertions', (context) => {
    requireJudge(context, GCC);
    const directory = folder();
    const header = instar('abi', 'emit', '--from', 'mixed.ksy', '--to', 'c', 'mixed::head').in(directory).must().stdout;
    directory
      .write('head.h', header)
      .write('use.c', '#include "head.h"\n_Static_assert(sizeof(mixed_head) == 7, "7");\n');
    program('gcc', '-std=c11', '-Wall', '-Werror', '-fsyntax-only', 'use.c').in(directory).must();
  });

  it('are written in C and Rust as what they begin with, where their parts vary', (context) => {
    requireJudge(context, GCC);
    const directory = folder();
    const words = ['abi', 'emit', '--from', 'mixed.ksy', '--to'];
    directory.write(
      'use.c',
      `${
        instar(...words, 'c')
          .in(directory)
          .must().stdout
      }
      _Static_assert(sizeof(mixed_head2) == 7 && sizeof(mixed_item_head) == 1 && sizeof(mixed_head) == 7, "sizes");`,
    );
    program('gcc', '-std=c11', '-Wall', '-Werror', '-fsyntax-only', 'use.c').in(directory).must();
    expect(
      instar(...words, 'rust')
        .in(directory)
        .must().stdout,
    ).toMatch(/pub struct mixed_item_head \{\n.*\n? *pub size: u8/);
  });

  it('are written in their own language again, and read the same with the reference', async () => {
    const directory = folder();
    const again = instar('abi', 'emit', '--from', 'mixed.ksy', '--to', 'ksy').in(directory).must().stdout;
    const document = JSON.parse(again) as { readonly meta: Readonly<Record<string, unknown>> };
    const theirs = (await referenceReader(MIXED))(FILE);
    const [mine, value] = agreed(plain(theirs), (await referenceReader(document))(FILE)['value']);
    expect(mine).toEqual(value);
    expect(plain(theirs)).toMatchObject({ head: { kind: 0x01020304, high: 2, low: 29, count: 2 } });
  });

  it('are written as a pickle, which GNU poke reads the file by', (context) => {
    requireJudge(context, POKE);
    const directory = folder();
    const pickle = instar('abi', 'emit', '--from', 'mixed.ksy', '--to', 'poke').in(directory).must().stdout;
    const asked = [
      'var f = open ("file");',
      'set_endian (ENDIAN_BIG);',
      'var v = mixed @ f : 0#B;',
      'printf ("%v %v %v\\n", v.head.kind, v.head.high_bits_.low, v.items\'length);',
      'for (item in v.items) printf ("%s", catos (item.name));',
    ];
    directory.write('mixed.pk', `${pickle}${asked.join('\n')}\n`);
    const { stdout } = program('poke', '--quiet', '-L', 'mixed.pk').in(directory).must();
    expect(stdout).toBe('16909060U 29U 2UL\nabcde');
  });

  it('are shown for a browser, where bytes and fields select each other', (context) => {
    requireJudge(context, CHROMIUM);
    const directory = folder();
    const words = ['abi', 'inspect', '--html', '--from', 'mixed.ksy'];
    const page = instar(...words, '.', 'file')
      .in(directory)
      .must().stdout;
    directory.write('page.html', page);
    const on = (path: string): string[] => selected(inBrowser(directory, 'page.html', `#${encodeURIComponent(path)}`));
    expect(on('items[0].name')).toEqual(['61', '62', '63', 'name "abc" 0x8, 24 bits']);
    expect(on('items[1].size')).toEqual(['02', 'size 2 0xb, 8 bits']);
    expect(on('head.high')).toEqual(['5d', 'high 2 0x4, 3 bits']);
    expect(on('items[2].name')).toEqual([]);
    // Each byte is somebody's.
    expect(page).not.toContain('data-f="-"');
    expect(page.match(/<td /g)).toHaveLength(FILE.length);
    expect(
      instar(...words, 'mixed::head', 'file')
        .in(directory)
        .must().stdout,
    ).toContain('count');
  });

  it('say which fields of two files differ, also where one has more of them', () => {
    const directory = folder();
    directory.write('other', Buffer.from('\x01\x02\x03\x04\x5d\0\x03\x03abX\x02de\x01f', 'latin1'));
    const words = ['abi', 'inspect', '--html', '--from', 'mixed.ksy', '.'];
    const text = instar(...words, 'file', 'other')
      .in(directory)
      .must().stdout;
    expect(text).toContain('4 of 10 fields differ');
    expect([...text.matchAll(/data-path="([^"]*)" class="changed"/g)].map(([, path]) => path)).toEqual([
      'head.count',
      'items[0].name',
      'items[2].size',
      'items[2].name',
    ]);
    expect(text).toContain('<s>&quot;abc&quot;</s> &quot;abX&quot;');
    expect(text).toContain('<s></s> &quot;f&quot;');
    const cut = instar(...words, 'file@1')
      .in(directory)
      .run();
    expect([cut.status, cut.stdout]).toEqual([1, '']);
    expect(cut.stderr).toMatch(/^instar: abi: file: mixed.* bytes.* are there\n$/);
  });

  it('may be hostile, and stay text in a page that is bounded', () => {
    const directory = folder();
    directory.write('hostile', Buffer.from('\0\0\0\0\0\0\x01\x14<script>"&\x1b</b>......', 'latin1'));
    const words = ['abi', 'inspect', '--html', '--from', 'mixed.ksy', '.'];
    const text = instar(...words, 'hostile')
      .in(directory)
      .must().stdout;
    expect(text).toContain("default-src 'none'");
    expect(text.match(/<script>/g)).toHaveLength(1);
    expect(text).toMatch(/&lt;script&gt;.{0,2}&quot;&amp;/);
    expect(text).not.toContain('\u001b');
    directory.write('many', Buffer.concat([Buffer.of(0, 0, 0, 0, 0, 0xff, 0xff), Buffer.alloc(65_536)]));
    const many = instar(...words, 'many')
      .in(directory)
      .run();
    expect([many.status, many.stdout]).toEqual([1, '']);
    expect(many.stderr).toMatch(/more than 20000 places/);
  });

  it.each(['typescript', 'json', 'jsonschema', 'hexpat', 'markdown', 'svg', 'ascii'])(
    'are refused by %s, by the name of the field, where their parts vary',
    (language) => {
      const { status, stderr, stdout } = instar('abi', 'emit', '--from', 'mixed.ksy', '--to', language)
        .in(folder())
        .run();
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toBe(
        'instar: abi: mixed_item.name at byte 0: found a part without a fixed size, which only a codec reads\n',
      );
    },
  );

  it('derive what zerocopy has where Rust is asked to', () => {
    const directory = folder();
    const words = ['abi', 'emit', '--from', 'mixed.ksy', '--derive'];
    const rust = instar(...words, 'zerocopy', '--to', 'rust', 'mixed::head')
      .in(directory)
      .must().stdout;
    expect(rust).toMatch(/zerocopy::FromBytes[^\n]*\npub struct mixed_head/);
    for (const [crate, language, said] of [
      ['serde', 'rust', 'found --derive serde, expected zerocopy'],
      ['zerocopy', 'c', '--derive is for --to rust'],
    ] as const) {
      const { status, stderr } = instar(...words, crate, '--to', language, 'mixed::head')
        .in(directory)
        .run();
      expect({ status, stderr }).toEqual({ status: 1, stderr: `instar: abi: ${said}\n` });
    }
  });
});
