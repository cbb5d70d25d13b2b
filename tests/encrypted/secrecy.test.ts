// Where passphrases and keys must never be: dumps of the sandbox, command lines of children, messages.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

import { INSTAR, instar, program } from '../support/command.js';
import { requireSandbox, SANDBOXES } from '../hostile-guest/scene.js';
import { encrypt, PASSPHRASE } from '../support/encrypted-images.js';
import { QEMU_IMG, judgeVersion, requireJudge, skipLoudly, type Judge } from '../support/judge.js';
import { workdir } from '../support/workdir.js';
import { mixed } from '../support/zoo.js';

const CRYPTSETUP: Judge = { program: 'cryptsetup', probe: ['--version'], package: 'cryptsetup-bin' };

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('waited too long');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Command lines and environments of a process and all below it. */
function seenFromOutside(pid: number): Buffer {
  const tasks = `/proc/${pid}/task`;
  const children = readdirSync(tasks).flatMap((task) =>
    readFileSync(`${tasks}/${task}/children`, 'utf8').split(' ').filter(Boolean),
  );
  return Buffer.concat([
    readFileSync(`/proc/${pid}/cmdline`),
    ...children.map((child) => seenFromOutside(Number(child))),
  ]);
}

it.for(SANDBOXES)(
  'no dump of the %s sandbox has the passphrase or the key, though it is in use',
  async (sandbox, context) => {
    requireJudge(context, QEMU_IMG);
    if (judgeVersion(CRYPTSETUP) === undefined) skipLoudly(context, 'cryptsetup is not installed (cryptsetup-bin)');
    requireSandbox(context, sandbox);
    const directory = workdir()
      .write('plain.raw', mixed(24 << 20, 9))
      .write('passphrase', PASSPHRASE);
    encrypt(directory, 'plain.raw', 'disk.luks', 'luks', 'iter-time=10', 'cipher-alg=aes-256');
    program('cryptsetup', 'luksDump', '--dump-volume-key', '--volume-key-file', 'key', '--key-file', 'passphrase')
      .with('--batch-mode', 'disk.luks')
      .in(directory)
      .must();
    const key = directory.read('key');
    const tokens = ['dd', `--sandbox=${sandbox}`, '--passphrase-file', 'passphrase', '--dump-on-signal', 'guest.core'];
    const child = spawn(process.execPath, [INSTAR, ...tokens, 'if=disk.luks', 'of=-', 'bs=1M'], {
      cwd: directory.path,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    try {
      await once(child.stdout, 'readable');
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(seenFromOutside(child.pid ?? 0).includes(PASSPHRASE)).toBe(false);
      child.kill('SIGUSR2');
      await until(() => existsSync(directory.file('guest.core')));
      const dump = directory.read('guest.core');
      // What was decrypted is there: the guest was at work with the key.
      expect(dump.includes(mixed(24 << 20, 9).subarray(0, 4096))).toBe(true);
      expect(dump.includes(PASSPHRASE)).toBe(false);
      for (let at = 0; at < key.length; at += 16) {
        expect(dump.includes(key.subarray(at, at + 16)), `bytes ${at} to ${at + 15} of the key`).toBe(false);
      }
    } finally {
      child.stdout.resume();
      child.kill('SIGTERM');
      await once(child, 'close');
    }
  },
);

it.each([
  ['dd', '--object', 'secret,data=hush', 'if=disk.raw', 'of=out.raw'],
  ['dd', '--object', 'secret,id=s,data=hush,keyid=k', 'if=disk.raw', 'of=out.raw'],
  ['dd', '--object', 'secret,id=s,data=hush,format=hex', 'if=disk.raw', 'of=out.raw'],
  // A comma that belongs to it, a name that was forgotten, options that do not exist.
  ['dd', '--object', 'secret,id=s,data=be,hush', 'if=disk.raw', 'of=out.raw'],
  ['convert', '--object', 'secret,id=s,hush', 'disk.raw', 'out.raw'],
  ['info', '--object', 'hush', 'disk.raw'],
  ['info', '--object=hush,id=s', 'disk.raw'],
  ['dd', '--passphrase=hush', 'if=disk.raw', 'of=out.raw'],
  ['info', '--passphrase=hush', 'disk.raw'],
  ['convert', '--json', "--secret=hu's\nhush", 'disk.raw', 'out.raw'],
])('no message repeats a passphrase: %s %s %s', (...words) => {
  const directory = workdir().write('disk.raw', new Uint8Array(512));
  const refused = instar(...words)
    .in(directory)
    .run();
  expect(refused.status).toBe(1);
  expect(refused.stderr + refused.stdout).not.toContain('hush');
  expect(refused.stderr + refused.stdout).toMatch(/secret|option/);
});
