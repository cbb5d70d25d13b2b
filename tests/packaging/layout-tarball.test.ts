import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../support/command.js';
import { npm, PackedProject } from './packed-project.js';

/** What each entry has, one name of it. */
const ENTRIES = {
  '@instar/layout': 'codec',
  '@instar/layout/emit': 'cEmitter',
  '@instar/layout/extract': 'extract',
  '@instar/layout/kaitai': 'importKsy',
  '@instar/layout/versions': 'parseInterface',
} as const;
const NAMES = '{ codec, LayoutError, struct, u32, u64 }';
const PROGRAM = `
const pair = codec(struct('Pair', { count: u32, _: u32, total: u64 }));
let code = 'none';
try { pair.decode(new Uint8Array(4)); } catch (error) { if (error instanceof LayoutError) code = error.code; }
const { count, total } = pair.decode(pair.encode({ count: 3, total: 1n << 40n }));
console.log(String(count), String(total), String(pair.size), code);
`;
const PRINTED = '3 1099511627776 16 LAYOUT_TRUNCATED\n';

describe('the packed tarball of @instar/layout, installed into an empty project', () => {
  let project: PackedProject;

  beforeAll(() => {
    project = new PackedProject(['packages/layout']);
  });

  afterAll(() => {
    project.remove();
  });

  it('runs as an ES module and as CommonJS', () => {
    project.write('main.mjs', `import ${NAMES} from '@instar/layout';${PROGRAM}`);
    project.write('main.cjs', `const ${NAMES} = require('@instar/layout');${PROGRAM}`);
    expect(project.node('main.mjs')).toBe(PRINTED);
    expect(project.node('main.cjs')).toBe(PRINTED);
  });

  it.each(Object.entries(ENTRIES))('has %s, which has %s', (entry, name) => {
    project.write('entry.mjs', `import { ${name} } from '${entry}';\nconsole.log(typeof ${name});\n`);
    project.write('entry.cjs', `console.log(typeof require('${entry}').${name});\n`);
    const expected = name.endsWith('Emitter') ? 'object\n' : 'function\n';
    expect(project.node('entry.mjs')).toBe(expected);
    expect(project.node('entry.cjs')).toBe(expected);
  });

  it.each(['mts', 'cts'])('infers the types of fields (.%s)', (extension) => {
    const file = `typed.${extension}`;
    const declared = 'declare const console: { log(...values: string[]): void };\n';
    const use = 'export const size: bigint = pair.decode(new Uint8Array(16)).total;\n';
    project.write(file, `import ${NAMES} from '@instar/layout';\n${declared}${PROGRAM}${use}`);
    expect(project.compile(file)).toBe('');
    project.write(
      'wrong.mts',
      `import { codec, struct, u32 } from '@instar/layout';\ncodec(struct('One', { a: u32 })).encode({ a: 1n });\n`,
    );
    expect(project.compile('wrong.mts')).toContain("Type 'bigint' is not assignable to type 'number'");
  });

  it('brings nothing along', () => {
    const manifest = readFileSync(join(project.path, 'node_modules/@instar/layout/package.json'), 'utf8');
    expect(JSON.parse(manifest)).not.toHaveProperty('dependencies');
    expect(project.installed()).toEqual(['@instar/layout']);
  });

  it('prints what the page to read says', () => {
    const readme = readFileSync(join(project.path, 'node_modules/@instar/layout/README.md'), 'utf8');
    const [, example] = /```js\n([^]*?)```/.exec(readme) ?? [];
    const [, said] = /console\.log\(header\); \/\/ (.*)/.exec(example ?? '') ?? [];
    project.write('readme.mjs', example ?? '');
    expect(said).toBeDefined();
    expect(project.node('readme.mjs')).toBe(`${said ?? ''}\n`);
  });

  it('satisfies publint and arethetypeswrong', () => {
    expect(() => npm(join(ROOT, 'packages/layout'), 'run', 'check:package')).not.toThrow();
  });
});
