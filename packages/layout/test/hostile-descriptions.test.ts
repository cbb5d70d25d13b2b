import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { x86_64 } from '../src/index.js';
import {
  asciiEmitter,
  cEmitter,
  hexpatEmitter,
  jsonEmitter,
  ksyEmitter,
  markdownEmitter,
  pokeEmitter,
  svgEmitter,
} from '../src/emit/index.js';
import { parseInterface } from '../src/versions/index.js';
import { rustEmitter } from '../src/emit/index.js';
import {
  array,
  LayoutError,
  optional,
  pointer,
  sized,
  struct,
  tagged,
  u32,
  u8,
  union,
  variant,
  when,
} from '../src/index.js';
import type { Emitter, Interface } from '../src/emit/index.js';

const SEED = Number(process.env['INSTAR_SEED'] ?? 9);
const CASES = Number(process.env['INSTAR_CASES'] ?? 400);
const MARK = 'EVIL';
const EMITTERS: readonly Emitter[] = [
  cEmitter,
  rustEmitter,
  pokeEmitter,
  jsonEmitter,
  markdownEmitter,
  svgEmitter,
  asciiEmitter,
  hexpatEmitter,
];

/** Pieces that end a comment, a string, a cell or a tag somewhere, around a word that must not get out. */
const hostile = fc
  .array(
    fc.constantFrom(
      ...[
        '*/',
        '/*',
        '//',
        '\n',
        '\r',
        '\u2028',
        '\u0085',
        '\u001b]0;',
        '\u202e',
        '"',
        "'",
        '`',
        '${',
        '}',
        '|',
        '<b>',
        '</text>',
        '-->',
      ],
      ...[
        '&',
        '[a](',
        ')',
        '\\\n',
        '??/\n',
        ';',
        ' ',
        '.',
        '::',
        '__proto__',
        'constructor',
        'fn ',
        'struct ',
        '#define ',
        '\ud800',
      ],
    ),
    { minLength: 1, maxLength: 5 },
  )
  .map((parts) => parts.join(MARK));

const u32Field = (name: string): object => ({ name, type: 'u32' });

/** A description with one string in one place. */
const PLACES: readonly (readonly [place: string, unit: (text: string) => object])[] = [
  ['struct', (text) => ({ structs: [{ name: text, fields: [u32Field('a')] }] })],
  ['field', (text) => ({ structs: [{ name: 'S', fields: [u32Field(text)] }] })],
  ['type', (text) => ({ structs: [{ name: 'S', fields: [{ name: 'a', type: text }] }] })],
  ['pointer', (text) => ({ structs: [{ name: 'S', fields: [{ name: 'a', type: { pointer: text } }] }] })],
  ['table', (text) => ({ structs: [{ name: 'S', fields: [{ name: 'a', type: { table: text, stride: 8 } }] }] })],
  ['tail', (text) => ({ structs: [{ name: 'S', tail: text, fields: [u32Field('a')] }] })],
  ['packing', (text) => ({ structs: [{ name: 'S', packing: text, fields: [u32Field('a')] }] })],
  ['version', (text) => ({ version: text, structs: [{ name: 'S', fields: [u32Field('a')] }] })],
  ['by', (text) => ({ tagged: [{ name: 'T', by: text, arms: [{ name: 'a', tag: 1, type: 'u32' }] }] })],
  ['arm', (text) => ({ tagged: [{ name: 'T', by: 'k', arms: [{ name: text, tag: 1, type: 'u32' }] }] })],
  ['union arm', (text) => ({ unions: [{ name: 'U', arms: [u32Field(text)] }] })],
  ['set', (text) => ({ sets: { [text]: { kind: 'enum', values: { A: 1 } } } })],
  ['value', (text) => ({ sets: { E: { kind: 'flags', values: { [text]: 1 } } } })],
  ['constant', (text) => ({ constants: { [text]: 1 } })],
  ['region', (text) => ({ regions: [{ name: text, start: 0, size: 4096, protection: 'r' }] })],
  ['protection', (text) => ({ regions: [{ name: 'r', start: 0, size: 4096, protection: text }] })],
];

function emitted(unit: Interface): readonly (readonly [language: string, text: string])[] {
  return EMITTERS.flatMap((emitter) => {
    try {
      return [[emitter.name, emitter.emit(unit, { target: x86_64 })] as const];
    } catch (error) {
      // What ImHex cannot say (tagged unions) is refused.
      if (emitter === hexpatEmitter && error instanceof LayoutError) return [];
      throw error;
    }
  });
}

