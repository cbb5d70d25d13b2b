import { describe, expect, it } from 'vitest';
import { defineEnum, i386, s390x, struct, u16, u32, u8, uword, x86_64 } from '../../src/index.js';
import { cEmitter, emit, pokeEmitter, rustEmitter, typescriptEmitter } from '../../src/emit/index.js';
import { ASKED, refusals, rustRefusals } from '../support/compilers.js';

const Kind = defineEnum('Kind', 'what it is', { ONE: [1, 'the first'], TWO: [2, 'the second'] });
const Inner = struct('Inner', { a: u8, b: uword });
const Outer = struct('Outer', { inner: Inner, kind: u16 });

describe("types of one's own in one call", () => {
  it.for([
    ['x86_64', undefined],
    ['i386', i386],
  ] as const)('are taken by the compiler: %s', ([name, target], context) => {
    const asked = ASKED.find((item) => item.compiler === 'gcc' && item.target.name === name);
    if (asked === undefined) throw new Error(`gcc is not asked for ${name}`);
    const header = emit(cEmitter, Outer, target === undefined ? {} : { target });
    expect(header).toContain('struct Inner');
    expect(
      refusals(context, asked, `${header}\n_Static_assert(sizeof(Outer) == ${target === undefined ? 24 : 12}, "");`),
    ).toBe('');
    const other = ASKED.find((item) => item.compiler === 'gcc' && item.target.name !== name && item.target !== s390x);
    if (other !== undefined) expect(refusals(context, other, header)).toMatch(/static assertion failed/);
  });

  it('may have names and constants besides', async (context) => {
    const options = { title: 'mine', sets: [Kind], constants: [{ name: 'MOST', value: 7 }] };
    const rust = emit(rustEmitter, [Inner, Outer], options);
    expect(rust).toMatch(/pub const MOST: u32 = 0x7;/);
    expect(rust).toContain('pub const TWO');
    expect(await rustRefusals(context, rust)).toBe('');
    expect(emit(typescriptEmitter, Outer)).toContain('Outer');
    expect(emit(pokeEmitter, Outer)).toBe(
      pokeEmitter.emit({ title: 'Outer', regions: [], constants: [], sets: [], types: [Outer] }, { target: x86_64 }),
    );
    expect(emit(cEmitter, struct('Alone', { x: u32 }))).toContain('Alone, for x86_64');
  });
});
