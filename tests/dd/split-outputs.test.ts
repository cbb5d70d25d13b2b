// Outputs that lie in several files.
import { dd } from '@instar/engine';
import { describe, expect, it } from 'vitest';
import { instar, program } from '../support/command.js';
import { described } from '../support/described.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const MIB = 1 << 20;
const SPLIT = ['monolithicFlat', 'twoGbMaxExtentFlat', 'twoGbMaxExtentSparse'] as const;

/** A disk of more than two extents, with data on both sides of their edges and at its end. */
function withDisk(): Workdir {
  const directory = workdir();
  const size = 2 ** 32 + 3 * MIB + 512;
  qemuImg('create', '-q', '-f', 'raw', 'disk.raw', String(size)).in(directory).must();
  const writes = [0, 2 ** 31 - 1024, 2 ** 32 - 512, size - 512];
  qemuIo('disk.raw', ...writes.map((at, index) => `write -q -P ${index + 7} ${at} ${at === size - 512 ? 512 : 2048}`))
    .in(directory)
    .must();
  return directory;
}

describe.each(SPLIT)('a vmdk of the kind %s', (subformat) => {
  it('holds the disk, in the files that qemu-img makes, and as it describes them', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withDisk();
    program('mkdir', 'ours', 'theirs').in(directory).must();
    const words = [
      'convert',
      '-f',
      'raw',
      '-O',
      'vmdk',
      '-o',
      `subformat=${subformat},adapter_type=lsilogic`,
      'disk.raw',
    ];
    instar(...words, 'ours/a.b.vmdk')
      .in(directory)
      .must();
    qemuImg(...words, 'theirs/a.b.vmdk')
      .in(directory)
      .must();
    expect(directory.names('ours')).toEqual(directory.names('theirs'));
    qemuImg('compare', '-f', 'raw', '-F', 'vmdk', 'disk.raw', 'ours/a.b.vmdk').in(directory).must();
    instar('compare', '-f', 'raw', '-F', 'vmdk', 'disk.raw', 'theirs/a.b.vmdk').in(directory).must();
    expect(described(`${directory.path}/ours`, 'vmdk', 'a.b.vmdk')).toEqual(
      described(`${directory.path}/theirs`, 'vmdk', 'a.b.vmdk'),
    );
    const settings = (of: string): readonly string[] =>
      directory
        .read(`${of}/a.b.vmdk`)
        .toString()
        .split('\n')
        .filter((line) => /^(RW|ddb|createType)/.test(line) && !line.includes('toolsVersion'));
    expect(settings('ours')).toEqual(settings('theirs'));
  });

  it('is created empty', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    instar('create', '-q', '-f', 'vmdk', '-o', `subformat=${subformat}`, 'new', '3G').in(directory).must();
    qemuImg('create', '-q', '-f', 'raw', 'empty', '3G').in(directory).must();
    qemuImg('compare', '-f', 'vmdk', '-F', 'raw', 'new', 'empty').in(directory).must();
  });

  it('replaces all of its files, or none', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('disk.raw', noise(MIB, 3)).write('bad.qcow2', noise(MIB, 4));
    const words = ['convert', '-O', 'vmdk', '-o', `subformat=${subformat}`] as const;
    instar(...words, '-f', 'raw', 'disk.raw', 'out.vmdk')
      .in(directory)
      .must();
    const before = directory.digests();
    expect(
      instar(...words, '-f', 'qcow2', 'bad.qcow2', 'out.vmdk')
        .in(directory)
        .run().status,
    ).toBe(1);
    const limited = instar(...words, '-f', 'raw', 'disk.raw', 'out.vmdk').under('prlimit', `--fsize=${MIB / 2}`);
    expect(limited.in(directory).run().status).toBe(1);
    expect(
      instar(...words, '--no-clobber', '-f', 'raw', 'disk.raw', 'out.vmdk')
        .in(directory)
        .run().status,
    ).toBe(1);
    expect(directory.digests()).toEqual(before);
  });

  it('is not written over what it is made from', () => {
    const directory = workdir().write('disk.raw', noise(MIB, 5));
    const words = ['convert', '-O', 'vmdk', '-o', `subformat=${subformat}`] as const;
    instar(...words, 'disk.raw', 'in.vmdk')
      .in(directory)
      .must();
    instar('convert', '-O', 'vmdk', 'disk.raw', 'one.vmdk').in(directory).must();
    const before = directory.digests();
    for (const name of ['in.vmdk', 'one.vmdk']) {
      const { status, stderr } = instar(...words, name, name)
        .in(directory)
        .run();
      expect([status, stderr]).toEqual([1, expect.stringMatching(/writing it would destroy the data\n$/)]);
    }
    expect(directory.digests()).toEqual(before);
  });
});

describe('what several files cannot be', () => {
  it.for([
    [['disk.raw', '-'], 'a stream is raw, simg or a streamOptimized vmdk: vmdk needs a file to write to'],
    [['-', 'out.vmdk'], 'a disk in several files is not read from a stream: save it first'],
    [
      ['disk.raw', 'a"b'],
      'a"b: cannot be named in a descriptor: expected a name without quotes and control characters',
    ],
  ] as const)('%j', ([words, sentence]) => {
    const directory = workdir().write('disk.raw', noise(MIB, 6));
    const { status, stderr } = instar('convert', '-O', 'vmdk', '-o', 'subformat=monolithicFlat', ...words)
      .in(directory)
      .run();
    expect([status, stderr]).toEqual([1, expect.stringContaining(sentence)]);
    expect(stderr.split('\n')).toHaveLength(2);
    expect(directory.names()).toEqual(['disk.raw']);
  });

  it('measured', () => {
    const { status, stderr } = instar(
      'measure',
      '-O',
      'vmdk',
      '-o',
      'subformat=twoGbMaxExtentFlat',
      '--size',
      '3G',
    ).run();
    expect([status, stderr]).toEqual([
      1,
      expect.stringContaining('subformat: disks in several files are not measured'),
    ]);
  });

  it('an output of dd', async () => {
    const output = { path: 'out' };
    const layout = { subformat: 'monolithicFlat' } as const;
    await expect(dd({ input: output, output, outputFormat: 'vmdk', layout })).rejects.toThrow(/several files/);
  });
});
