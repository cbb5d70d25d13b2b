// convert -c and the options of qcow2 outputs, judged by qemu-img: the same disk, clean refcounts, the layout that was asked.
import { readFileSync } from 'node:fs';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { lines, noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const MIB = 1 << 20;
/** The tail is no whole cluster of any size. */
const SIZE = 9 * MIB + 3 * 512;

/** Text, noise that no encoder makes smaller, zeros, and all of them within a cluster. */
function withDisks(): Workdir {
  const directory = workdir();
  const disk = Buffer.alloc(SIZE);
  lines(2 * MIB, 5).copy(disk);
  noise(2 * MIB, 6).copy(disk, 2 * MIB);
  for (let at = 6 * MIB; at + 40_000 < SIZE; at += 100_000) (at % 3 === 0 ? noise : lines)(30_000, at).copy(disk, at);
  lines(512, 7).copy(disk, SIZE - 512);
  directory.write('disk.raw', disk);
  qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-c', 'disk.raw', 'zlib.qcow2').in(directory).must();
  qemuImg('convert', '-f', 'raw', '-O', 'vmdk', 'disk.raw', 'disk.vmdk').in(directory).must();
  qemuImg('create', '-q', '-f', 'qcow2', '-b', 'zlib.qcow2', '-F', 'qcow2', 'overlay.qcow2').in(directory).must();
  qemuIo('overlay.qcow2', 'write -q -P 9 70000 3000000', 'write -q -z 5M 64k').in(directory).must();
  return directory;
}

function info(directory: Workdir, file: string): unknown {
  return JSON.parse(qemuImg('info', '-f', 'qcow2', '--output=json', file).in(directory).must().stdout);
}

function compressedClusters(directory: Workdir, file: string): number {
  const checked = qemuImg('check', '--output=json', '-f', 'qcow2', file).in(directory).must();
  return (JSON.parse(checked.stdout) as { 'compressed-clusters'?: number })['compressed-clusters'] ?? 0;
}

describe('clusters that are stored without having been tried', () => {
  it('make a file no more than a hundredth larger than qemu-img makes it', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    // A program, the same packed, and noise in which pieces come up again.
    const program = readFileSync(process.execPath).subarray(0, 12 * MIB);
    const again = noise(4 * MIB, 11);
    for (let at = 40_000; at + 5_000 < again.length; at += 50_000) again.copyWithin(at, at - 35_001, at - 30_001);
    const packed = [gzipSync(program), brotliCompressSync(program.subarray(0, 2 * MIB))];
    const disk = Buffer.concat([program, ...packed, again, noise(2 * MIB, 12)]);
    directory.write('disk.raw', disk.subarray(0, disk.length - (disk.length % 512)));
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-c', 'disk.raw', 'theirs.qcow2').in(directory).must();
    instar('convert', '-f', 'raw', '-O', 'qcow2', '-c', 'disk.raw', 'ours.qcow2').in(directory).must();
    qemuImg('compare', '-q', '-f', 'raw', '-F', 'qcow2', 'disk.raw', 'ours.qcow2').in(directory).must();
    const [theirs = 0, ours = 0] = ['theirs', 'ours'].map((name) => directory.read(`${name}.qcow2`).length);
    expect(ours).toBeLessThan(theirs * 1.01);
  });

  it('are none in which pieces of noise come up again', (context) => {
    requireJudge(context, QEMU_IMG);
    const again = noise(4 * MIB, 13);
    // At an odd distance, too far away for the encoder of qemu-img.
    for (let at = 0; at < again.length; at += 65_536) again.copyWithin(at + 20_001, at, at + 20_000);
    const directory = workdir().write('disk.raw', again);
    instar('convert', '-f', 'raw', '-O', 'qcow2', '-c', 'disk.raw', 'ours.qcow2').in(directory).must();
    qemuImg('compare', '-q', '-f', 'raw', '-F', 'qcow2', 'disk.raw', 'ours.qcow2').in(directory).must();
    expect(directory.read('ours.qcow2').length).toBeLessThan(again.length * 0.8);
  });
});

