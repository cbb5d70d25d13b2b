// Clusters that two processors of the sandbox compress or decode.
import { closeSync, ftruncateSync, openSync, statSync, writeSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';
import { expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { AT, CLUSTER, Qcow2Builder } from '../support/qcow2-builder.js';
import { qemuImg } from '../support/qemu-img.js';
import { lines, noise, Random } from '../support/random.js';
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

/** From how many bytes of a file on two processors decode it: `LONG_INPUT` of the engine. */
const LONG = 8 * MIB;

const PACKED = [
  ['qcow2', 'kvm', ['-c']],
  ['qcow2', 'process', ['-c', '-o', 'compression_type=zstd']],
  ['qcow2', 'process', ['-c', '-o', 'cluster_size=512']],
  ['qcow2', 'kvm', ['-c', '-o', 'cluster_size=2M,compression_type=zstd']],
  ['vmdk', 'kvm', ['-o', 'subformat=streamOptimized']],
] as const;

it.for(PACKED)('reads what another program has compressed: %s %s %j', ([format, sandbox, options], context) => {
  requireJudge(context, QEMU_IMG);
  const directory = withDisk();
  qemuImg('convert', '-f', 'raw', '-O', format, ...options, 'disk.raw', 'packed')
    .in(directory)
    .must();
  expect(statSync(directory.file('packed')).size).toBeGreaterThan(LONG);
  const words = ['convert', `--sandbox=${sandbox}`, '-f', format, '-O', 'raw', 'packed'];
  instar(...words, 'two')
    .in(directory)
    .must();
  expect(directory.read('two').equals(directory.read('disk.raw'))).toBe(true);
  // A window that begins and ends within clusters; `count` counts from the begin of the disk.
  instar('dd', `--sandbox=${sandbox}`, '-f', format, 'if=packed', 'of=part', 'bs=1536', 'skip=7001', 'count=16001')
    .in(directory)
    .must();
  const part = directory.read('disk.raw').subarray(1536 * 7001, 1536 * 16001);
  expect(directory.read('part').equals(part)).toBe(true);
});

it.for(['kvm', 'process'])('tells the first cluster that does not decode, whoever had it: %s', (sandbox, context) => {
  requireJudge(context, QEMU_IMG);
  const directory = withDisk();
  qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-c', 'disk.raw', 'packed').in(directory).must();
  const packed = directory.read('packed');
  for (let at = 5 * MIB; at < 6 * MIB; at += 1000) packed.fill(0xff, at, at + 40);
  directory.write('packed', packed);
  const words = ['convert', '--json', `--sandbox=${sandbox}`, '-f', 'qcow2', '-O', 'raw', 'packed', 'out'];
  const location = (...more: string[]): unknown => {
    const run = instar(...words, ...more)
      .in(directory)
      .run();
    expect(run.status).toBe(1);
    return (JSON.parse(run.stdout) as { error: { code: string; location?: unknown } }).error;
  };
  const two = location();
  expect(two).toMatchObject({ code: 'IMAGE_DECOMPRESS' });
  expect(two).toEqual(location('--dump-on-crash', 'dump'));
  expect(directory.names()).not.toContain('out');
});

it.for(['kvm', 'process'])('reads streams that have more than their cluster: %s', (sandbox, context) => {
  requireJudge(context, QEMU_IMG);
  const image = new Qcow2Builder();
  const disk = Buffer.alloc(4 * MIB);
  image.u64(AT.SIZE, BigInt(disk.length));
  for (let index = 0; index * CLUSTER < disk.length; index += 1) {
    const bytes = Buffer.concat([noise(50_000, index), lines(CLUSTER - 49_000, index)]);
    bytes.copy(disk, index * CLUSTER, 0, CLUSTER);
    image.compressed(deflateRawSync(bytes), index);
  }
  // So that two processors decode it.
  const directory = workdir()
    .write('image', Buffer.concat([image.bytes, Buffer.alloc(LONG)]))
    .write('disk.raw', disk);
  qemuImg('compare', '-f', 'qcow2', '-F', 'raw', 'image', 'disk.raw').in(directory).must();
  instar('convert', `--sandbox=${sandbox}`, '-f', 'qcow2', '-O', 'raw', 'image', 'out').in(directory).must();
  expect(directory.read('out').equals(disk)).toBe(true);
});
