import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { requireJudge } from '../../../../tests/support/judge.js';
import { Random } from '../../../../tests/support/random.js';
import { extract } from '../../src/extract/index.js';
import { about, ASKED, CASES, inFolder, seedOf } from '../support/compilers.js';
import { computedLines, extractedLines } from '../support/layouts.js';
import { randomTypes } from '../support/random-c-types.js';

const TIMEOUT_MS = 240_000;

describe('random C structs lie where their compiler puts them', () => {
  // What unnamed bit fields do by Microsoft's rules cannot be seen in debug information: extract refuses some.
  for (const [index, asked] of ASKED.filter((item) => item.target.microsoftBitFields !== true).entries()) {
    const { compiler, target } = asked;
    it(`${compiler} for ${target.name}`, { timeout: TIMEOUT_MS }, async (context) => {
      requireJudge(context, asked.judge);
      const types = randomTypes(new Random(seedOf(index)), CASES, { alignedBitFields: compiler === 'gcc' });
      await inFolder(async (folder) => {
        const header = join(folder, 'random.h');
        writeFileSync(header, types.map((item) => item.c).join('\n'));
        const asText = types.map((item) => item.spelled);
        const found = await extract({ compiler, target, header, types: asText });
        expect(found.types).toHaveLength(CASES);
        for (const [index, item] of types.entries()) {
          const answer = found.types[index];
          if (answer === undefined) throw new Error('as many answers as questions');
          const compilerSays = extractedLines(answer);
          expect(computedLines(item.type, target), about(asked, item.c)).toEqual(compilerSays);
          // What extract hands out as a layout says the same.
          if (answer.layout.kind !== 'struct' && answer.layout.kind !== 'union') throw new Error(answer.layout.kind);
          expect(computedLines(answer.layout, target), about(asked, item.c)).toEqual(compilerSays);
        }
      });
    });
  }
});
