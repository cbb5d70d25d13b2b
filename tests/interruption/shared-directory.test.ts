import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { INSTAR, instar, program } from '../support/command.js';
import { QEMU_IMG, requireJudge, skipWithoutRight } from '../support/judge.js';
import { workdir, type Workdir } from '../support/workdir.js';

const MIB = 1024 * 1024;
const OLD = 'an output that existed before\n';

function withDisk(): Workdir {
  return workdir()
    .write('disk.raw', Buffer.alloc(8 * MIB, 'not zero '))
    .write('out.raw', OLD);
}

/** Words that run a program as a user who owns nothing. */
const AS_ANOTHER_USER = ['--reuid', '65534', '--clear-groups'];

/** Whether this process may become another user, and that user may read this checkout. */
function canBecomeAnotherUser(): boolean {
  const words = [...AS_ANOTHER_USER, process.execPath, INSTAR, '--version'];
  return spawnSync('setpriv', words).status === 0;
}

describe('an output in a directory that others use', () => {
  it('is not replaced while another process holds it open as an image', async (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withDisk();
    program('qemu-img', 'create', '-q', '-f', 'qcow2', 'vm.qcow2', '1M').in(directory).must();
    const holder = spawn('qemu-io', ['-c', 'write 0 512', '-c', 'sleep 20000', 'vm.qcow2'], {
      cwd: directory.path,
      stdio: 'ignore',
    });
    try {
      // The kernel says when the locks are taken; a qemu-img that asked could itself keep the holder from getting them.
      const inode = `:${String(statSync(directory.file('vm.qcow2')).ino)} `;
      const locked = (): boolean => readFileSync('/proc/locks', 'utf8').includes(inode);
      for (let tries = 0; tries < 500 && !locked(); tries += 1) await setTimeout(20);
      // It takes them one after the other.
      await setTimeout(300);
      expect(program('qemu-img', 'info', 'vm.qcow2').in(directory).run().status).not.toBe(0);
      const before = directory.read('vm.qcow2');
      for (const operands of [['of=vm.qcow2'], ['of=vm.qcow2', 'seek=0']]) {
        const ended = instar('dd', 'if=disk.raw', ...operands)
          .in(directory)
          .run();
        expect(ended.status).toBe(1);
        expect(ended.stderr).toMatch(/^instar: dd: vm\.qcow2: another process uses this image [^\n]+\n$/);
      }
      expect(directory.read('vm.qcow2').equals(before)).toBe(true);
    } finally {
      holder.kill('SIGKILL');
    }
  });

  it('is never published with the bytes of another container that has the same pid', async (context) => {
    if (spawnSync('unshare', ['-pf', 'true']).status !== 0)
      skipWithoutRight(context, 'a pid namespace needs the right to make one');
    const directory = withDisk();
    const other = Buffer.alloc(8 * MIB, 'the other ');
    directory.write('other.raw', other);
    const runs = ['disk.raw', 'other.raw'].map(
      (input) =>
        new Promise<number | null>((resolve) => {
          const words = ['-pf', process.execPath, INSTAR, 'dd', `if=${input}`, 'of=out.raw', '-f', 'raw'];
          spawn('unshare', words, { cwd: directory.path, stdio: 'ignore' }).on('close', resolve);
        }),
    );
    const codes = await Promise.all(runs);
    expect(codes).toContain(0);
    const found = directory.read('out.raw');
    expect(found.equals(other) || found.equals(directory.read('disk.raw'))).toBe(true);
    expect(directory.names().filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('is put in place also where the directory cannot be read', (context) => {
    if (!canBecomeAnotherUser())
      skipWithoutRight(context, 'only root can become another user, who must see this checkout');
    const directory = withDisk();
    mkdirSync(directory.file('drop'));
    chmodSync(directory.file('drop'), 0o333);
    chmodSync(directory.path, 0o755);
    const words = [...AS_ANOTHER_USER, process.execPath, INSTAR];
    const operands = ['dd', 'if=disk.raw', 'of=drop/out.raw', 'count=3', '--sandbox=process'];
    const ended = program('setpriv', ...words, ...operands)
      .in(directory)
      .run();
    expect([ended.status, ended.stderr]).toEqual([0, '']);
    expect(directory.read('drop/out.raw')).toHaveLength(1536);
  });

  it('does not fail because of a leftover that it may not remove', () => {
    const directory = withDisk();
    mkdirSync(directory.file('.out.raw.instar-4194000-0123456789abcdef.tmp'));
    instar('dd', 'if=disk.raw', 'of=out.raw', 'count=1').in(directory).must();
    expect(directory.read('out.raw')).toHaveLength(512);
  });

  it('may have a name of 255 bytes', () => {
    const directory = withDisk();
    const name = 'n'.repeat(255);
    instar('dd', 'if=disk.raw', `of=${name}`, 'count=1').in(directory).must();
    expect(directory.read(name)).toHaveLength(512);
  });

  it('is refused where standard input is the same file', () => {
    const directory = withDisk();
    const command = instar('dd', 'if=-', 'of=out.raw', 'seek=1').toString();
    const { status, stderr } = spawnSync('bash', ['-c', `${command} < out.raw`], {
      cwd: directory.path,
      encoding: 'utf8',
    });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^instar: dd: out\.raw: is also an input [^\n]+\n$/);
    expect(directory.read('out.raw').toString()).toBe(OLD);
  });
});
