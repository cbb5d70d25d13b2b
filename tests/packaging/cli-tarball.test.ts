import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { program, ROOT } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { PackedProject } from './packed-project.js';

const PACKAGES = [
  'packages/cli',
  'packages/convert-guest',
  'packages/engine',
  'packages/host-files',
  'packages/layout',
  'packages/operands',
  'packages/qemu-img',
  'packages/shared-abi',
  'packages/vmcore',
  'packages/vmm-native',
  'packages/vmm-native/npm/linux-x64-gnu',
];

describe('the packed tarballs of the command and its packages, installed into an empty folder', () => {
  let project: PackedProject;

  beforeAll(() => {
    project = new PackedProject(PACKAGES, { offline: false });
    copyFileSync(join(ROOT, 'examples/disk.qcow2'), join(project.path, 'disk.qcow2'));
  }, 120_000);

  afterAll(() => {
    project.remove();
  });

  for (const sandbox of ['auto', 'process']) {
    it(`run npx instar dd (--sandbox=${sandbox}), with the bytes that qemu-img writes`, (context) => {
      requireJudge(context, QEMU_IMG);
      const operands = ['if=disk.qcow2', 'bs=1M', 'skip=1', 'count=3'];
      const options = [`--sandbox=${sandbox}`, 'of=ours.raw'];
      execFileSync('npx', ['instar', 'dd', ...operands, ...options], { cwd: project.path });
      program('qemu-img', 'dd', ...operands, 'of=theirs.raw', '-O', 'raw')
        .in(project.path)
        .must();
      const [ours, theirs] = ['ours.raw', 'theirs.raw'].map((name) => readFileSync(join(project.path, name)));
      expect(ours?.length).toBe(2 * 1024 * 1024);
      expect(theirs?.equals(ours ?? Buffer.alloc(0))).toBe(true);
    });
  }

  it('stand in for qemu-img', () => {
    const shown = (...words: readonly string[]): string =>
      execFileSync('npx', ['qemu-img', ...words], { cwd: project.path, encoding: 'utf8' });
    expect(shown('--version')).toMatch(/^qemu-img version 10\.\d+\.\d+ \(instar \d/);
    expect(JSON.parse(shown('info', '--output=json', 'disk.qcow2'))).toMatchObject({ format: 'qcow2' });
  });

  it('run the engine from an ES module and from CommonJS', () => {
    const use = (load: string): string => `${load}
      info('disk.qcow2').then((image) => console.log(image.format, String(image.virtualSize)));`;
    project.write('main.mjs', use("import { info } from '@instar/engine';"));
    project.write('main.cjs', use("const { info } = require('@instar/engine');"));
    expect(project.node('main.mjs')).toBe('qcow2 4194304\n');
    expect(project.node('main.cjs')).toBe('qcow2 4194304\n');
  });

  it('name what is missing in one line where there is no native part', () => {
    const script = `
      Object.defineProperty(process, 'platform', { value: 'darwin' });
      process.argv.splice(1, process.argv.length, 'instar');
      const { main } = await import('@instar/cli/dist/main.cjs');
      await main(['dd', 'if=disk.qcow2', 'of=out.raw']);`;
    project.write('darwin.mjs', script.replace('@instar/cli', './node_modules/@instar/cli'));
    const { status, stderr } = spawnSync(process.execPath, ['darwin.mjs'], { cwd: project.path, encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^instar: dd: no native part for darwin-x64; it exists for Linux on x86-64 with glibc [^\n]+\n$/,
    );
  });
});
