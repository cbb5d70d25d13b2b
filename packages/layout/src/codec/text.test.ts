import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { requireJudge, type Judge } from '../../../../tests/support/judge.js';
import { struct } from '../layout/struct.js';
import { text, type TextEncoding } from '../layout/types.js';
import { codec } from './compiled.js';

const PYTHON: Judge = { program: 'python3', probe: ['--version'], package: 'python3' };

/** What Python decodes hexadecimal lines to: the code points of each, or `refused`. */
function python(encoding: string, errors: string, lines: readonly string[]): string[] {
  const program = `import sys
for line in sys.stdin.read().split():
    try:
        words = bytes.fromhex(line).decode('${encoding}', '${errors}').split('\\0')[0]
        print('-'.join('%x' % ord(c) for c in words) or 'empty')
    except UnicodeDecodeError:
        print('refused')`;
  const input = lines.join('\n');
  return execFileSync('python3', ['-c', program], { input, encoding: 'utf8' }).trimEnd().split('\n');
}

const points = (words: string): string =>
  Array.from(words, (character) => (character.codePointAt(0) ?? 0).toString(16)).join('-') || 'empty';

/** Sequences at the borders of what is well formed, and noise. */
function samples(): string[] {
  const borders = [
    'c080',
    'c2bf',
    'e08080',
    'e0a080',
    'eda080',
    'ed9fbf',
    'f08fbfbf',
    'f0908080',
    'f48fbfbf',
    'f4908080',
  ];
  const cut = ['c3', 'e282', 'f09f98', '41e28242', 'e4e5f600', 'ff41fe', 'edb2803f'];
  const noise = Array.from({ length: 300 }, (_, seed) =>
    Array.from(
      { length: 8 },
      (_byte, index) => [0x41, 0x80, 0xbf, 0xc3, 0xe2, 0xed, 0xf0, 0xf4][(seed * 7 + index * (seed + 3)) % 8],
    )
      .map((byte) => (byte ?? 0).toString(16))
      .join(''),
  );
  return [...borders, ...cut, ...noise];
}

describe('text', () => {
  it('keeps bytes that are no UTF-8 as Python does, and gives them back', (context) => {
    requireJudge(context, PYTHON);
    const lines = samples();
    const expected = python('utf-8', 'surrogateescape', lines);
    lines.forEach((line, index) => {
      const bytes = Uint8Array.from(Buffer.from(line, 'hex'));
      const type = codec(struct('S', { s: text(bytes.length) }));
      const value = type.decode(bytes);
      expect(points(value.s), line).toBe(expected[index]);
      const kept = bytes.includes(0) ? bytes.fill(0, bytes.indexOf(0)) : bytes;
      expect(Buffer.from(type.encode(value)).toString('hex'), line).toBe(Buffer.from(kept).toString('hex'));
    });
  });

  it.for<[TextEncoding, string, string]>([
    ['latin1', 'latin-1', '53e46e67e4ff0000'],
    ['ascii', 'ascii', '4142430000000000'],
    ['utf16le', 'utf-16-le', '4500460049003dd8'],
    ['utf16be', 'utf-16-be', '00450046d83dde00'],
  ])('reads and writes %s as Python does', ([encoding, name, line], context) => {
    requireJudge(context, PYTHON);
    const bytes = Uint8Array.from(Buffer.from(line, 'hex'));
    const type = codec(struct('S', { s: text(bytes.length, { encoding }) }));
    const value = type.decode(bytes);
    expect(points(value.s)).toBe(python(name, 'surrogatepass', [line])[0]);
    expect(Buffer.from(type.encode(value)).toString('hex')).toBe(line);
  });

  it.each<[about: string, encoding: TextEncoding, value: string]>([
    ['a letter that is no ASCII', 'ascii', 'Ä'],
    ['a letter that is not in ISO 8859-1', 'latin1', '€'],
    ['two halves of a character', 'utf8', '\udcc3\udca4'],
    ['half of a surrogate pair', 'utf8', '\ud83d'],
    ['a zero character', 'utf16le', 'a\0'],
  ])('refuses %s', (_about, encoding, value) => {
    const type = codec(struct('S', { s: text(8, { encoding }) }));
    expect(() => type.encode({ s: value })).toThrow(expect.objectContaining({ code: 'LAYOUT_VALUE', path: 'S.s' }));
  });

  it('refuses bytes that are no ASCII where that was said', () => {
    const type = codec(struct('S', { s: text(2, { encoding: 'ascii' }) }));
    expect(() => type.decode(Uint8Array.of(0x41, 0xc4))).toThrow(expect.objectContaining({ code: 'LAYOUT_VALUE' }));
    expect(() => text(3, { encoding: 'utf16le' })).toThrow(/even/);
    expect(() => text(3, { encoding: 'cp1' as TextEncoding })).toThrow(/expected utf8, ascii/);
  });
});
