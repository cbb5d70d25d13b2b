import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const PACKAGE = fileURLToPath(new URL('../../packages/operands', import.meta.url));
const require = createRequire(import.meta.url);

const PROGRAM = `
const dd = parseDd(['if=a', 'of=b', 'bs=1M', 'skip=1', 'count=3']);
if (dd.kind !== 'dd') throw new Error('help?');
let code = 'none';
try { parseSize('1kB'); } catch (error) { if (error instanceof OperandError) code = error.code; }
console.log(String(ddWindow({ virtualSize: parseSize('64M'), ...dd }).outVsize), code);
`;
const PRINTED = '2097152 INVALID_SIZE\n';
const NAMES = '{ OperandError, ddWindow, parseDd, parseSize }';

describe('the packed tarball of @instar/operands, installed into an empty project', () => {
  let scratch: string;
  let project: string;

  function node(...args: string[]): string {
    return execFileSync(process.execPath, args, { cwd: project, encoding: 'utf8' });
  }

  function npm(cwd: string, ...args: string[]): string {
    return execFileSync('npm', [...args, '--loglevel=error', '--no-audit', '--no-fund'], { cwd, encoding: 'utf8' });
  }

  /** Compiles the project with the strictest settings and without the types of any runtime; returns the complaints. */
  function compile(file: string): string {
    const compilerOptions = {
      strict: true,
      exactOptionalPropertyTypes: true,
      target: 'es2022',
      module: 'nodenext',
      types: [],
    };
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [file] }));
    const tsc = require.resolve('typescript/bin/tsc');
    return spawnSync(process.execPath, [tsc, '-p', project], { cwd: project, encoding: 'utf8' }).stdout;
  }

  beforeAll(() => {
    scratch = mkdtempSync(join(tmpdir(), 'instar-tarball-'));
    project = join(scratch, 'project');
    mkdirSync(project);
    const [packed] = JSON.parse(npm(PACKAGE, 'pack', '--json', '--pack-destination', scratch)) as [
      { filename: string },
    ];
    writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'empty', version: '1.0.0', private: true }));
    npm(project, 'install', '--offline', '--ignore-scripts', join(scratch, packed.filename));
  });

  afterAll(() => {
    rmSync(scratch, { recursive: true, force: true });
  });

  it('runs as an ES module', () => {
    writeFileSync(join(project, 'main.mjs'), `import ${NAMES} from '@instar/operands';${PROGRAM}`);
    expect(node('main.mjs')).toBe(PRINTED);
  });

  it('runs as CommonJS', () => {
    writeFileSync(join(project, 'main.cjs'), `const ${NAMES} = require('@instar/operands');${PROGRAM}`);
    expect(node('main.cjs')).toBe(PRINTED);
  });

  it.each(['mts', 'cts'])('compiles and runs from TypeScript (.%s) without types of Node.js', (extension) => {
    const file = `typed.${extension}`;
    const declared = 'declare const console: { log(...values: string[]): void };\n';
    const typed = `import { type DdWindow, OperandError, ddWindow, parseDd, parseSize } from '@instar/operands';\n`;
    const use = `export const window: DdWindow = ddWindow({ virtualSize: 1n, bs: 1n, skip: 0n });\n`;
    writeFileSync(join(project, file), typed + declared + PROGRAM + use);
    expect(compile(file)).toBe('');
    expect(node(file.replace('ts', 'js'))).toBe(PRINTED);
  });

  it('rejects a number where bytes belong, at compile time', () => {
    writeFileSync(
      join(project, 'wrong.mts'),
      `import { ddWindow } from '@instar/operands';\nddWindow({ virtualSize: 1, bs: 1n, skip: 0n });\n`,
    );
    expect(compile('wrong.mts')).toContain("Type 'number' is not assignable to type 'bigint'");
  });

  it('needs nothing but the language itself, as in a browser', () => {
    const code = readFileSync(join(project, 'node_modules/@instar/operands/dist/index.cjs'), 'utf8');
    const exports: { parseSize?: (text: string) => bigint } = {};
    vm.runInNewContext(code, { module: { exports }, exports });
    expect(exports.parseSize?.('1k')).toBe(1024n);
  });

  it('brings nothing along', () => {
    const manifest = readFileSync(join(project, 'node_modules/@instar/operands/package.json'), 'utf8');
    expect(JSON.parse(manifest)).not.toHaveProperty('dependencies');
    const tree = JSON.parse(npm(project, 'ls', '--all', '--json')) as { dependencies: Record<string, object> };
    expect(Object.keys(tree.dependencies)).toEqual(['@instar/operands']);
  });

  it('satisfies publint and arethetypeswrong', () => {
    expect(() => npm(PACKAGE, 'run', 'check:package')).not.toThrow();
  });
});
