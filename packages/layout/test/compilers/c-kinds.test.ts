import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { requireJudge } from '../../../../tests/support/judge.js';
import { codec, manifest, setField, getField, x86_64 } from '../../src/index.js';
import { cEmitter } from '../../src/emit/index.js';
import { ASKED, GCC, inFolder, refusals } from '../support/compilers.js';
import { EVERY_KIND, Odd, Reloc } from '../support/every-kind.js';

describe('the emitted C header of every kind of type', () => {
  for (const of of ASKED) {
    it(`is accepted by ${of.compiler} for ${of.target.name}`, (context) => {
      expect(refusals(context, of, cEmitter.emit(EVERY_KIND, { target: of.target }))).toBe('');
    });
  }

  it('says what C cannot say as bytes with a comment', () => {
    const text = cEmitter.emit(EVERY_KIND, { target: x86_64 });
    expect(text).toContain('_Alignas(4) uint8_t wire[4]; /* u32, big endian: network order */');
    expect(text).toMatch(/typedef struct Packet \{\n {4}uint8_t bytes\[3\];\n\} Packet;/);
    expect(text).toContain('#define PACKET_LENGTH_BIT 5');
    expect(text).toContain('#define BODY_TAG_WORD 9');
    expect(text).toContain('#define FLAGS_TOP UINT64_C(0x80000000)');
    expect(text).toContain('    LEVEL_LOW = (-1), /* least */');
  });

  it('has helpers that get and set the fields of integral structs as the manifest says', async (context) => {
    requireJudge(context, GCC);
    const [kind, delta] = manifest(Reloc, x86_64);
    const odd = manifest(Odd, x86_64)[1];
    if (kind === undefined || delta === undefined || odd === undefined) throw new Error('fields');
    const raw = 0xfedc_ba98_7654_3210n;
    const source = [
      cEmitter.emit(EVERY_KIND, { target: x86_64 }),
      '#include <stdio.h>',
      'int main(void) {',
      `  Reloc raw = UINT64_C(${raw});`,
      '  printf("%llu\\n", (unsigned long long)Reloc_kind_get(raw));',
      '  printf("%lld\\n", (long long)Reloc_delta_get(raw));',
      '  printf("%llu\\n", (unsigned long long)Reloc_delta_set(raw, -2));',
      '  printf("%llu\\n", (unsigned long long)Odd_low_get(0x5ab));',
      '  return 0;',
      '}',
    ].join('\n');
    await inFolder((folder) => {
      const path = join(folder, 'helpers.c');
      writeFileSync(path, source);
      const built = spawnSync('gcc', ['-std=c11', '-o', join(folder, 'helpers'), path], { encoding: 'utf8' });
      expect(built.stderr).toBe('');
      const ran = spawnSync(join(folder, 'helpers'), { encoding: 'utf8' });
      expect(ran.stdout.trim().split('\n')).toEqual([
        String(getField(kind, raw)),
        String(getField(delta, raw)),
        String(setField(delta, raw, -2)),
        String(getField(odd, 0x5abn)),
      ]);
    });
    // The codec agrees with the manifest.
    expect(codec(Reloc, x86_64).decode(new Uint8Array(BigUint64Array.of(raw).buffer))).toMatchObject({
      kind: Number(getField(kind, raw)),
    });
  });
});
