import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { described } from '../support/described.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir } from '../support/workdir.js';

const KIB = 1 << 10;

describe('options of convert that qemu-img has', () => {
  it('--target-image-opts describes an output that exists', () => {
    const content = noise(64 * KIB, 61);
    const directory = workdir()
      .write('disk.raw', content)
      .write('out', Buffer.alloc(80 * KIB, 3));
    instar('convert', '-f', 'raw', '-n', '--target-image-opts', 'disk.raw', 'driver=raw,file.filename=out')
      .in(directory)
      .must();
    expect(directory.read('out').equals(Buffer.concat([content, Buffer.alloc(16 * KIB, 3)]))).toBe(true);
  });

  it('-C changes nothing', () => {
    const content = noise(300 * KIB, 62);
    const directory = workdir().write('disk.raw', content);
    instar('convert', '-f', 'raw', '-C', '-O', 'raw', 'disk.raw', 'out').in(directory).must();
    expect(directory.read('out').equals(content)).toBe(true);
  });

  it.for(['auto', 'process'])('-r holds back what is written, and can be interrupted: %s', (sandbox) => {
    const content = noise(1536 * KIB, 64);
    const directory = workdir().write('disk.raw', content);
    const words = ['convert', `--sandbox=${sandbox}`, '-f', 'raw', '-O', 'qcow2'];
    const done = instar(...words, '-r', '1M', 'disk.raw', 'out')
      .in(directory)
      .must();
    expect(done.elapsedMs).toBeGreaterThan(1400);
    instar('compare', '-f', 'raw', '-F', 'qcow2', 'disk.raw', 'out').in(directory).must();
    // A minute and a half, were it not stopped.
    const stopped = instar(...words, '-r', '16k', '--limit-time=1s', 'disk.raw', 'never')
      .in(directory)
      .run();
    expect([stopped.status, directory.names()]).toEqual([1, ['disk.raw', 'out']]);
    expect(stopped.elapsedMs).toBeLessThan(30_000);
  });

  it.for([
    [
      ['--target-image-opts', 'disk.raw', 'driver=raw,file.filename=out'],
      '--target-image-opts requires use of -n flag',
    ],
    [['-C', '-S', '8k', 'disk.raw', 'out'], 'Cannot enable copy offloading when -S is used'],
    [['-C', '-c', '-O', 'qcow2', 'disk.raw', 'out'], 'Cannot enable copy offloading when -c is used'],
    [['-n', '--target-image-opts', 'disk.raw', 'driver=vdi,file.filename=out'], 'convert: out: '],
  ] as const)('%j is refused', ([words, sentence]) => {
    const directory = workdir().write('disk.raw', noise(KIB, 63)).write('out', 'before');
    const { status, stderr } = instar('convert', ...words)
      .in(directory)
      .run();
    expect([status, stderr]).toEqual([1, expect.stringContaining(sentence)]);
    expect(directory.read('out').toString()).toBe('before');
  });
});

