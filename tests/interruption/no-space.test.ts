import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { instar, program } from '../support/command.js';
import { QEMU_IMG, requireJudge, skipWithoutRight } from '../support/judge.js';
import { workdir, type Workdir } from '../support/workdir.js';

const MIB = 1024 * 1024;
const OLD = 'an output that existed before\n';

function withDisk(): Workdir {
  const directory = workdir();
  directory.write('disk.raw', Buffer.alloc(16 * MIB, 'not zero '));
  program('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', 'disk.raw', 'disk.qcow2').in(directory).must();
  program('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', '-c', 'disk.raw', 'zlib.qcow2').in(directory).must();
  return directory;
}

/** Runs under a limit on the size of files (RLIMIT_FSIZE), which ends writing as a full disk does. */
function limited(directory: Workdir, kib: number, ...operands: readonly string[]): ReturnType<typeof spawnSync> {
  const command = instar('dd', ...operands).toString();
  return spawnSync('bash', ['-c', `ulimit -f ${kib}; exec ${command}`], { cwd: directory.path, encoding: 'utf8' });
}

describe('a dd that runs out of space', () => {
  for (const input of ['disk.raw', 'disk.qcow2', 'zlib.qcow2']) {
    for (const format of ['raw', 'qcow2']) {
      it(`leaves an existing output as it was at a file size limit (${input} → ${format})`, (context) => {
        requireJudge(context, QEMU_IMG);
        const directory = withDisk().write('out', OLD);
        const ended = limited(directory, 4096, `if=${input}`, 'of=out', 'bs=1M', '-O', format);
        expect(ended.status).toBe(1);
        expect(String(ended.stderr)).toMatch(/^instar: dd: [^\n]*(EFBIG|larger)[^\n]*\n$/);
        expect(directory.read('out').toString()).toBe(OLD);
        expect(directory.names().filter((name) => name.endsWith('.tmp'))).toEqual([]);
      });
    }
  }

  it('removes a file that seek= began at a file size limit', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withDisk();
    const ended = limited(directory, 4096, 'if=disk.qcow2', 'of=new', 'bs=1M', 'seek=0');
    expect(ended.status).toBe(1);
    expect(directory.names()).not.toContain('new');
  });

  it('says before the first byte that a file system is too small, and when it fills up meanwhile', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withDisk();
    const mount = directory.file('small');
    mkdirSync(mount);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', mount]);
    if (mounted.status !== 0) skipWithoutRight(context, 'a small tmpfs needs the right to mount');
    onTestFinished(() => {
      spawnSync('umount', [mount]);
    });
    directory.write('small/out', OLD);
    const early = instar('dd', 'if=disk.qcow2', 'of=small/out', 'bs=1M').in(directory).run();
    expect(early.status).toBe(1);
    expect(early.stderr).toMatch(/^instar: dd: small\/out: needs 16777216 bytes, its file system has \d+ free\n$/);
    for (const input of ['disk.qcow2', 'zlib.qcow2']) {
      // A sparse output may need less than its length, so that only writing shows that the space is not enough.
      const late = instar('dd', `if=${input}`, 'of=small/out', 'bs=1M', 'conv=sparse').in(directory).run();
      expect(late.status).toBe(1);
      expect(late.stderr).toMatch(/^instar: dd: small\/out: [^\n]*ENOSPC[^\n]*\n$/);
    }
    expect(directory.read('small/out').toString()).toBe(OLD);
    expect(directory.names('small')).toEqual(['out']);
  });

  it.for(['vdi', 'vmdk', 'vpc', 'vhdx', 'qed', 'parallels', 'qcow', 'simg'])(
    'refuses no %s that fits, though tables could come on top, and replaces what was there as a whole',
    (format, context) => {
      const directory = workdir().write('disk.raw', Buffer.concat([Buffer.alloc(MIB, 'x'), Buffer.alloc(15 * MIB)]));
      const mount = directory.file('small');
      mkdirSync(mount);
      const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', mount]);
      if (mounted.status !== 0) skipWithoutRight(context, 'a small tmpfs needs the right to mount');
      onTestFinished(() => {
        spawnSync('umount', [mount]);
      });
      for (const words of [
        ['convert', '-f', 'raw', '-S', '0', '-O', format, 'disk.raw', 'small/out'],
        ['dd', '-f', 'raw', '-O', format, 'if=disk.raw', 'of=small/out', 'bs=1M'],
      ]) {
        directory.write('small/out', OLD);
        // What is written in place is warned of.
        expect(
          instar(...words)
            .in(directory)
            .must().stderr,
        ).toBe('');
        expect(instar('compare', '-F', 'raw', 'small/out', 'disk.raw').in(directory).must().stdout).toContain(
          'Images are identical.',
        );
      }
    },
  );
});