/** What the compiler of a language sees. */
function code(language: string, text: string): string {
  if (language === 'rust' || language === 'hexpat') return text.replaceAll(/\/\/.*$/gm, '');
  if (language !== 'c' && language !== 'poke') return '';
  return text.replaceAll(/\/\*[^]*?\*\//g, ' ').replaceAll(/^#(?:ifndef|define|endif) INSTAR_\w+_H.*$|\/\/.*$/gm, '');
}

function expectHarmless(unit: Interface): void {
  for (const [language, text] of emitted(unit)) {
    expect(code(language, text), language).not.toContain(MARK);
    if (language !== 'json') expect(text).not.toMatch(/[\p{Cf}\p{Zl}\p{Zp}\p{Cs}]|(?!\n)\p{Cc}/u);
    if (language === 'svg' || language === 'markdown') expect(text).not.toMatch(/<(?:b>|\/text>EVIL)|\]\(/);
  }
}

describe('a description from a stranger', () => {
  it.each(PLACES)('puts nothing of the %s into code, markup or terminals', (_, make) => {
    fc.assert(
      fc.property(hostile, (text) => {
        let unit: Interface;
        try {
          unit = parseInterface(JSON.parse(JSON.stringify({ abi: make(text) })));
        } catch (error) {
          expect(error).toMatchObject({ name: 'LayoutError' });
          return;
        }
        // Some of the pieces make a name, with the word in it.
        if (!/^[A-Za-z_]\w*$/.test(text)) expectHarmless(unit);
      }),
      { seed: SEED, numRuns: CASES },
    );
  });

  it('may have paths, types and versions as people write them', () => {
    const arms = [{ name: 'a', tag: 1, type: 'u32' }];
    const unit = parseInterface({
      abi: {
        version: '1.2-rc.1',
        structs: [{ name: 'S', fields: [{ name: 'p', type: { pointer: 'struct node *' } }] }],
        tagged: [{ name: 'T', by: 'header.kind', arms }],
      },
    });
    expect(unit.types).toHaveLength(2);
  });
});

it.each(['other', 'k.deeper', 'inner.k'])('a tag that leads nowhere (%s) is refused', (by) => {
  const arms = [{ name: 'a', tag: 1, type: 'u32' }];
  const fields = [u32Field('k'), { name: 't', type: { tagged: 'T' } }];
  const unit = { abi: { structs: [{ name: 'S', fields }], tagged: [{ name: 'T', by, arms }] } };
  expect(() => parseInterface(unit)).toThrow(/expected a field of S as the tag of T/);
});

describe('a description that a program makes', () => {
  it('has a title, docs and names of pointers that stay comments and cells', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const inner = struct('S', { a: pointer(text), b: u32 });
        const unit = { title: text, regions: [], constants: [], sets: [], types: [inner, union('U', { a: u32 })] };
        for (const [language, out] of emitted(unit)) {
          expect(code(language, out), language).not.toContain(MARK);
          if (language === 'markdown') expect(out).not.toMatch(/<(?:b>|\/text>)|[^\\]\]\(EVIL/);
        }
      }),
      { seed: SEED, numRuns: CASES },
    );
  });

  it('has docs that stay comments where its parts vary', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const Entry = struct(
          'Entry',
          { kind: u8, body: variant('body', 'kind', { a: [1, u32], b: [2, u8] }) },
          { doc: text },
        );
        const type = struct('V', {
          count: { type: u32, doc: text },
          entries: array(struct('Part', { entry: sized(9, Entry) }), 'count'),
          more: { type: optional(u32, when('count', '>', 3)), doc: text },
        });
        const unit = { title: text, regions: [], constants: [], sets: [], types: [type] };
        for (const emitter of [pokeEmitter, cEmitter, rustEmitter]) {
          const out = emitter.emit(unit, { target: x86_64 });
          expect(code(emitter.name, out), emitter.name).not.toContain(MARK);
        }
        expect(JSON.parse(ksyEmitter.emit({ ...unit, types: [Entry] }, { target: x86_64 }))).toHaveProperty(
          'types.entry.doc',
          text,
        );
      }),
      { seed: SEED, numRuns: CASES },
    );
  });

  it.each(['a */ int x; /*', '', 'a..b', '1a', 'a b', '__proto__'])('may not have the tag %j', (by) => {
    expect(() => tagged('T', by, { a: [1, u32] })).toThrow(/found the tag/);
  });
});
