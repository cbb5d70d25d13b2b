import { truncateSync } from 'node:fs';
import { expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

function chain(): Workdir {
  const directory = workdir().write('base.raw', noise(1 << 20));
  qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.raw', '-F', 'raw', 'top.qcow2').in(directory).must();
  return directory;
}

it('-v tells the images of the chain, the sandbox and the time, each on a line of standard error', (context) => {
  requireJudge(context, QEMU_IMG);
  const directory = chain();
  const { stderr, stdout } = instar('dd', '-v', '--sandbox=process', 'if=top.qcow2', 'of=out.raw').in(directory).must();
  const lines = stderr.trimEnd().split('\n');
  expect(lines.slice(0, 2)).toEqual([
    'instar: dd: image top.qcow2: qcow2 (probed), 1 MiB (1048576 bytes)',
    expect.stringMatching(/^instar: dd: image \S*base\.raw: raw \(declared\), 1 MiB \(1048576 bytes\)$/),
  ]);
  expect(stderr).toMatch(/^instar: dd: sandbox process: ended \(exit\) after [\d.]+ ms and [1-9]\d* commands$/m);
  expect(lines.at(-1)).toMatch(/^instar: dd: took \d+ ms in all$/);
  expect(stdout).toBe('');
});

it('without -v nothing of it is told', () => {
  const directory = workdir().write('disk.raw', noise(512));
  expect(instar('dd', 'if=disk.raw', 'of=out.raw').in(directory).must().stderr).toBe('');
});

it.each([
  ['dd', ['if=disk.raw', 'of=out.raw', 'skip=9']],
  ['info', ['cut.qcow2']],
])('-q keeps the warnings of %s to itself', (command, words) => {
  const directory = workdir().write('disk.raw', noise(1024));
  // Cut in the middle: its tables point behind the end.
  directory.write('whole.raw', noise(1 << 20));
  instar('convert', '-O', 'qcow2', 'whole.raw', 'cut.qcow2').in(directory).must();
  truncateSync(directory.file('cut.qcow2'), 1 << 20);
  expect(
    instar(command, ...words)
      .in(directory)
      .must().stderr,
  ).toContain('warning: ');
  expect(
    instar(command, '-q', ...words)
      .in(directory)
      .must().stderr,
  ).toBe('');
});

it('INSTAR_SANDBOX is what --sandbox is where it is not given', () => {
  const directory = workdir().write('disk.raw', noise(512));
  const inEnvironment = (kind: string, ...words: readonly string[]): string =>
    instar('info', '-v', ...words, 'disk.raw')
      .in(directory)
      .environment({ INSTAR_SANDBOX: kind })
      .run().stderr;
  expect(inEnvironment('process')).toContain('sandbox process');
  expect(inEnvironment('nothing', '--sandbox=process')).toContain('expected kvm or process or auto');
  expect(inEnvironment('kvm', '--sandbox=process')).toContain('sandbox process');
});

it('info says the verdict first, and why', () => {
  const directory = workdir().write('disk.raw', noise(512));
  directory.write('base.raw', noise(512));
  const [first] = instar('info', 'disk.raw').in(directory).must().stdout.split('\n');
  expect(first).toBe('safety: safe');
  expect(instar('create', '-f', 'qcow2', '-b', 'base.raw', '-F', 'raw', 'top.qcow2').in(directory).must().status).toBe(
    0,
  );
  expect(instar('info', 'top.qcow2').in(directory).must().stdout).toMatch(
    /^safety: NOT safe \(backing-file fail\)\nimage: /,
  );
});
