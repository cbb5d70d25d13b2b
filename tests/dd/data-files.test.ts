// qcow2 outputs whose data lies in a file of its own.
import { linkSync, mkdirSync, symlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { described } from '../support/described.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const MIB = 1 << 20;

/** A chain, with data in both layers and zeros over data. */
function withChain(): Workdir {
  const directory = workdir().write('disk.raw', noise(3 * MIB + 512, 11));
  qemuImg('convert', '-q', '-c', '-f', 'raw', '-O', 'qcow2', 'disk.raw', 'base.qcow2').in(directory).must();
  qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', 'top.qcow2', '9M').in(directory).must();
  qemuIo('top.qcow2', 'write -q -P 7 100k 70k', 'write -q -z 1M 128k', 'write -q -P 9 8M 64k').in(directory).must();
  return directory;
}

/** Both programs' outputs, in directories of their own. */
function converted(directory: Workdir, options: string): void {
  for (const of of ['ours', 'theirs']) mkdirSync(directory.file(of));
  const words = ['convert', '-O', 'qcow2', '-o', `data_file=disk.data,${options}`, '../top.qcow2', 'disk.qcow2'];
  instar(...words)
    .in(directory.file('ours'))
    .must();
  qemuImg(...words)
    .in(directory.file('theirs'))
    .must();
}

describe('an output with a data file', () => {
  it.for(['lazy_refcounts=off', 'data_file_raw=on', 'extended_l2=on', 'cluster_size=512', 'preallocation=falloc'])(
    'holds the disk there, and is described as qemu-img describes its own: %s',
    (options, context) => {
      requireJudge(context, QEMU_IMG);
      const directory = withChain();
      converted(directory, options);
      // QEMU looks for a data file in the directory in which it is started.
      qemuImg('compare', '-f', 'qcow2', '-F', 'qcow2', '../top.qcow2', 'disk.qcow2').in(directory.file('ours')).must();
      qemuImg('check', '-q', 'disk.qcow2').in(directory.file('ours')).must();
      instar('compare', 'top.qcow2', 'theirs/disk.qcow2').in(directory).must();
      expect(described(directory.file('ours'), 'qcow2', 'disk.qcow2')).toEqual(
        described(directory.file('theirs'), 'qcow2', 'disk.qcow2'),
      );
      expect(directory.read('ours/disk.data').length).toBe(9 * MIB);
      if (options === 'data_file_raw=on') {
        qemuImg('compare', '-f', 'qcow2', '-F', 'raw', 'top.qcow2', 'ours/disk.data').in(directory).must();
      }
      // Where nothing has data, nothing has a place.
      const theirs = qemuImg('check', '--output=json', 'disk.qcow2').in(directory.file('theirs')).must().stdout;
      const ours = qemuImg('check', '--output=json', 'disk.qcow2').in(directory.file('ours')).must().stdout;
      const clusters = (text: string): number =>
        (JSON.parse(text) as Record<string, number>)['allocated-clusters'] ?? 0;
      expect(clusters(ours)).toBeGreaterThanOrEqual(clusters(theirs));
    },
  );

  it.for(['data_file_raw=off', 'data_file_raw=on'])('is created empty: %s', (options, context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    mkdirSync(directory.file('images'));
    instar('create', '-q', '-f', 'qcow2', '-o', `data_file=new.data,${options}`, 'images/new.qcow2', '5M')
      .in(directory)
      .must();
    qemuImg('create', '-q', '-f', 'raw', 'empty', '5M').in(directory).must();
    // Its data file lies beside it, where a reader looks for it.
    expect(directory.names('images')).toEqual(['new.data', 'new.qcow2']);
    const there = directory.file('images');
    qemuImg('compare', '-f', 'qcow2', '-F', 'raw', 'new.qcow2', '../empty').in(there).must();
    qemuIo('new.qcow2', 'write -q -P 5 1M 4k').in(there).must();
    expect(
      directory
        .read('images/new.data')
        .subarray(MIB, MIB + 4096)
        .every((byte) => byte === 5),
    ).toBe(true);
  });

  it('is never its own data file, whatever names both have', () => {
    const directory = workdir().write('disk.raw', noise(4096, 3)).write('here', 'kept');
    linkSync(directory.file('here'), directory.file('linked'));
    symlinkSync('here', directory.file('symlinked'));
    const before = directory.digests();
    for (const [output, dataFile] of [
      ['new', 'new'],
      ['new', './new'],
      ['here', 'linked'],
      ['symlinked', 'here'],
    ] as const) {
      for (const words of [
        ['create', '-f', 'qcow2', '-o', `data_file=${dataFile}`, output, '1M'],
        ['convert', '-f', 'raw', '-O', 'qcow2', '-o', `data_file=${dataFile}`, 'disk.raw', output],
      ]) {
        const { status, stderr } = instar(...words)
          .in(directory)
          .run();
        expect([status, stderr.split('\n').length], words.join(' ')).toEqual([1, 2]);
        expect(stderr).toContain('would be its own data file');
      }
    }
    expect(directory.digests()).toEqual(before);
  });

  it.for([
    ['data_file_raw=on', 'data_file_raw: needs'],
    ['data_file=d,compat=0.10', 'data_file needs version 3'],
    ['data_file=', 'data_file=: expected the name of a file'],
    ['data_file=disk.raw', 'is also an input'],
    ['data_file=d,encrypt.format=luks', 'data_file: is not encrypted'],
  ] as const)('is refused where it cannot be: %s', ([options, expected]) => {
    const directory = workdir().write('disk.raw', noise(4096, 3));
    const secret = ['--object', 'secret,id=key,data=of a test'];
    const words = ['convert', ...secret, '-f', 'raw', '-O', 'qcow2', '-o', options, 'disk.raw', 'out'];
    const { status, stderr } = instar(...words)
      .in(directory)
      .run();
    expect(status).toBe(1);
    expect(stderr).toContain(expected);
    expect(directory.names()).toEqual(['disk.raw']);
  });

  it('appears with its data file, or neither does', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('disk.raw', noise(MIB, 5));
    // A name that no file can get.
    mkdirSync(directory.file('out'));
    const words = ['convert', '-f', 'raw', '-O', 'qcow2', '-o', 'data_file=out.data', 'disk.raw', 'out'];
    const { status } = instar(...words)
      .in(directory)
      .run();
    expect(status).toBe(1);
    expect(directory.names()).toEqual(['disk.raw', 'out']);
  });
});