describe.each(['zlib', 'zstd'])('an output with %s', (codec) => {
  it.for([512, 4096, 65_536, 2 * MIB])('in clusters of %i bytes holds the disk', (cluster, context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withDisks();
    const options = ['-c', '-o', `cluster_size=${cluster},compression_type=${codec}`];
    const inputs: readonly (readonly [format: string, file: string])[] = [
      ['raw', 'disk.raw'],
      ['qcow2', 'zlib.qcow2'],
      ['qcow2', 'overlay.qcow2'],
      ['vmdk', 'disk.vmdk'],
    ];
    for (const [format, file] of inputs) {
      instar('convert', '-f', format, '-O', 'qcow2', ...options, file, 'out.qcow2')
        .in(directory)
        .must();
      qemuImg('compare', '-q', '-f', format, '-F', 'qcow2', file, 'out.qcow2').in(directory).must();
      instar('check', '-q', '-f', 'qcow2', 'out.qcow2').in(directory).must();
      expect(info(directory, 'out.qcow2')).toMatchObject({
        'cluster-size': cluster,
        'virtual-size': SIZE,
        'format-specific': { data: { 'compression-type': codec } },
      });
    }
    // The same clusters as qemu-img finds worth it, but for those at the edge.
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', ...options, 'disk.raw', 'judge.qcow2')
      .in(directory)
      .must();
    instar('convert', '-f', 'raw', '-O', 'qcow2', ...options, 'disk.raw', 'out.qcow2')
      .in(directory)
      .must();
    const [ours, theirs] = ['out.qcow2', 'judge.qcow2'].map((file) => compressedClusters(directory, file));
    expect(theirs).toBeGreaterThan(0);
    expect(Math.abs((ours ?? 0) - (theirs ?? 0))).toBeLessThanOrEqual((theirs ?? 0) * 0.02);
    const [length, expected] = ['out.qcow2', 'judge.qcow2'].map((file) => directory.read(file).length);
    expect(length).toBeLessThan((expected ?? 0) * 1.05);
  });

  it.for(['kvm', 'process'])('is the same in the sandbox %s', (sandbox, context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withDisks();
    const words = ['-O', 'qcow2', '-c', '-o', `compression_type=${codec}`, 'disk.raw', 'out.qcow2'];
    instar('convert', `--sandbox=${sandbox}`, '-f', 'raw', ...words)
      .in(directory)
      .must();
    qemuImg('compare', '-q', '-f', 'raw', '-F', 'qcow2', 'disk.raw', 'out.qcow2').in(directory).must();
    qemuImg('check', '-q', '-f', 'qcow2', 'out.qcow2').in(directory).must();
  });
});

describe('the options of an output', () => {
  it('that is not compressed choose its clusters', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withDisks();
    for (const [cluster, sparse] of [
      ['512', '4k'],
      ['1M', '0'],
    ] as const) {
      instar('convert', '-O', 'qcow2', '-S', sparse, '-o', `cluster_size=${cluster}`, 'overlay.qcow2', 'out.qcow2')
        .in(directory)
        .must();
      qemuImg('compare', '-q', '-f', 'qcow2', '-F', 'qcow2', 'overlay.qcow2', 'out.qcow2').in(directory).must();
      qemuImg('check', '-q', 'out.qcow2').in(directory).must();
      expect(info(directory, 'out.qcow2')).toMatchObject({ 'cluster-size': cluster === '512' ? 512 : MIB });
    }
  });

  it('are those of a created image, whose line says them', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    const words = ['-f', 'qcow2', '-o', 'cluster_size=2M,compression_type=zstd,refcount_bits=16'];
    const ours = instar('create', ...words, 'ours.qcow2', '5G')
      .in(directory)
      .must();
    const theirs = qemuImg('create', ...words, 'theirs.qcow2', '5G')
      .in(directory)
      .must();
    expect(ours.stdout.replace('ours', 'theirs')).toBe(theirs.stdout);
    qemuImg('check', '-q', 'ours.qcow2').in(directory).must();
    const shape = (file: string): object => {
      const { 'format-specific': specific, 'cluster-size': cluster } = info(directory, file) as Record<string, unknown>;
      return { specific, cluster };
    };
    expect(shape('ours.qcow2')).toEqual(shape('theirs.qcow2'));
  });

  it.for([
    ['qcow2', 'cluster_size=3000', 'cluster_size: expected a power of two from 512 to 2097152, found 3000'],
    ['qcow2', 'cluster_size=4M', 'cluster_size: expected a power of two from 512 to 2097152, found 4194304'],
    ['qcow2', 'compression_type=lzma', 'compression_type=lzma: expected zlib, zstd'],
    ['qcow2', 'extended_l2=maybe', 'extended_l2=maybe: expected on or off'],
    ['qcow2', 'encryption=on', 'encryption=on: is not written; expected off'],
    ['qcow2', 'clustersize=64k', 'clustersize: no option of qcow2 outputs that is written; expected one of '],
    ['vmdk', 'subformat=vmfs', 'subformat=vmfs: expected monolithicSparse, streamOptimized'],
    [
      'raw',
      'cluster_size=64k',
      'cluster_size: no option of raw outputs that is written; expected one of size, preallocation',
    ],
  ] as const)('are refused by name: %s with %s', ([format, option, what]) => {
    const directory = workdir().write('disk.raw', noise(4096));
    const done = instar('convert', '-f', 'raw', '-O', format, '-o', option, 'disk.raw', 'out').in(directory).run();
    expect(done.stderr).toContain(`instar: convert: -o ${what}`);
    expect(done.stderr.split('\n')).toHaveLength(2);
    expect(done.status).toBe(1);
    expect(directory.names('.')).toEqual(['disk.raw']);
  });

  it('are listed by help, and -c belongs to qcow2', () => {
    const directory = workdir().write('disk.raw', noise(4096));
    const help = instar('convert', '-O', 'qcow2', '-o', 'help').in(directory).must();
    expect(help.stdout).toMatch(/^Supported qcow2 options:\n[^]* {2}cluster_size=<size> - /);
    const done = instar('convert', '-f', 'raw', '-c', '-O', 'vdi', 'disk.raw', 'out').in(directory).run();
    expect(done.stderr).toBe('instar: convert: -c: only qcow2 outputs are compressed, not vdi\n');
    expect(directory.names('.')).toEqual(['disk.raw']);
  });
});
