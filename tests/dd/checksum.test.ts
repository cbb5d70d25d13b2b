import { convert, EngineError } from '@instar/engine';
import { describe, expect, it } from 'vitest';
import { instar, program } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const MIB = 1 << 20;

function withDisk(): Workdir {
  const content = Buffer.alloc(9 * MIB + 512, 'some text that is no noise; ');
  noise(300_000, 5).copy(content, 4 * MIB + 77);
  content.fill(0, 6 * MIB, 9 * MIB);
  return workdir().write('disk.raw', content);
}

/** What coreutils say of the raw disk that qemu-img reads from an image. */
function sums(directory: Workdir, format: string, file: string): string {
  qemuImg('convert', '-f', format, '-O', 'raw', file, 'read-back').in(directory).must();
  return ['md5', 'sha1', 'sha256', 'sha512']
    .map((name) => `${name}: ${program(`${name}sum`, 'read-back').in(directory).must().stdout.split(' ')[0]}\n`)
    .join('');
}

describe('--checksum sums up the disk of the output', () => {
  it.for([
    ['raw'],
    ['raw', '-S', '0'],
    ['qcow2'],
    ['qcow2', '-c'],
    ['qcow2', '-o', 'preallocation=metadata'],
    ['vmdk', '-o', 'subformat=streamOptimized'],
    // Larger than its input.
    ['vpc'],
    ['vdi', '-o', 'static=on'],
    ['vhdx'],
  ])('%s %s %s', ([format = '', ...words], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withDisk();
    const { stdout } = instar(
      'convert',
      '-f',
      'raw',
      '-O',
      format,
      ...words,
      '--checksum',
      'sha512,sha1,sha256,md5',
      'disk.raw',
      'out',
    )
      .in(directory)
      .must();
    expect(stdout).toBe(sums(directory, format, 'out'));
  });

  it('counts what an output shows of its backing file, wherever that is', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withDisk();
    program('mkdir', 'elsewhere').in(directory).must();
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', 'disk.raw', 'elsewhere/base.qcow2').in(directory).must();
    const changed = Buffer.from(directory.read('disk.raw'));
    changed.fill('changed', 5 * MIB, 5 * MIB + 100);
    directory.write('changed.raw', changed);
    const words = ['-B', 'elsewhere/base.qcow2', '-F', 'qcow2', '--checksum=md5,sha1,sha256,sha512'];
    const { stdout } = instar('convert', '-f', 'raw', '-O', 'qcow2', ...words, 'changed.raw', 'over')
      .in(directory)
      .must();
    expect(stdout).toBe(sums(directory, 'qcow2', 'over'));
  });

  it('counts only the disk of an output that was longer before', () => {
    const directory = withDisk().write('out', Buffer.alloc(12 * MIB, 7));
    const { stdout } = instar('convert', '-f', 'raw', '-n', '--checksum', 'sha256', 'disk.raw', 'out')
      .in(directory)
      .must();
    const [sum = ''] = program('sha256sum', 'disk.raw').in(directory).must().stdout.split(' ');
    expect(stdout).toBe(`sha256: ${sum}\n`);
  });

  it.for([
    [['-O', 'vmdk', '-o', 'subformat=monolithicFlat'], 'vmdk'],
    [['-O', 'vmdk', '-o', 'subformat=twoGbMaxExtentFlat'], 'vmdk'],
    [['-O', 'vmdk', '-o', 'subformat=twoGbMaxExtentSparse'], 'vmdk'],
    [['-O', 'qcow2', '-o', 'data_file=data'], 'qcow2'],
    [['-O', 'qcow2', '-o', 'data_file=data,data_file_raw=on'], 'qcow2'],
    [['-O', 'ova'], undefined],
  ] as const)('counts the disk of several files, and of one inside a file: %s', ([words, format], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withDisk();
    const all = ['--checksum', 'sha512,sha1,sha256,md5', 'disk.raw', 'out'];
    const { stdout } = instar('convert', '-f', 'raw', ...words, ...all)
      .in(directory)
      .must();
    if (format === undefined) program('tar', 'xf', 'out').in(directory).must();
    expect(stdout).toBe(sums(directory, format ?? 'vmdk', format === undefined ? 'out-disk1.vmdk' : 'out'));
  });

  it('counts a disk of several files across the end of one', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    program('truncate', '-s', '2148M', 'disk.raw').in(directory).must();
    program('sh', '-c', 'echo data | dd of=disk.raw bs=1M seek=2047 conv=notrunc status=none').in(directory).must();
    program('sh', '-c', 'echo more | dd of=disk.raw bs=1M seek=2049 conv=notrunc status=none').in(directory).must();
    const words = ['-f', 'raw', '-O', 'vmdk', '-o', 'subformat=twoGbMaxExtentSparse', '--checksum', 'sha256'];
    const { stdout } = instar('convert', ...words, 'disk.raw', 'out.vmdk')
      .in(directory)
      .must();
    const [sum = ''] = program('openssl', 'dgst', '-sha256', '-r', 'disk.raw').in(directory).must().stdout.split(' ');
    expect(stdout).toBe(`sha256: ${sum}\n`);
  });

  it.for([
    [[], 'raw'],
    [['-O', 'vmdk', '-o', 'subformat=streamOptimized'], 'vmdk'],
  ] as const)('of a stream is that of the inputs: %s', ([words, format], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withDisk();
    const all = ['--checksum', 'sha512,sha1,sha256,md5'];
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-c', 'disk.raw', 'disk.qcow2').in(directory).must();
    for (const [inputs, given] of [
      [['disk.qcow2'], undefined],
      [['-'], directory.read('disk.qcow2')],
      [['disk.qcow2', 'disk.raw'], undefined],
    ] as const) {
      const run = instar('convert', ...words, ...all, ...inputs, '-').in(directory);
      const { stdoutBytes, stderr } = (given === undefined ? run : run.reading(given)).must();
      directory.write('out', stdoutBytes);
      expect(stderr, inputs.join()).toBe(sums(directory, format, 'out'));
    }
  });

  it('stands in the JSON, and in the result of the library', async () => {
    const directory = withDisk();
    const [sum = ''] = program('sha1sum', 'disk.raw').in(directory).must().stdout.split(' ');
    const { stdout } = instar('convert', '--json', '-O', 'qcow2', '--checksum', 'sha1', 'disk.raw', 'out')
      .in(directory)
      .must();
    expect(JSON.parse(stdout)).toMatchObject({ result: { checksums: { sha1: sum } } });
    const { checksums } = await convert(directory.file('disk.raw'), directory.file('other'), { checksums: ['sha1'] });
    expect(checksums).toEqual({ sha1: sum });
  });

  it('knows its algorithms', async () => {
    const directory = withDisk();
    const { status, stderr } = instar('convert', '--checksum', 'sha256,crc', 'disk.raw', 'out').in(directory).run();
    expect([status, stderr]).toEqual([
      1,
      'instar: convert: --checksum: found crc, expected some of md5, sha1, sha224, sha256, sha384, sha512 with commas between\n',
    ]);
    const odd = ['crc'] as unknown as ['md5'];
    await expect(convert('disk.raw', 'out', { checksums: odd })).rejects.toThrow(EngineError);
    expect(directory.names()).toEqual(['disk.raw']);
  });

  it('are refused before anything is opened where the system has no such function', () => {
    // As where OpenSSL is held to what FIPS allows.
    const hook = `
      const crypto = require('node:crypto');
      const { createHash } = crypto;
      crypto.createHash = (name, ...rest) => {
        if (name === 'md5') throw new Error('unsupported');
        return createHash(name, ...rest);
      };
      require('node:module').syncBuiltinESMExports();
    `;
    const directory = workdir().write('hook.cjs', hook);
    const { status, stderr } = instar('convert', '--checksum', 'sha256,md5', 'not-there.raw', 'out')
      .in(directory)
      .environment({ NODE_OPTIONS: `--require=${directory.file('hook.cjs')}` })
      .run();
    expect([status, stderr]).toEqual([1, 'instar: convert: checksums: md5 is not to be had here\n']);
  });
});
