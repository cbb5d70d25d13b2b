import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { checkSandboxes, type Sandbox } from '@instar/engine';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge, skipLoudly, skipWithoutRight } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { lines, noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const MIB = 1024 * 1024;
const OLD = 'what was there before\n';
const INPUTS = ['disk.raw', 'plain.qcow2', 'zlib.qcow2', 'zstd.qcow2', 'overlay.qcow2'] as const;

/** A disk that fits one batch of the guest, so that its only writes are its last. */
function withInputs(): Workdir {
  const directory = workdir();
  directory.write('disk.raw', Buffer.concat([lines(700_000, 41), noise(400_096, 42)]));
  const convert = (...args: readonly string[]): void => {
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', ...args)
      .in(directory)
      .must();
  };
  convert('disk.raw', 'plain.qcow2');
  convert('-c', 'disk.raw', 'zlib.qcow2');
  convert('-c', '-o', 'compression_type=zstd', 'disk.raw', 'zstd.qcow2');
  qemuImg('create', '-q', '-f', 'qcow2', '-b', 'zlib.qcow2', '-F', 'qcow2', 'overlay.qcow2').in(directory).must();
  return directory;
}

describe('a dd into what is full', () => {
  for (const sandbox of ['kvm', 'process'] satisfies Sandbox[]) {
    it.for(INPUTS)(`of a small image to /dev/full fails (%s, ${sandbox})`, async (input, context) => {
      requireJudge(context, QEMU_IMG);
      const problem = (await checkSandboxes())[sandbox];
      if (problem !== undefined) skipLoudly(context, problem);
      const directory = withInputs();
      const command = instar('dd', `--sandbox=${sandbox}`, `if=${input}`, 'of=-').toString();
      const ended = spawnSync('bash', ['-c', `exec ${command} >/dev/full`], { cwd: directory.path, encoding: 'utf8' });
      expect(ended.stderr).toMatch(/^instar: dd: [^\n]*ENOSPC[^\n]*\n$/);
      expect(ended.status).toBe(1);
    });
  }

  it.for(INPUTS)('on an ext4 that fills up keeps the old output (%s)', (input, context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withInputs();
    directory.write('file-system', Buffer.alloc(2 * MIB));
    const mount = directory.file('small');
    mkdirSync(mount);
    const made = spawnSync('mkfs.ext4', ['-q', '-O', '^has_journal', directory.file('file-system')]);
    if (made.status !== 0) skipWithoutRight(context, 'mkfs.ext4 is not installed');
    const mounted = spawnSync('mount', ['-o', 'loop', directory.file('file-system'), mount]);
    if (mounted.status !== 0) skipWithoutRight(context, 'a file system in a file needs the right to mount');
    onTestFinished(() => {
      spawnSync('umount', [mount]);
    });
    directory.write('small/out', OLD);
    // All room but half of the disk is taken, by what cannot be replaced.
    const { stdout } = spawnSync('df', ['--output=avail', '-B1', mount], { encoding: 'utf8' });
    const available = Number(stdout.split('\n')[1]);
    directory.write('small/other', noise(available - 500_000, 43));
    for (const words of [[], ['conv=sparse'], ['-O', 'qcow2']]) {
      const ended = instar('dd', `if=${input}`, 'of=small/out', ...words)
        .in(directory)
        .run();
      expect(ended.stderr).toMatch(/^instar: dd: small\/out: [^\n]*\n$/);
      expect(ended.status).toBe(1);
      expect(directory.read('small/out').toString()).toBe(OLD);
      expect(directory.names('small').filter((name) => name !== 'lost+found')).toEqual(['other', 'out']);
    }
  });
});
