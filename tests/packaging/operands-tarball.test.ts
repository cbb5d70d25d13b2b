import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import vm from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../support/command.js';
import { npm, PackedProject } from './packed-project.js';

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
  let project: PackedProject;

  beforeAll(() => {
    project = new PackedProject(['packages/operands']);
  });

  afterAll(() => {
    project.remove();
  });

  it('runs as an ES module', () => {
    project.write('main.mjs', `import ${NAMES} from '@instar/operands';${PROGRAM}`);
    expect(project.node('main.mjs')).toBe(PRINTED);
  });

  it('runs as CommonJS', () => {
    project.write('main.cjs', `const ${NAMES} = require('@instar/operands');${PROGRAM}`);
    expect(project.node('main.cjs')).toBe(PRINTED);
  });

  it.each(['mts', 'cts'])('compiles and runs from TypeScript (.%s) without types of Node.js', (extension) => {
    const file = `typed.${extension}`;
    const declared = 'declare const console: { log(...values: string[]): void };\n';
    const typed = `import { type DdWindow, OperandError, ddWindow, parseDd, parseSize } from '@instar/operands';\n`;
    const use = `export const window: DdWindow = ddWindow({ virtualSize: 1n, bs: 1n, skip: 0n });\n`;
    project.write(file, typed + declared + PROGRAM + use);
    expect(project.compile(file)).toBe('');
    expect(project.node(file.replace('ts', 'js'))).toBe(PRINTED);
  });

  it('rejects a number where bytes belong, at compile time', () => {
    project.write(
      'wrong.mts',
      `import { ddWindow } from '@instar/operands';\nddWindow({ virtualSize: 1, bs: 1n, skip: 0n });\n`,
    );
    expect(project.compile('wrong.mts')).toContain("Type 'number' is not assignable to type 'bigint'");
  });

  it('needs nothing but the language itself, as in a browser', () => {
    const code = readFileSync(join(project.path, 'node_modules/@instar/operands/dist/index.cjs'), 'utf8');
    const exports: { parseSize?: (text: string) => bigint } = {};
    vm.runInNewContext(code, { module: { exports }, exports });
    expect(exports.parseSize?.('1k')).toBe(1024n);
  });

  it('brings nothing along', () => {
    const manifest = readFileSync(join(project.path, 'node_modules/@instar/operands/package.json'), 'utf8');
    expect(JSON.parse(manifest)).not.toHaveProperty('dependencies');
    expect(project.installed()).toEqual(['@instar/operands']);
  });

  it('satisfies publint and arethetypeswrong', () => {
    expect(() => npm(join(ROOT, 'packages/operands'), 'run', 'check:package')).not.toThrow();
  });
});
