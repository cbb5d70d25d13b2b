// The ABI in other languages, as their compilers take it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { codec, resolve, x86_64 } from '@instar/layout';
import { cEmitter, pokeEmitter, rustEmitter } from '@instar/layout/emit';
import { extract, extractRust } from '@instar/layout/extract';
import { describe, expect, it } from 'vitest';
import { requireJudge } from '../../../tests/support/judge.js';
import { ASKED, inFolder, refusals, RUSTC, rustRefusals } from '../../layout/test/support/compilers.js';
import { computedLines, extractedLines } from '../../layout/test/support/layouts.js';
import { POKE, runPoke } from '../../layout/test/support/poke.js';
import { describeAbi, FINGERPRINT } from '../src/index.js';

const GENERATED = fileURLToPath(new URL('../generated/rust/src/lib.rs', import.meta.url));

describe('the emitted C header of the ABI', () => {
  for (const of of ASKED) {
    it(`is laid out as computed by ${of.compiler} for ${of.target.name}`, async (context) => {
      requireJudge(context, of.judge);
      const abi = describeAbi();
      const header = cEmitter.emit(abi, { target: of.target });
      expect(refusals(context, of, header)).toBe('');
      const types = abi.types.map((type) => type.name);
      const found = await inFolder(async (folder) => {
        const path = join(folder, 'abi.h');
        writeFileSync(path, header);
        const { compiler, target } = of;
        return (await extract({ compiler, target, header: path, types, freestanding: true })).types;
      });
      expect(found.map(extractedLines)).toEqual(abi.types.map((type) => computedLines(type, of.target)));
    });
  }
});

describe('the emitted Rust file of the ABI', () => {
  it('is accepted by rustc with all assertions', async (context) => {
    const text = rustEmitter.emit(describeAbi(), { target: x86_64, fingerprint: FINGERPRINT });
    expect(await rustRefusals(context, text)).toBe('');
  });

  it('is refused when a field moves in the layout but not in the assertions', async (context) => {
    const text = rustEmitter.emit(describeAbi(), { target: x86_64, fingerprint: FINGERPRINT });
    const [, config] = /pub struct ConvertConfig \{\n([^}]*)\}/.exec(text) ?? [];
    expect(config).toContain('pub flags: u32');
    const broken = text.replace('    pub flags: u32,', '    pub flags: u64,');
    expect(await rustRefusals(context, broken)).toContain('assertion failed');
  });

  it('has every struct where rustc reads it as computed', async (context) => {
    requireJudge(context, RUSTC);
    const { types: described } = describeAbi();
    const target = 'x86_64-unknown-linux-gnu';
    const found = await extractRust({ file: GENERATED, types: described.map((type) => type.name), target });
    for (const [index, type] of described.entries()) {
      const resolved = resolve(type, x86_64);
      if (resolved.kind !== 'struct') continue;
      const answer = found.types[index];
      expect([answer?.size, answer?.align], type.name).toEqual([resolved.bits / 8, resolved.align]);
      expect(
        answer?.fields?.map((item) => [item.name, item.bitOffset, item.bitWidth]),
        type.name,
      ).toEqual(resolved.fields.map((item) => [item.name, item.bit, item.type.bits]));
    }
  });
});

describe('the emitted pickle of the ABI', () => {
  it('holds all structs, as long in GNU poke as here', async (context) => {
    requireJudge(context, POKE);
    const abi = describeAbi();
    const structs = abi.types.filter((type) => type.kind === 'struct');
    const largest = Math.max(...structs.map((type) => codec(type).size));
    // Constants are constraints there, so each is mapped over a memory that holds them.
    const memory = new Uint8Array(largest * structs.length);
    const lines = [pokeEmitter.emit(abi, { target: x86_64 }), 'set_endian (ENDIAN_LITTLE);'];
    structs.forEach((type, index) => {
      codec(type).encodeInto(memory, {}, index * largest);
      lines.push(`printf ("%u64d\\n", (${type.name} @ ios : ${index * largest}#B)'size / #B);`);
    });
    expect(await runPoke(lines.join('\n'), memory)).toEqual(structs.map((type) => String(codec(type).size)));
  });
});
