// A commit through images of which one between is shorter: what it hides of those below is zeros, in the base too afterwards.
import { expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const KIB = 1024;

/** `top` over a shorter `between` over `base`, each with data; `format` is that of the base. */
function chain(format: string, end: number): Workdir {
  const directory = workdir();
  directory.write('content', noise(1024 * KIB));
  const run = (...words: readonly string[]): void => {
    qemuImg(...words)
      .in(directory)
      .must();
  };
  run('convert', '-f', 'raw', '-O', format, 'content', 'base');
  const small = ['-q', '-f', 'qcow2', '-o', 'cluster_size=4k'];
  run('create', ...small, '-b', 'base', '-F', format, 'between', `${end}`);
  run('create', ...small, '-b', 'between', '-F', 'qcow2', 'top', '1M');
  qemuIo('between', 'write -q -P 7 100k 50k').in(directory).must();
  qemuIo('top', 'write -q -P 9 40k 8k', 'write -q -P 8 900k 4k').in(directory).must();
  return directory;
}

it.for([
  ['raw', 512 * KIB],
  ['raw', 600 * KIB + 512],
  ['qcow2', 512 * KIB],
  ['qcow2', 600 * KIB + 512],
] as const)('into a base of format %s, below an image of %i bytes', ([format, end], context) => {
  requireJudge(context, QEMU_IMG);
  const [ours, theirs] = [chain(format, end), chain(format, end)];
  qemuImg('convert', '-f', 'qcow2', '-O', 'raw', 'top', 'shown').in(ours).must();
  theirs.write('content', ours.read('content')).write('base', ours.read('base'));
  qemuImg('commit', '-q', '-b', 'base', '-f', 'qcow2', 'top').in(theirs).must();
  instar('commit', '-q', '-b', 'base', '-f', 'qcow2', 'top').in(ours).must();
  const read = (directory: Workdir): Buffer => {
    qemuImg('convert', '-f', format, '-O', 'raw', 'base', 'after').in(directory).must();
    return directory.read('after');
  };
  expect(read(ours).equals(read(theirs))).toBe(true);
  expect(read(ours).equals(ours.read('shown'))).toBe(true);
});
