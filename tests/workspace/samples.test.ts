// The code in the documents is code: TypeScript accepts it as strictly as our own, and what needs nothing runs.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { transform } from 'esbuild';
import { afterAll, expect, it } from 'vitest';
import { program, ROOT } from '../support/command.js';

/** Where the samples are laid: below the workspace, whose packages they import. */
const PLACE = join(ROOT, 'docs/.samples');
/** Modules that a reader has and we do not. */
const MODULES = `
declare module '@opentelemetry/api' {
  interface Span { setAttributes(attributes: Readonly<Record<string, unknown>>): Span; end(): void }
  export const trace: {
    getTracer(name: string): { startActiveSpan<T>(name: string, run: (span: Span) => Promise<T>): Promise<T> };
  };
}
`;
/** Samples that run as they are. */
const RUN = [
  'packages_layout_README-1',
  'packages_operands_README-1',
  'packages_operands_README-2',
  'packages_shared-abi_README-1',
];

const DOCUMENTS = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
  ...['packages', 'examples']
    .flatMap((folder) => readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}/README.md`))
    .filter((name) => existsSync(join(ROOT, name))),
];

function samples(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const document of DOCUMENTS) {
    const text = readFileSync(join(ROOT, document), 'utf8');
    [...text.matchAll(/^```(?:ts|typescript|js|javascript)\n([\s\S]*?)^```/gm)].forEach(([, code = ''], index) => {
      found.set(`${document.replace(/\.md$/, '').replaceAll('/', '_')}-${index + 1}`, code);
    });
  }
  return found;
}

afterAll(() => {
  rmSync(PLACE, { recursive: true, force: true });
});

it('every sample of the documents compiles, and those that need nothing run', { timeout: 120_000 }, async () => {
  rmSync(PLACE, { recursive: true, force: true });
  mkdirSync(PLACE);
  const found = samples();
  expect(found.size).toBeGreaterThan(20);
  for (const [name, code] of found) writeFileSync(join(PLACE, `${name}.ts`), `${code}\nexport {};\n`);
  writeFileSync(join(PLACE, 'modules.d.ts'), MODULES);
  const compilerOptions = {
    noEmit: true,
    types: ['node'],
    // What a sample shows is often a value that nothing is done with.
    noUnusedLocals: false,
    composite: false,
    incremental: false,
  };
  writeFileSync(
    join(PLACE, 'tsconfig.json'),
    JSON.stringify({ extends: '../../tsconfig.base.json', compilerOptions, include: ['*.ts'] }),
  );
  const { status, stdout } = program('npx', 'tsc', '-p', PLACE).in(ROOT).run();
  expect([status, stdout]).toEqual([0, '']);
  for (const name of RUN) {
    const { code } = await transform(found.get(name) ?? 'throw new Error("no such sample")', {
      loader: 'ts',
      format: 'esm',
    });
    writeFileSync(join(PLACE, `${name}.mjs`), code);
    program('node', `${name}.mjs`).in(PLACE).must();
  }
});
