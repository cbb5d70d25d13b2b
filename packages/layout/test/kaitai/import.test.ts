import { describe, expect, it } from 'vitest';
import { Random } from '../../../../tests/support/random.js';
import { codec, LayoutError, x86_64 } from '../../src/index.js';
import { importKsy } from '../../src/kaitai/index.js';
import { inReferenceForm, referenceReader } from './reference.js';
import { SPECIFIED } from './specifications.js';

const CASES = Number(process.env['INSTAR_CASES'] ?? 300);

/** What a reader comes to: a value, or nothing. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

describe("a specification in Kaitai's language", () => {
  it.each(SPECIFIED)('$name reads as with the reference compiler, and is written again', async ({ document, file }) => {
    const { root } = importKsy(document);
    const reader = codec(root, x86_64);
    const value = reader.decode(file);
    const [mine, theirs] = inReferenceForm(value, (await referenceReader(document))(file));
    expect(mine).toEqual(theirs);
    expect(Buffer.from(reader.encode(value))).toEqual(Buffer.from(file));
  });

  it.each(SPECIFIED)(
    '$name reads files that were changed as the reference does, or refuses them',
    async (specified) => {
      const { document, file } = specified;
      const read = await referenceReader(document);
      const reader = codec(importKsy(document).root, x86_64);
      const random = new Random(Number(process.env['INSTAR_SEED'] ?? 5));
      let both = 0;
      for (let turn = 0; turn < CASES; turn += 1) {
        const changed = Uint8Array.from(file).subarray(0, file.length - (turn % 3));
        changed[random.below(changed.length)] = random.below(256);
        const mine = attempt(() => reader.decode(changed));
        // Ours refuses more: bytes that are left over in a size, an end that is missing.
        if (mine === undefined) continue;
        const [one, other] = inReferenceForm(mine, read(changed));
        expect(one).toEqual(other);
        both += 1;
      }
      expect(both).toBeGreaterThan(CASES / 10);
    },
  );

  it('leaves out what is worked out, and says so', () => {
    expect(importKsy(SPECIFIED[1]?.document).leftOut).toEqual(['choices.doubled']);
  });

  const meta = { id: 'x', endian: 'le' };
  it.each([
    ['a parameter', { meta, params: [{ id: 'a', type: 'u1' }] }, 'x.params'],
    ['an import', { meta: { ...meta, imports: ['y'] } }, 'meta.imports'],
    ['a byte order that the file chooses', { meta: { id: 'x', endian: { 'switch-on': 'a' } } }, 'meta.endian'],
    ['no byte order', { meta: { id: 'x' }, seq: [{ id: 'a', type: 'u2' }] }, 'x.seq[0].type'],
    ['process', { meta, seq: [{ id: 'a', size: 3, process: 'zlib' }] }, 'x.seq[0].process'],
    [
      'a size that cannot be written back',
      {
        meta,
        seq: [
          { id: 'a', type: 'u1' },
          { id: 'b', size: 'a - 1' },
        ],
      },
      'x.seq[1].size',
    ],
    ['a computed size', { meta, seq: [{ id: 'b', size: 'c' }], instances: { c: { value: '3' } } }, 'x.seq[0].size'],
    [
      'a later field',
      {
        meta,
        seq: [
          { id: 'b', size: 'c' },
          { id: 'c', type: 'u1' },
        ],
      },
      'x.seq[0].size',
    ],
    [
      'a type inside itself',
      { meta, seq: [{ id: 'a', type: 't' }], types: { t: { seq: [{ id: 'b', type: 't' }] } } },
      'x::t',
    ],
    ['an unknown type', { meta, seq: [{ id: 'a', type: 'nothing' }] }, 'x.seq[0].type'],
    ['a rule', { meta, seq: [{ id: 'a', type: 'u1', valid: { expr: '_ != 3' } }] }, 'x.seq[0].valid'],
    ['bounds of bytes', { meta, seq: [{ id: 'a', size: 2, valid: { min: 3 } }] }, 'x.seq[0].valid'],
    ['a call', { meta, seq: [{ id: 'a', type: 'u1', if: '_io.eof()' }] }, 'x.seq[0].if'],
    [
      'a call without brackets',
      {
        meta,
        seq: [
          { id: 'a', type: 'str', size: 3, encoding: 'ASCII' },
          { id: 'b', type: 'u1', if: 'a.length == 3' },
        ],
      },
      'x.seq[1].if',
    ],
    ['an encoding', { meta, seq: [{ id: 'a', type: 'str', size: 3, encoding: 'CP437' }] }, 'x.seq[0].encoding'],
    ['a name', { meta, seq: [{ id: '__proto__', type: 'u1' }] }, 'x.seq[0]'],
    ['no map', [1, 2], 'document'],
    ['no list', { meta, seq: 3 }, 'x.seq'],
  ])('refuses %s by its place', (_what, document, path) => {
    expect(() => importKsy(document)).toThrow(LayoutError);
    expect(() => importKsy(document)).toThrow(expect.objectContaining({ code: 'LAYOUT_UNSUPPORTED', path }));
  });

  it('is bounded, whatever it asks for', () => {
    const deep = '('.repeat(100_000);
    expect(() => importKsy({ meta, seq: [{ id: 'a', type: 'u1', if: deep }] })).toThrow(LayoutError);
    expect(() => importKsy({ meta, seq: [{ id: 'a', type: 'u1', if: `${'-'.repeat(100_000)}1` }] })).toThrow(
      LayoutError,
    );
    const { root } = importKsy({
      meta,
      seq: [
        { id: 'a', type: 'u4' },
        { id: 'b', type: 'u1', if: 'a << a > 0' },
      ],
    });
    expect(() => codec(root, x86_64).decode(Uint8Array.of(255, 255, 255, 255, 1))).toThrow(LayoutError);
    const { root: list } = importKsy({
      meta,
      seq: [
        { id: 'a', type: 'u4' },
        { id: 'b', type: 'nothing', repeat: 'expr', 'repeat-expr': 'a' },
      ],
      types: { nothing: { seq: [] } },
    });
    expect(() => codec(list, x86_64).decode(Uint8Array.of(255, 255, 255, 255))).toThrow(LayoutError);
  });
});
