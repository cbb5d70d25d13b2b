import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { i32, struct, u64, u8, x86_64 } from '../src/index.js';
import { jsonSchemaEmitter, typescriptEmitter, type Interface } from '../src/emit/index.js';
import { EVERY_KIND } from './support/every-kind.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const WORDS: Interface = {
  title: '*/ throw new Error("here") /*',
  regions: [],
  constants: [{ name: 'class', value: 5 }],
  sets: [],
  types: [struct('delete', { new: { type: u8, doc: '*/ x' }, layout: u8 }), struct('layout', { x: u8 })],
};
const COMPLETION: Interface = {
  title: 'a completion',
  regions: [],
  constants: [],
  sets: [],
  types: [struct('Completion', { user_data: u64, status: i32 })],
};

describe('the emitted TypeScript', () => {
  it('is accepted by the compiler, and has the types of its values', { timeout: 60_000 }, () => {
    // Inside the package: the module names the package by its own name.
    const folder = mkdtempSync(join(HERE, '.emitted-'));
    try {
      const units = { every: EVERY_KIND, words: WORDS, completion: COMPLETION };
      for (const [name, unit] of Object.entries(units)) {
        writeFileSync(join(folder, `${name}.ts`), typescriptEmitter.emit(unit, { target: x86_64 }));
      }
      const use =
        "import type { Completion } from './completion.js';\nexport const size: bigint = ({} as Completion).nothing;\n";
      writeFileSync(join(folder, 'wrong.ts'), use);
      const files = [...Object.keys(units), 'wrong'].map((name) => join(folder, `${name}.ts`));
      const words = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022', '--module', 'nodenext', ...files];
      const tsc = join(HERE, '../../../node_modules/typescript/bin/tsc');
      const { stdout } = spawnSync(process.execPath, [tsc, ...words], { encoding: 'utf8' });
      const errors = stdout.split('\n').filter((line) => line.includes('error'));
      expect(errors).toHaveLength(1);
      expect(errors[0]).toMatch(/wrong\.ts.*Property 'nothing' does not exist/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('the emitted JSON Schema', () => {
  it('defines every type, and refers to nothing else', () => {
    const schema = JSON.parse(jsonSchemaEmitter.emit(EVERY_KIND, { target: x86_64 })) as {
      $defs: Record<string, unknown>;
    };
    const names = Object.keys(schema.$defs);
    const referred = [...JSON.stringify(schema).matchAll(/#\/\$defs\/(\w+)/g)].map(([, name]) => name);
    expect(referred.length).toBeGreaterThan(5);
    expect(referred.filter((name) => !names.includes(name ?? ''))).toEqual([]);
    expect(schema.$defs['Small']).toMatchObject({
      required: ['a', 'b'],
      properties: { a: { maximum: 255 } },
      additionalProperties: false,
    });
  });
});
