import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../support/command.js';
import { npm, PackedProject } from './packed-project.js';

const NAMES = '{ ConvertConfig, CONVERT_FLAG, OPERATION_CONFIG_ADDR, fingerprintHex, LayoutError }';
const PROGRAM = `
const page = ConvertConfig.encode({ flags: CONVERT_FLAG.values.DD_WINDOW, window_end: 513n });
let code = 'none';
try { ConvertConfig.decode(page.subarray(0, 400)); } catch (error) { if (error instanceof LayoutError) code = error.code; }
const { window_end: end } = ConvertConfig.decode(page);
console.log(String(end), String(page.length), OPERATION_CONFIG_ADDR.toString(16), String(fingerprintHex.length), code);
`;
const PRINTED = '513 416 81000 64 LAYOUT_TRUNCATED\n';

describe('the packed tarball of @instar/shared-abi, installed into an empty project', () => {
  let project: PackedProject;

  beforeAll(() => {
    project = new PackedProject(['packages/layout', 'packages/shared-abi']);
  });

  afterAll(() => {
    project.remove();
  });

  it('runs as an ES module and as CommonJS', () => {
    project.write('main.mjs', `import ${NAMES} from '@instar/shared-abi';${PROGRAM}`);
    project.write('main.cjs', `const ${NAMES} = require('@instar/shared-abi');${PROGRAM}`);
    expect(project.node('main.mjs')).toBe(PRINTED);
    expect(project.node('main.cjs')).toBe(PRINTED);
  });

  it.each(['mts', 'cts'])('infers the types of fields (.%s)', (extension) => {
    const file = `typed.${extension}`;
    const declared = 'declare const console: { log(...values: string[]): void };\n';
    const use = 'export const size: bigint = ConvertConfig.decode(new Uint8Array(0)).window_start;\n';
    project.write(file, `import ${NAMES} from '@instar/shared-abi';\n${declared}${PROGRAM}${use}`);
    expect(project.compile(file)).toBe('');
    project.write(
      'wrong.mts',
      `import { ConvertConfig } from '@instar/shared-abi';\nConvertConfig.encode({ flags: 1n });\n`,
    );
    expect(project.compile('wrong.mts')).toContain("Type 'bigint' is not assignable to type 'number'");
  });

  it('brings along the language that it is written in, and nothing else', () => {
    expect(project.installed()).toEqual(['@instar/layout', '@instar/shared-abi']);
  });

  it('satisfies publint and arethetypeswrong', () => {
    expect(() => npm(join(ROOT, 'packages/shared-abi'), 'run', 'check:package')).not.toThrow();
  });
});
