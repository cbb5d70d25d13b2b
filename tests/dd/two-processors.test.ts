// Clusters that two processors of the sandbox compress.
import { openSync, closeSync, ftruncateSync, writeSync } from 'node:fs';
import { expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise, Random } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const MIB = 1 << 20;

/** A disk with clusters that pack well, badly and not at all, in pieces of odd lengths, with holes between. */
function withDisk(): Workdir {
  const directory = workdir();
  const random = new Random(5);
  const fd = openSync(directory.file('disk.raw'), 'w');
  for (let at = 0; at < 40 * MIB;) {
    const length = 512 * (1 + random.below(600));
    const kind = random.below(3);
    const text = Buffer.alloc(length, `text ${at} that is said again and again `);
    if (kind < 2) writeSync(fd, kind === 0 ? text : noise(length, at), 0, length, at);
    at += length + 512 * random.below(100);
  }
  ftruncateSync(fd, 41 * MIB + 512);
  closeSync(fd);
  return directory;
}

it.for([
  ['qcow2', 'kvm', []],
  ['qcow2', 'process', ['-o', 'compression_type=zstd']],
  ['qcow2', 'process', ['-o', 'cluster_size=512']],
  ['qcow2', 'kvm', ['-o', 'cluster_size=2M,compression_type=zstd', '--compress-level', 'best']],
  ['vmdk', 'kvm', ['-o', 'subformat=streamOptimized']],
  ['vmdk', 'process', ['-o', 'subformat=streamOptimized']],
] as const)('writes the same as one: %s %s %j', ([format, sandbox, options], context) => {
  requireJudge(context, QEMU_IMG);
  const directory = withDisk();
  const words = ['convert', '-c', `--sandbox=${sandbox}`, '-f', 'raw', '-O', format, ...options, 'disk.raw'];
  instar(...words, 'two')
    .in(directory)
    .must();
  // A guest that may be dumped has one processor.
  instar(...words, '--dump-on-crash', 'dump', 'one')
    .in(directory)
    .must();
  qemuImg('compare', '-f', 'raw', '-F', format, 'disk.raw', 'two').in(directory).must();
  // Images of vmdk have identifiers of their own.
  const [two, one] = [directory.read('two'), directory.read('one')];
  if (format === 'qcow2') expect(two.equals(one)).toBe(true);
  else expect(two.length).toBe(one.length);
});
