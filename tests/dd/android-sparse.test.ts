import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { expect, it } from 'vitest';

import { instar, program } from '../support/command.js';
import { judgeVersion, skipLoudly, type Judge } from '../support/judge.js';
import { noise } from '../support/random.js';
import { workdir } from '../support/workdir.js';

const IMG2SIMG: Judge = { program: 'img2simg', probe: [], package: 'android-sdk-libsparse-utils' };

/** The programs of Android know no option that only says who they are. */
function isThere(): boolean {
  return judgeVersion({ ...IMG2SIMG, program: 'sh', probe: ['-c', 'command -v img2simg simg2img'] }) !== undefined;
}

it('an Android sparse image reads as the disk that it was made of, and as simg2img unpacks it', (context) => {
  if (!isThere()) skipLoudly(context, `img2simg is not installed (apt-get install ${IMG2SIMG.package})`);
  const disk = Buffer.alloc(9 << 20);
  noise(1_234_567, 4).copy(disk, 8192);
  disk.fill(Buffer.from([1, 2, 3, 4]), 3 << 20, 6 << 20);
  noise(100, 5).copy(disk, disk.length - 100);
  const directory = workdir().write('disk.raw', disk);
  program('img2simg', 'disk.raw', 'disk.simg').in(directory).must();
  program('simg2img', 'disk.simg', 'judged.raw').in(directory).must();
  for (const sandbox of ['auto', 'process']) {
    instar('dd', `--sandbox=${sandbox}`, 'if=disk.simg', 'of=out.raw', 'bs=1M').in(directory).must();
    expect(directory.read('out.raw').equals(disk), sandbox).toBe(true);
  }
  expect(directory.read('judged.raw').equals(disk)).toBe(true);
  const window = instar('dd', 'if=disk.simg', 'of=-', 'bs=4093', 'skip=700', 'count=1600').in(directory).must();
  expect(window.stdoutBytes.equals(disk.subarray(4093 * 700, 4093 * 1600))).toBe(true);
  expect(instar('compare', 'disk.simg', 'disk.raw').in(directory).run().stdout).toBe('Images are identical.\n');
  expect(instar('info', 'disk.simg').in(directory).must().stdout).toContain('file format: simg\nvirtual size: 9 MiB');
});

it.for(['kvm', 'process'])(
  'a disk is written as an Android sparse image, which simg2img unpacks (%s)',
  (sandbox, context) => {
    if (!isThere()) skipLoudly(context, `simg2img is not installed (apt-get install ${IMG2SIMG.package})`);
    const directory = workdir();
    // Data in the middle of blocks, whole zeros between, and an end that is no whole block.
    const sizes = [512, 4096, (3 << 20) + 512, 9 << 20];
    for (const [seed, size] of sizes.entries()) {
      const disk = Buffer.alloc(size);
      for (let at = 0; at < size; at += 300_000) noise(70_001, seed + at).copy(disk, at + 777);
      directory.write('disk.raw', disk);
      instar('convert', '-O', 'qcow2', 'disk.raw', 'disk.qcow2').in(directory).must();
      const whole = Buffer.concat([disk, Buffer.alloc(Math.ceil(size / 4096) * 4096 - size)]);
      const commands = [
        ['convert', `--sandbox=${sandbox}`, '-O', 'simg', 'disk.raw', 'out.simg'],
        ['convert', `--sandbox=${sandbox}`, '-O', 'simg', '-S', '0', 'disk.qcow2', 'out.simg'],
        ['dd', `--sandbox=${sandbox}`, '-O', 'simg', 'if=disk.qcow2', 'of=out.simg', 'bs=1M'],
      ];
      for (const command of commands) {
        instar(...command)
          .in(directory)
          .must();
        program('simg2img', 'out.simg', 'judged.raw').in(directory).must();
        expect(directory.read('judged.raw').equals(whole), command.join(' ')).toBe(true);
        expect(instar('compare', 'out.simg', 'judged.raw').in(directory).run().stdout).toBe('Images are identical.\n');
      }
      const measured = instar('measure', '-O', 'simg', '--json', 'disk.raw').in(directory).must().stdout;
      instar('convert', '-O', 'simg', 'disk.raw', 'out.simg').in(directory).must();
      const { required } = JSON.parse(measured) as { required: number };
      expect(required).toBeGreaterThanOrEqual(directory.read('out.simg').length);
    }
  },
);

