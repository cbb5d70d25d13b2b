// Refcounts that count to one or three: an edit must not need more of them than its result does, not even for a while.
import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir } from '../support/workdir.js';

const KIB = 1024;

describe.each(['1', '2'])('an image with refcounts of %s bits', (bits) => {
  it.for([
    ['cluster_size=64k', '300k'],
    ['cluster_size=512', '123k'],
    ['cluster_size=4k', '+2M'],
    ['cluster_size=64k', '64k'],
  ] as const)('gets another size as qemu-img gives it: %j', ([options, size], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('disk.raw', noise(500 * KIB, 71));
    for (const name of ['ours', 'theirs']) {
      qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-o', `${options},refcount_bits=${bits}`, 'disk.raw', name)
        .in(directory)
        .must();
    }
    instar('resize', '--shrink', 'ours', size).in(directory).must();
    qemuImg('resize', '--shrink', 'theirs', size).in(directory).must();
    qemuImg('check', '-q', 'ours').in(directory).must();
    qemuImg('compare', '-s', '-f', 'qcow2', '-F', 'qcow2', 'ours', 'theirs').in(directory).must();
  });

  it('is shrunk where a snapshot shares its tables, if they can be counted', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('disk.raw', noise(500 * KIB, 72));
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-o', `refcount_bits=${bits}`, 'disk.raw', 'image')
      .in(directory)
      .must();
    const before = directory.digests();
    const taken = instar('snapshot', '-c', 'kept', 'image').in(directory).run();
    if (bits === '1') {
      expect(taken.status).toBe(1);
      expect(directory.digests()).toEqual(before);
      return;
    }
    expect(taken.status).toBe(0);
    instar('resize', '--shrink', 'image', '200k').in(directory).must();
    qemuImg('check', '-q', 'image').in(directory).must();
    qemuImg('snapshot', '-a', 'kept', 'image').in(directory).must();
    qemuImg('compare', '-s', '-f', 'qcow2', '-F', 'raw', 'image', 'disk.raw').in(directory).must();
    qemuImg('check', '-q', 'image').in(directory).must();
  });
});
