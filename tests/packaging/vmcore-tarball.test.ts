import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { join } from 'node:path';
import { ROOT } from '../support/command.js';
import { npm, PackedProject } from './packed-project.js';

const PACKAGES = [
  'packages/host-files',
  'packages/layout',
  'packages/vmcore',
  'packages/vmm-native',
  'packages/vmm-native/npm/linux-x64-gnu',
];

const PROGRAM = `
const image = providedImage({
  machine: 'x86_64',
  ranges: [{ start: 0x1000n, length: 8192n }],
  read: (address, target) => { target.forEach((_, at) => { target[at] = Number((address + BigInt(at)) / 4096n); }); },
  cpus: [{ registers: { rip: 0x1234n } }],
});
(async () => {
  await writeDump(image, { file: 'dump' }, { format: 'kdump', compression: 'zstd' });
  const dump = await openDump('dump');
  const bytes = await dump.read(0x1fffn, 2);
  console.log(dump.format, bytes.join(), dump.cpus.map((cpu) => cpu.programCounter.toString(16)).join());
  await dump.close();
})();
`;
const NAMES = '{ openDump, providedImage, writeDump }';
const PRINTED = 'kdump 1,2 1234\n';

describe('the packed tarball of @instar/vmcore, installed into an empty project', () => {
  let project: PackedProject;

  beforeAll(() => {
    project = new PackedProject(PACKAGES, { offline: false });
  }, 120_000);

  afterAll(() => {
    project.remove();
  });

  it('runs as an ES module', () => {
    project.write('main.mjs', `import ${NAMES} from '@instar/vmcore';${PROGRAM}`);
    expect(project.node('main.mjs')).toBe(PRINTED);
  });

  it('runs as CommonJS', () => {
    project.write('main.cjs', `const ${NAMES} = require('@instar/vmcore');${PROGRAM}`);
    expect(project.node('main.cjs')).toBe(PRINTED);
  });

  it('satisfies publint and arethetypeswrong', () => {
    expect(() => npm(join(ROOT, 'packages/vmcore'), 'run', 'check:package')).not.toThrow();
  });
});
