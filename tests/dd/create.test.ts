// Images of empty disks, beside those that qemu-img creates.
import { WRITABLE_FORMATS } from '@instar/engine';
import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { workdir } from '../support/workdir.js';

// Those behind a key are in tests/encrypted.
describe.each(WRITABLE_FORMATS.filter((format) => format !== 'luks' && format !== 'simg'))('create -f %s', (format) => {
  it.for(['512', '1M', '33M', '3G'])('of %s says what qemu-img says, and is as empty', (size, context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    const ours = instar('create', '-f', format, 'disk', size).in(directory).must().stdout;
    const info = JSON.parse(
      qemuImg('info', '-f', format, '--output=json', 'disk').in(directory).must().stdout,
    ) as object;
    qemuImg('create', '-q', '-f', 'raw', 'empty.raw', size).in(directory).must();
    qemuImg('compare', '-q', '-f', format, '-F', 'raw', 'disk', 'empty.raw').in(directory).must();
    directory.delete('disk');
    expect(ours).toBe(qemuImg('create', '-f', format, 'disk', size).in(directory).must().stdout);
    const judged = qemuImg('info', '-f', format, '--output=json', 'disk').in(directory).must().stdout;
    const { 'virtual-size': expected } = JSON.parse(judged) as Record<'virtual-size', number>;
    expect(info).toMatchObject({ format, 'virtual-size': expected });
  });
});

describe('create', () => {
  it('takes no image that its backing file reads as its data file', () => {
    const directory = workdir();
    instar('create', '-q', '-f', 'qcow2', 'base', '1M').in(directory).must();
    instar('create', '-q', '-f', 'qcow2', '-b', 'base', '-F', 'qcow2', 'middle').in(directory).must();
    const before = directory.digests();
    for (const name of ['base', 'middle', './base']) {
      const words = ['create', '-q', '-f', 'qcow2', '-b', 'middle', '-F', 'qcow2', '-o', `data_file=${name}`, 'top'];
      const { status, stderr } = instar(...words)
        .in(directory)
        .run();
      expect([status, stderr]).toEqual([1, expect.stringContaining('would be its own backing file')]);
    }
    expect(directory.digests()).toEqual(before);
  });

  it('writes no image that its backing file reads: neither could be read again', () => {
    const directory = workdir();
    instar('create', '-q', '-f', 'qcow2', 'base', '1M').in(directory).must();
    instar('create', '-q', '-f', 'qcow2', '-b', 'base', '-F', 'qcow2', 'middle').in(directory).must();
    instar('create', '-q', '-f', 'qcow2', '-b', 'middle', '-F', 'qcow2', 'top').in(directory).must();
    const before = directory.digests();
    for (const name of ['base', 'middle', 'top', './base']) {
      const { status, stderr } = instar('create', '-q', '-f', 'qcow2', '-b', 'top', '-F', 'qcow2', name)
        .in(directory)
        .run();
      expect([status, stderr]).toEqual([1, expect.stringContaining('would be its own backing file')]);
    }
    expect(directory.digests()).toEqual(before);
  });

  it('is quiet, or tells a program', () => {
    const directory = workdir();
    expect(instar('create', '-q', 'disk.raw', '1M').in(directory).must().stdout).toBe('');
    const told = instar('create', '--json', '-f', 'vdi', 'disk.vdi', '1M').in(directory).must().stdout;
    expect(JSON.parse(told)).toMatchObject({ result: { filename: 'disk.vdi', format: 'vdi', virtualSize: 1_048_576 } });
  });

  it.for([
    [['disk'], /needs a name and a size/],
    [['disk', '1X'], /1X/],
    [['-b', 'base.qcow2', 'disk', '1M'], /-o backing_file: no option of raw outputs/],
    [['-o', 'cluster_size=4k', 'disk', '1M'], /-o cluster_size: no option of raw outputs that is written/],
    [['-f', 'luks', 'disk', '1M'], /an encrypted output needs --passphrase-file/],
    [['-f', 'bochs', 'disk', '1M'], /images of format bochs are not written yet/],
    [['-f', 'vpc', 'disk', '4T'], /an image of this format cannot have so many bytes/],
    [['--no-clobber', 'there', '1M'], /there/],
    [['-f', 'qcow2', '-o', 'data_file=a:b', 'disk', '1M'], /-o data_file: "a:b" would be taken for "a:"/],
  ] as const)('refuses %j in one line, and leaves nothing', ([words, message]) => {
    const directory = workdir().write('there', 'before');
    const refused = instar('create', ...words)
      .in(directory)
      .run();
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(message);
    expect(refused.stderr.split('\n')).toHaveLength(2);
    expect(directory.names()).toEqual(['there']);
    expect(directory.read('there').toString()).toBe('before');
  });
});
