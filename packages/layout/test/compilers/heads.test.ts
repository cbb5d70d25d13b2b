import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { requireJudge } from '../../../../tests/support/judge.js';
import { cEmitter, rustEmitter, type Emitter } from '../../src/emit/index.js';
import { extract } from '../../src/extract/index.js';
import {
  alignedTo,
  array,
  bytes,
  bytesOf,
  checksum,
  codec,
  digestOf,
  magic,
  pointedTo,
  ranged,
  s390x,
  sha256,
  struct,
  textUntil,
  u16,
  u32,
  u64,
  u8,
  variant,
  x86_64,
  type Type,
} from '../../src/index.js';
import { isVariable } from '../../src/variable/describe.js';
import { RandomVariable } from '../support/random-variable.js';
import { ASKED, GCC, inFolder, refusals, rustRefusals, SEED } from '../support/compilers.js';

const CASES = Number(process.env['INSTAR_CASES'] ?? 100);
const Pair = struct('Pair', { x: u8, y: u32 });
const Chunk = struct('Chunk', {
  length: u32,
  kind: bytes(4),
  data: bytesOf('length'),
  crc: checksum(u32, 'crc32', 'kind'),
});
const File = struct('File', {
  mark: magic(Uint8Array.of(1, 2, 3)),
  version: ranged(u16, { least: 1 }),
  sum: checksum(u32, 'crc32', 'version'),
  digest: digestOf(sha256, 'version'),
  at: u64,
  far: pointedTo('at', u32),
  pair: Pair,
  raw: bytesOf(5),
  three: array(u16, 3),
  chunks: array(Chunk),
});
/** A name for what `File` begins with, which must get out of its way. */
const FileHead = struct('File_head', { z: u8 });

const emitted = (emitter: Emitter, types: readonly Type[], target = x86_64): string =>
  emitter.emit({ title: 'a format', regions: [], constants: [], sets: [], types: types as never }, { target });

describe('what structs whose parts vary begin with', () => {
  it('lies in C where the codec writes it', async (context) => {
    requireJudge(context, GCC);
    const answer = await inFolder(async (folder) => {
      const header = join(folder, 'heads.h');
      writeFileSync(header, emitted(cEmitter, [FileHead, File]));
      return extract({
        compiler: 'gcc',
        target: 'm64',
        header,
        types: ['File_head2', 'Chunk_head', 'File_head'],
        freestanding: true,
      });
    });
    const [file, chunk, other] = answer.types;
    expect(other?.size).toBe(1);
    expect(chunk?.fields?.map(({ name, bitOffset }) => [name, bitOffset / 8])).toEqual([
      ['length', 0],
      ['kind', 4],
    ]);
    // Each field marked by bytes of its own, found again where gcc says that it lies.
    const pair = { x: 0x11, y: 0x2222_2222 };
    const written = codec(File).encode({
      version: 0x3333,
      at: 0x0144n,
      far: 7,
      pair,
      raw: new Uint8Array(5).fill(0x55),
      three: [0x6666, 0x6666, 0x6666],
      chunks: [],
    });
    const at = (name: string): number => (file?.fields?.find((item) => item.name === name)?.bitOffset ?? 0) / 8;
    expect([...written.subarray(at('mark'), at('version'))]).toEqual([1, 2, 3]);
    expect(written[at('version')]).toBe(0x33);
    expect([...written.subarray(at('at'), at('at') + 8)]).toEqual([0x44, 1, 0, 0, 0, 0, 0, 0]);
    expect(written[at('pair')]).toBe(0x11);
    expect(written[at('pair') + 4]).toBe(0x22);
    expect([...written.subarray(at('raw'), file?.size)]).toEqual([
      ...Array<number>(5).fill(0x55),
      ...Array<number>(6).fill(0x66),
    ]);
    expect(file?.fields?.map(({ name }) => name)).not.toContain('far');
  });

  it(`is taken by gcc and rustc with all assertions: ${CASES} random types`, { timeout: 240_000 }, async (context) => {
    const asked = ASKED.find(({ compiler, target }) => compiler === 'gcc' && target === x86_64);
    if (asked === undefined) throw new Error('gcc is asked');
    const types: Type[] = [];
    for (let seed = SEED; types.length < CASES; seed += 1) {
      const { type } = new RandomVariable(seed, false, `S${seed}`).struct(1, true);
      if (type.kind === 'struct' && type.variable === true && !isLead(type.fields[0]?.type)) types.push(type);
    }
    const header = emitted(cEmitter, types);
    expect(header.split('_Static_assert').length).toBeGreaterThan(CASES * 2);
    expect(refusals(context, asked, header.replace('#include <stdbool.h>', ''))).toBe('');
    expect(await rustRefusals(context, emitted(rustEmitter, types))).toBe('');
  });

  it.each([
    ['a text', struct('S', { name: textUntil(), x: u8 }), 'S.name'],
    [
      'a variant',
      struct('S', { t: struct('T', { v: variant('v', 'tag', { a: [1, u8], b: [2, u16] }), a: alignedTo(4) }) }),
      'S.t',
    ],
  ] as const)('is refused by the name of the first field where it is nothing: %s', (_what, type, path) => {
    for (const emitter of [cEmitter, rustEmitter]) {
      expect(() => emitted(emitter, [type as Type], s390x)).toThrow(
        expect.objectContaining({ code: 'LAYOUT_UNSUPPORTED', path }),
      );
    }
  });
});

/** Whether nothing of a fixed size can stand before the rest of a type. */
function isLead(type: Type | undefined): boolean {
  if (type === undefined || !isVariable(type)) return false;
  return type.kind !== 'variable' || !['range', 'magic', 'checksum', 'digest'].includes(type.part.form);
}
