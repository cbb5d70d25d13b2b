import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { requireJudge } from '../../../../tests/support/judge.js';
import { Random } from '../../../../tests/support/random.js';
import {
  codec,
  resolve,
  s390x,
  struct,
  TARGETS,
  u32,
  u64,
  x86_64,
  type ResolvedType,
  type Target,
} from '../../src/index.js';
import { rustEmitter, type NamedDescription } from '../../src/emit/index.js';
import { about, CASES, inFolder, RUSTC, rustRefusals, SEED, seedOf } from '../support/compilers.js';
import { EVERY_KIND } from '../support/every-kind.js';
import { randomTypes } from '../support/random-c-types.js';

const TIMEOUT_MS = 240_000;

function rustOf(types: readonly NamedDescription[], target: Target): string {
  return rustEmitter.emit({ title: 'random', regions: [], constants: [], sets: [], types }, { target });
}

// Integers of 64 bits are aligned to 8 here, as on all targets but i386: the assertions of those hold here too, since all
// else is declared in the file. For i386 they need a rustc with that target's core library.
const HERE = TARGETS.filter((target) => target.align64 === 8);

describe('the emitted Rust file is accepted by rustc with all assertions', () => {
  for (const [index, target] of HERE.entries()) {
    it(`of random types for ${target.name}`, { timeout: TIMEOUT_MS }, async (context) => {
      const types = randomTypes(new Random(seedOf(index) + 4), CASES).map((item) => item.type);
      expect(await rustRefusals(context, rustOf(types, target)), about({ compiler: 'rustc', target }, 'refused')).toBe(
        '',
      );
    });

    it(`of every kind of type for ${target.name}`, async (context) => {
      expect(await rustRefusals(context, rustEmitter.emit(EVERY_KIND, { target }))).toBe('');
    });
  }
});

describe('a Rust file that is broken on purpose', () => {
  const random = new Random(SEED + 5);
  const types = randomTypes(random, 40).filter((item) => item.type.kind === 'struct');
  const emitted = rustOf(
    types.map((item) => item.type),
    x86_64,
  );

  it(
    'is refused for each single offset, size or alignment that is changed',
    { timeout: TIMEOUT_MS },
    async (context) => {
      const numbers = [...emitted.matchAll(/^ {4}assert!\(core::mem::[^\n]* == (\d+)\);$/gm)];
      expect(numbers.length).toBeGreaterThan(100);
      for (let round = 0; round < 8; round += 1) {
        const match = numbers[random.below(numbers.length)];
        if (match?.[1] === undefined) throw new Error('a number');
        const wrong = match[0].replace(` == ${match[1]})`, ` == ${Number(match[1]) + 1})`);
        const refused = await rustRefusals(context, emitted.replace(match[0], wrong));
        expect(refused, match[0]).toContain('assertion failed');
      }
    },
  );

  it(
    'is refused when a field moves in the layout but not in the assertions',
    { timeout: TIMEOUT_MS },
    async (context) => {
      const text = rustOf([struct('Header', { magic: u32, flags: u32, start: u64 })], x86_64);
      expect(text).toContain('    pub flags: u32,');
      const broken = text.replace('    pub flags: u32,', '    pub flags: u64,');
      expect(await rustRefusals(context, broken)).toContain('assertion failed');
    },
  );
});

function holdsBool(type: ResolvedType): boolean {
  switch (type.kind) {
    case 'boolean':
      return type.declaredBits === undefined;
    case 'array':
      return holdsBool(type.element);
    case 'struct':
      return type.fields.some((item) => holdsBool(item.type));
    case 'union':
      return type.arms.some((item) => holdsBool(item.type));
    default:
      return false;
  }
}

describe('values that the emitted Rust file reads', () => {
  for (const target of [x86_64, s390x]) {
    it(
      `are those of the codec, and written back they are the bytes: ${target.name}`,
      { timeout: TIMEOUT_MS },
      async (context) => {
        requireJudge(context, RUSTC);
        const random = new Random(SEED + 6);
        // A byte that is neither 0 nor 1 is no bool for the codec.
        const types = randomTypes(random, CASES).filter((item) => !holdsBool(resolve(item.type, target)));
        const text = rustOf(
          types.map((item) => item.type),
          target,
        );
        const lines: string[] = [];
        const expected: string[] = [];
        for (const { type } of types) {
          const layout = resolve(type, target);
          if (layout.kind !== 'struct' || layout.bits === 0) continue;
          const bytes = random.bytes(layout.bits / 8);
          const value = codec(type, target).decode(bytes) as Record<string, unknown>;
          const block = new RegExp(`^impl ${type.name} \\{\\n[^]*?^\\}`, 'm').exec(text)?.[0] ?? '';
          lines.push(`let bytes = [${[...bytes].join(',')}]; let v = ${type.name}::from_bytes(&bytes);`);
          lines.push(`println!("${type.name} {}", v.to_bytes() == bytes);`);
          expected.push(`${type.name} true`);
          for (const field of layout.fields) {
            const isNumber = field.type.kind === 'integer' || field.type.kind === 'boolean';
            if (field.unnamed || !isNumber) continue;
            const isFunction = block.includes(` fn ${field.name}(`);
            lines.push(`println!("${type.name}.${field.name} {}", v.${field.name}${isFunction ? '()' : ''});`);
            expected.push(`${type.name}.${field.name} ${String(value[field.name])}`);
            if (!isFunction) continue;
            lines.push(`{ let mut w = ${type.name}::ZERO; w.set_${field.name}(v.${field.name}());`);
            lines.push(`println!("{}", w.${field.name}() == v.${field.name}()); }`);
            expected.push('true');
          }
        }
        await inFolder((folder) => {
          writeFileSync(
            join(folder, 'main.rs'),
            `mod emitted;\nuse emitted::*;\nfn main() {\n${lines.join('\n')}\n}\n`,
          );
          // Inside a program the file is a module: attributes of a crate do not belong there.
          writeFileSync(join(folder, 'emitted.rs'), text.replace('#![no_std]\n', ''));
          const out = join(folder, 'main');
          const built = spawnSync(
            'rustc',
            ['--edition', '2021', '--cap-lints', 'allow', '-o', out, join(folder, 'main.rs')],
            {
              encoding: 'utf8',
            },
          );
          expect(built.stderr).toBe('');
          const ran = spawnSync(out, { encoding: 'utf8', maxBuffer: 1 << 26 });
          expect(ran.stdout.trim().split('\n')).toEqual(expected);
          expect(expected.length).toBeGreaterThan(200);
        });
      },
    );
  }
});
