import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, type TestContext } from 'vitest';
import { requireJudge } from '../../../../tests/support/judge.js';
import { Random } from '../../../../tests/support/random.js';
import { extract, type ExtractedType } from '../../src/extract/index.js';
import { isNamed } from '../../src/emit/emitter.js';
import type { Target } from '../../src/index.js';
import { cEmitter, type NamedDescription } from '../../src/emit/index.js';
import { about, ASKED, CASES, inFolder, refusals, SEED, seedOf, type Asked } from '../support/compilers.js';
import { computedLines, extractedLines } from '../support/layouts.js';
import { randomTypes } from '../support/random-c-types.js';

const TIMEOUT_MS = 240_000;

function headerOf(types: readonly NamedDescription[], target: Target): string {
  return cEmitter.emit({ title: 'random', regions: [], constants: [], sets: [], types }, { target });
}

/** What the compiler says of types of a header. */
function asked(
  context: TestContext,
  of: Asked,
  header: string,
  types: readonly string[],
): Promise<readonly ExtractedType[]> {
  requireJudge(context, of.judge);
  return inFolder(async (folder) => {
    const path = join(folder, 'asked.h');
    writeFileSync(path, header);
    const { compiler, target } = of;
    return (await extract({ compiler, target, header: path, types, freestanding: true })).types;
  });
}

describe('the emitted C header of random types', () => {
  for (const [index, of] of ASKED.entries()) {
    const title = `${of.compiler} for ${of.target.name}`;
    it(
      `is accepted with all assertions, and every bit field lies as computed: ${title}`,
      { timeout: TIMEOUT_MS },
      async (context) => {
        const types = randomTypes(new Random(seedOf(index) + 1), CASES, { alignedBitFields: of.compiler === 'gcc' });
        const header = headerOf(
          types.map((item) => item.type),
          of.target,
        );
        expect(refusals(context, of, header), about(of, 'refused')).toBe('');
        // What unnamed bit fields do by Microsoft's rules cannot be seen in debug information: extract refuses some.
        if (of.target.microsoftBitFields === true) return;
        const names = types.map((item) => item.type.name);
        for (const [index, answer] of (await asked(context, of, header, names)).entries()) {
          const item = types[index];
          if (item === undefined) throw new Error('as many answers as questions');
          expect(extractedLines(answer), about(of, item.c)).toEqual(computedLines(item.type, of.target));
        }
      },
    );

    if (of.target.microsoftBitFields === true) continue;

    it(
      `of types that were extracted from C gives the same again: ${title}`,
      { timeout: TIMEOUT_MS },
      async (context) => {
        const types = randomTypes(new Random(SEED + 2), Math.ceil(CASES / 4));
        const source = types.map((item) => item.c).join('\n');
        const spelled = types.map((item) => item.spelled);
        const first = await asked(context, of, source, spelled);
        const layouts = first.map((item) => item.layout).filter(isNamed);
        const header = headerOf(layouts, of.target);
        expect(refusals(context, of, header), about(of, 'refused')).toBe('');
        const second = await asked(
          context,
          of,
          header,
          layouts.map((item) => item.name),
        );
        expect(second).toHaveLength(types.length);
        for (const [index, item] of first.entries()) {
          const again = second[index];
          if (again === undefined) throw new Error('as many answers as questions');
          expect(extractedLines(again), about(of, types[index]?.c ?? '')).toEqual(extractedLines(item));
        }
      },
    );
  }
});

describe('a C header that is broken on purpose', () => {
  const [gcc, clang] = ASKED;
  if (gcc === undefined || clang === undefined) throw new Error('two compilers');
  const random = new Random(SEED + 3);
  const types = randomTypes(random, 60).filter((item) => item.type.kind === 'struct');
  const emitted = headerOf(
    types.map((item) => item.type),
    gcc.target,
  );

  it('is refused for each single offset, size or alignment that is changed', (context) => {
    const numbers = [...emitted.matchAll(/^_Static_assert\((sizeof|_Alignof|offsetof)[^\n]* == (\d+), "([^"]+)"/gm)];
    expect(numbers.length).toBeGreaterThan(100);
    for (let round = 0; round < 20; round += 1) {
      const match = numbers[random.below(numbers.length)];
      if (match?.[2] === undefined || match[3] === undefined) throw new Error('a number');
      const wrong = match[0].replace(` == ${match[2]},`, ` == ${Number(match[2]) + 1},`);
      const broken = emitted.replace(match[0], wrong);
      expect(refusals(context, gcc, broken), match[0]).toContain(match[3]);
      if (round < 5) expect(refusals(context, clang, broken), match[0]).toContain(match[3]);
    }
  });

  it('is refused when a field moves in the layout but not in the assertions', (context) => {
    for (const item of types.slice(0, 20)) {
      const { name } = item.type;
      // One more byte at the start moves what follows, or at least the size.
      const broken = emitted.replace(`typedef struct ${name} {`, `typedef struct ${name} { uint64_t moved[4];`);
      expect(refusals(context, gcc, broken), name).toContain(name);
    }
  });

  it('is refused for a target that lays out differently', (context) => {
    const i386 = ASKED.find((item) => item.target.name === 'i386');
    if (i386 === undefined) throw new Error('a target');
    expect(refusals(context, i386, emitted)).toContain('static assertion failed');
  });

  it('shows a bit field of another width or place to extract', async (context) => {
    const bits = types.filter((item) => item.type.kind === 'struct' && / f\d+ : [2-9];/.test(item.c)).slice(0, 5);
    for (const item of bits) {
      const own = new RegExp(`(typedef struct ${item.type.name} \\{[^}]*? f\\d+) : [2-9];`);
      const header = headerOf([item.type], gcc.target).replace(own, '$1 : 1;');
      const [found] = await asked(context, gcc, header, [item.type.name]).catch(() => []);
      const said = found === undefined ? [] : extractedLines(found);
      expect(said, item.c).not.toEqual(computedLines(item.type, gcc.target));
    }
    expect(bits.length).toBeGreaterThan(0);
  });
});
