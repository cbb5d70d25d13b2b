import { convert } from '@instar/engine';
import { closeSync, openSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir } from '../support/workdir.js';

const MIB = 1 << 20;
const STREAM_OPTIMIZED = ['-O', 'vmdk', '-o', 'subformat=streamOptimized'];

/** More than one grain table's worth of disk, data on both sides of the edge, zeros between. */
function disk(): Buffer {
  const content = Buffer.alloc(40 * MIB);
  noise(300_000, 8).copy(content, 77);
  noise(100_000, 9).copy(content, 32 * MIB - 50_000);
  content.fill('text', 38 * MIB, 39 * MIB);
  return content;
}

describe('convert writes to a stream', () => {
  it('a raw disk', () => {
    const directory = workdir().write('disk.raw', disk());
    const { stdoutBytes } = instar('convert', '-f', 'raw', '-O', 'raw', 'disk.raw', '-').in(directory).must();
    expect(stdoutBytes.equals(directory.read('disk.raw'))).toBe(true);
    expect(directory.names()).toEqual(['disk.raw']);
  });

  it.for([['data'], ['nothing']])('a streamOptimized vmdk of %s', ([what], context) => {
    requireJudge(context, QEMU_IMG);
    const content = what === 'data' ? disk() : Buffer.alloc(MIB);
    const directory = workdir().write('disk.raw', content);
    const { stdoutBytes } = instar('convert', '-f', 'raw', ...STREAM_OPTIMIZED, 'disk.raw', '-')
      .in(directory)
      .must();
    directory.write('out.vmdk', stdoutBytes);
    qemuImg('compare', '-f', 'raw', '-F', 'vmdk', 'disk.raw', 'out.vmdk').in(directory).must();
    qemuImg('check', '-q', '-f', 'vmdk', 'out.vmdk').in(directory).must();
  });

  it.for([
    [['-O', 'qcow2'], 'a stream is raw, simg or a streamOptimized vmdk: qcow2 needs a file to write to'],
    [['-O', 'vmdk'], 'a stream is raw, simg or a streamOptimized vmdk: vmdk needs a file to write to'],
    [['-n'], 'seek= needs a file: a stream has no place to seek to'],
  ] as const)('and refuses %j by name', ([words, sentence]) => {
    const directory = workdir().write('disk.raw', noise(512, 1));
    const { status, stdout, stderr } = instar('convert', ...words, 'disk.raw', '-')
      .in(directory)
      .run();
    expect([status, stdout, stderr]).toEqual([1, '', `instar: convert: ${sentence}\n`]);
  });

  it('for the library as well', async () => {
    const directory = workdir().write('disk.raw', disk());
    const fd = openSync(directory.file('out'), 'w');
    try {
      await convert(directory.file('disk.raw'), { stream: fd });
    } finally {
      closeSync(fd);
    }
    expect(directory.read('out').equals(directory.read('disk.raw'))).toBe(true);
  });
});

describe('convert reads from a stream', () => {
  it.for([
    ['raw', (content: Buffer) => content],
    ['packed', (content: Buffer) => gzipSync(content, { level: 1 })],
  ] as const)('a disk that is %s', ([, made], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('disk.raw', disk());
    instar('convert', '-O', 'qcow2', '-', 'out.qcow2').reading(made(disk())).in(directory).must();
    qemuImg('compare', '-f', 'raw', '-F', 'qcow2', 'disk.raw', 'out.qcow2').in(directory).must();
    expect(directory.names()).toEqual(['disk.raw', 'out.qcow2']);
  });

  it('an image of a format, by whatever name the stream has', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('disk.raw', disk());
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-c', 'disk.raw', 'disk.qcow2').in(directory).must();
    const { stdoutBytes } = instar('convert', '-O', 'raw', '/dev/stdin', '/dev/stdout')
      .reading(directory.read('disk.qcow2'))
      .in(directory)
      .must();
    expect(stdoutBytes.equals(directory.read('disk.raw'))).toBe(true);
  });

  it('whose names of other files lead nowhere', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('base.raw', noise(MIB, 2));
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.raw', '-F', 'raw', 'over.qcow2').in(directory).must();
    const { status, stderr } = instar('convert', '-', 'out').reading(directory.read('over.qcow2')).in(directory).run();
    expect([status, stderr]).toEqual([
      1,
      'instar: convert: standard input: names the backing file "base.raw", and references are switched off\n',
    ]);
    expect(directory.names()).toEqual(['base.raw', 'over.qcow2']);
  });

  it('once', () => {
    const { status, stderr } = instar('convert', '-', '-', 'out').in(workdir()).run();
    expect([status, stderr]).toEqual([1, 'instar: convert: input: only one of the images can come through a stream\n']);
  });
});