describe('an empty qcow2 image that exists is filled with -n', () => {
  it.for([['cluster_size=4k,refcount_bits=8,lazy_refcounts=on'], ['compat=0.10'], ['extended_l2=on']] as const)(
    'as qemu-img fills one that was made with %j',
    ([options, ...words], context) => {
      requireJudge(context, QEMU_IMG);
      const directory = workdir().write('disk.raw', noise(300 * KIB, 65));
      for (const name of ['ours', 'theirs']) {
        qemuImg('create', '-q', '-f', 'qcow2', '-o', options, name, '5M').in(directory).must();
      }
      const line = ['convert', '-f', 'raw', '-n', ...words, '-O', 'qcow2', 'disk.raw'];
      instar(...line, 'ours')
        .in(directory)
        .must();
      qemuImg(...line, 'theirs')
        .in(directory)
        .must();
      qemuImg('compare', '-f', 'qcow2', '-F', 'qcow2', 'ours', 'theirs').in(directory).must();
      qemuImg('check', '-q', 'ours').in(directory).must();
      expect(described(directory, 'qcow2', 'ours')).toEqual(described(directory, 'qcow2', 'theirs'));
    },
  );

  it('and keeps its backing file', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('disk.raw', Buffer.concat([Buffer.alloc(128 * KIB), noise(300 * KIB, 66)]));
    qemuImg('create', '-q', '-f', 'qcow2', 'base', '428k').in(directory).must();
    qemuIo('base', 'write -q -P 3 0 400k').in(directory).must();
    for (const name of ['ours', 'theirs']) {
      qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base', '-F', 'qcow2', name).in(directory).must();
    }
    const line = ['convert', '-f', 'raw', '-n', '-O', 'qcow2', 'disk.raw'];
    instar(...line, 'ours')
      .in(directory)
      .must();
    const text = qemuImg('info', 'ours').in(directory).must().stdout;
    expect(text).toContain('backing file: base');
    qemuImg(...line, 'theirs')
      .in(directory)
      .must();
    qemuImg('compare', '-f', 'qcow2', '-F', 'qcow2', 'ours', 'theirs').in(directory).must();
    qemuImg('compare', '-f', 'raw', '-F', 'qcow2', 'disk.raw', 'ours').in(directory).must();
  });

  it('and left as it is where its backing file would show behind the disk', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('disk.raw', noise(300 * KIB, 69));
    qemuImg('create', '-q', '-f', 'qcow2', 'base', '2M').in(directory).must();
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base', '-F', 'qcow2', 'out').in(directory).must();
    const before = directory.digests();
    const { status, stderr } = instar('convert', '-f', 'raw', '-n', '-O', 'qcow2', 'disk.raw', 'out')
      .in(directory)
      .run();
    expect([status, stderr]).toEqual([1, expect.stringContaining('has a backing file')]);
    expect(directory.digests()).toEqual(before);
  });

  it.for([
    ['data', ['write -q 1M 4k'], undefined],
    ['a snapshot', ['write -q -P 5 0 100k'], 'kept'],
  ] as const)('and written into in place where it holds %s, as by qemu-img', ([, writes, snapshot], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('disk.raw', noise(300 * KIB, 67));
    const line = ['convert', '-f', 'raw', '-n', '-O', 'qcow2', 'disk.raw'];
    for (const [name, convert] of [
      ['ours', instar],
      ['theirs', qemuImg],
    ] as const) {
      qemuImg('create', '-q', '-f', 'qcow2', name, '5M').in(directory).must();
      qemuIo(name, ...writes)
        .in(directory)
        .must();
      if (snapshot !== undefined) qemuImg('snapshot', '-c', snapshot, name).in(directory).must();
      convert(...line, name)
        .in(directory)
        .must();
      qemuImg('check', '-q', name).in(directory).must();
    }
    qemuImg('compare', '-f', 'qcow2', '-F', 'qcow2', 'ours', 'theirs').in(directory).must();
    if (snapshot === undefined) return;
    for (const name of ['ours', 'theirs']) qemuImg('snapshot', '-a', snapshot, name).in(directory).must();
    qemuImg('compare', '-f', 'qcow2', '-F', 'qcow2', 'ours', 'theirs').in(directory).must();
    qemuIo('ours', 'read -q -P 5 0 100k').in(directory).must();
  });

  it('and left as it is where it is smaller', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('disk.raw', noise(300 * KIB, 68));
    qemuImg('create', '-q', '-f', 'qcow2', 'out', '64k').in(directory).must();
    const before = directory.digests();
    const { status, stderr } = instar('convert', '-f', 'raw', '-n', '-O', 'qcow2', 'disk.raw', 'out')
      .in(directory)
      .run();
    expect([status, stderr]).toEqual([1, expect.stringContaining('has a disk of 65536 bytes, fewer than the 307200')]);
    expect(directory.digests()).toEqual(before);
  });
});
