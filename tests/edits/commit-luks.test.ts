// What stands above a luks image is committed into it, encrypted.
import { expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir } from '../support/workdir.js';

const KIB = 1024;
const SECRET = ['--object', 'secret,id=a,file=a'];

it.for(['512', '4k', '64k'])('clusters of %s bytes', (cluster, context) => {
  requireJudge(context, QEMU_IMG);
  const directory = workdir();
  directory.write('a', 'passphrase').write('content', noise(1024 * KIB));
  const run = (...words: readonly string[]): void => {
    qemuImg(...words)
      .in(directory)
      .must();
  };
  run('convert', ...SECRET, '-f', 'raw', '-O', 'luks', '-o', 'key-secret=a,iter-time=10', 'content', 'below');
  run('create', '-q', '-u', '-f', 'qcow2', '-o', `cluster_size=${cluster}`, '-b', 'below', '-F', 'luks', 'top', '1M');
  // Over the same content in the clear, so that it may be written to without the key.
  run('rebase', '-u', '-f', 'qcow2', '-b', 'content', '-F', 'raw', 'top');
  qemuIo('top', 'write -q -P 3 100k 200k', 'write -q -z 512k 64k', 'write -q -P 4 1023k 512').in(directory).must();
  run('convert', '-f', 'qcow2', '-O', 'raw', 'top', 'wanted');
  run('rebase', '-u', '-f', 'qcow2', '-b', 'below', '-F', 'luks', 'top');
  const before = directory.read('below');
  const locked = instar('commit', 'top').in(directory).run();
  expect(locked.stderr).toContain('encrypted');
  expect(locked.status).toBe(1);
  expect(directory.read('below').equals(before)).toBe(true);
  instar('commit', '-q', ...SECRET, 'top')
    .in(directory)
    .must();
  run('convert', ...SECRET, '--image-opts', 'driver=luks,key-secret=a,file.filename=below', '-O', 'raw', 'after');
  expect(directory.read('after').equals(directory.read('wanted'))).toBe(true);
});