it('an empty Android sparse image is zeros, also where it is flashed over something', (context) => {
  if (!isThere()) skipLoudly(context, `simg2img is not installed (apt-get install ${IMG2SIMG.package})`);
  const directory = workdir();
  instar('create', '-f', 'simg', 'empty.simg', '5M').in(directory).must();
  // Left out is what the device keeps; filled is what it loses.
  expect(directory.read('empty.simg').readUInt16LE(28)).toBe(0xcac2);
  program('simg2img', 'empty.simg', 'judged.raw').in(directory).must();
  expect(directory.read('judged.raw').equals(Buffer.alloc(5 << 20))).toBe(true);
});

it.for(['kvm', 'process'])('goes into a stream, though its header counts what follows (%s)', (sandbox, context) => {
  if (!isThere()) skipLoudly(context, `simg2img is not installed (apt-get install ${IMG2SIMG.package})`);
  const directory = workdir();
  // Less than a chunk, some chunks and a part of one, zeros at the end; and more chunks than go out at once.
  const disks: readonly (readonly [size: number, ...data: (readonly [at: number, length: number])[]])[] = [
    [0],
    [512, [0, 1]],
    [3 << 20, [0, 3 << 20]],
    [(3 << 20) + 512, [70_000, 1], [2 << 20, 700_000]],
    [260 << 20, [(259 << 20) + 5, 100]],
    [260 << 20, [5, 100]],
  ];
  for (const [size, ...data] of disks) {
    const disk = Buffer.alloc(size);
    const file = openSync(directory.file('disk.raw'), 'w');
    ftruncateSync(file, size);
    for (const [at, length] of data) {
      const bytes = noise(length, at);
      bytes.copy(disk, at);
      writeSync(file, bytes, 0, length, at);
    }
    closeSync(file);
    const words = [
      'convert',
      `--sandbox=${sandbox}`,
      '-f',
      'raw',
      '-O',
      'simg',
      '--checksum',
      'sha256',
      'disk.raw',
      '-',
    ];
    const { stdoutBytes, stderr } = instar(...words)
      .in(directory)
      .must();
    directory.write('out.simg', stdoutBytes);
    program('simg2img', 'out.simg', 'judged.raw').in(directory).must();
    const whole = Buffer.concat([disk, Buffer.alloc(Math.ceil(size / 4096) * 4096 - size)]);
    expect(directory.read('judged.raw').equals(whole), String(size)).toBe(true);
    expect(instar('compare', 'out.simg', 'judged.raw').in(directory).run().stdout).toBe('Images are identical.\n');
    const [sum = ''] = program('openssl', 'dgst', '-sha256', '-r', 'judged.raw').in(directory).must().stdout.split(' ');
    expect(stderr).toBe(`sha256: ${sum}\n`);
  }
});

it.for([
  [['-B', 'disk.raw', '-F', 'raw'], '-o backing_file'],
  [['-o', 'cluster_size=4k'], '-o cluster_size'],
  [['-c'], '-c'],
] as const)('%j is refused, and not passed over', ([words, named]) => {
  const directory = workdir().write('disk.raw', noise(8192));
  const { status, stderr } = instar('convert', '-O', 'simg', ...words, 'disk.raw', 'out.simg')
    .in(directory)
    .run();
  expect(status).toBe(1);
  expect(stderr.startsWith(`instar: convert: ${named}: `), stderr).toBe(true);
  expect(directory.names()).toEqual(['disk.raw']);
});
