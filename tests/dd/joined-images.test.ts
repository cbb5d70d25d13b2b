// Compressed images whose disks become one: clusters go on with the stream that they have, where the output would have the like.
import { constants, deflateRawSync, inflateRawSync, type InflateRaw } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { AT, CLUSTER, COMPRESSED, Qcow2Builder } from '../support/qcow2-builder.js';
import { qemuImg } from '../support/qemu-img.js';
import { lines, noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const MIB = 1 << 20;
const OFFSETS = (1n << 56n) - (1n << 9n);
/** Of a compressed cluster of 64 KiB (qcow2.txt, "Compressed Clusters Descriptor"). */
const PLACE_BITS = 54n;

/** The exact streams of an image with clusters of 64 KiB and zlib, by cluster: as zlib finds where they end. */
function streams(directory: Workdir, file: string): ReadonlyMap<number, Buffer> {
  const bytes = directory.read(file);
  const found = new Map<number, Buffer>();
  for (let table = 0; table < bytes.readUInt32BE(AT.L1_SIZE); table += 1) {
    const l2 = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(AT.L1_OFFSET)) + 8 * table) & OFFSETS);
    if (l2 === 0) continue;
    for (let entry = 0; entry < CLUSTER / 8; entry += 1) {
      const word = bytes.readBigUInt64BE(l2 + 8 * entry);
      if ((word & COMPRESSED) === 0n) continue;
      const at = Number(word & ((1n << PLACE_BITS) - 1n));
      const sectors = Number((word & (COMPRESSED - 1n)) >> PLACE_BITS);
      const given = bytes.subarray(at, (Math.floor(at / 512) + sectors + 1) * 512);
      const options = { info: true, finishFlush: constants.Z_SYNC_FLUSH };
      const { engine } = inflateRawSync(given, options) as unknown as { readonly engine: InflateRaw };
      found.set((table * CLUSTER) / 8 + entry, given.subarray(0, engine.bytesWritten));
    }
  }
  return found;
}

/** Two disks of text, noise and zeros, the first one of this length (bytes); and what they are together. */
function withDisks(length: number): Workdir {
  const directory = workdir();
  const disks = [length, 5 * MIB + 1536].map((size, index) => {
    const disk = Buffer.alloc(size);
    lines(2 * MIB, index).copy(disk);
    noise(MIB / 2, 8 + index).copy(disk, 2 * MIB);
    lines(MIB, 4 + index).copy(disk, 3 * MIB + 40_000);
    return disk;
  });
  disks.forEach((disk, index) => directory.write(`disk${index}.raw`, disk));
  return directory.write('disk.raw', Buffer.concat(disks));
}

function pack(directory: Workdir, ...options: readonly string[]): void {
  for (const index of [0, 1]) {
    qemuImg('convert', '-f', 'raw', '-c', '-O', 'qcow2', ...options, `disk${index}.raw`, `part${index}.qcow2`)
      .in(directory)
      .must();
  }
}

function expectDisk(directory: Workdir, disk = 'disk.raw'): void {
  expect(qemuImg('check', '-f', 'qcow2', 'out.qcow2').in(directory).must().stdout).toContain('No errors were found');
  qemuImg('compare', '-f', 'raw', '-F', 'qcow2', disk, 'out.qcow2').in(directory).must();
}

const JOIN = ['convert', '-c', '-f', 'qcow2', '-O', 'qcow2', 'part0.qcow2', 'part1.qcow2', 'out.qcow2'] as const;

describe.each(['kvm', 'process'])('in the sandbox %s', (sandbox) => {
  it('the clusters of images that qemu-img has compressed keep their streams, and those of one do not', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withDisks(5 * MIB);
    pack(directory);
    instar(...JOIN, `--sandbox=${sandbox}`)
      .in(directory)
      .must();
    expectDisk(directory);
    const wanted = new Map(streams(directory, 'part0.qcow2'));
    for (const [cluster, stream] of streams(directory, 'part1.qcow2')) {
      // The last one is cut by the end of the disk, and is made anew.
      if (cluster < 80) wanted.set(80 + cluster, stream);
    }
    const found = streams(directory, 'out.qcow2');
    expect(wanted.size).toBeGreaterThan(90);
    expect([...found.keys()].sort()).toEqual([...wanted.keys()].sort());
    for (const [cluster, stream] of wanted) expect(found.get(cluster)?.equals(stream), `cluster ${cluster}`).toBe(true);

    for (const words of [
      ['convert', '-c', '-f', 'qcow2', '-O', 'qcow2', 'part0.qcow2', 'out.qcow2'],
      [...JOIN, '--compress-level', 'best'],
    ]) {
      instar(...words, `--sandbox=${sandbox}`)
        .in(directory)
        .must();
      const anew = streams(directory, 'out.qcow2');
      expect([...wanted].filter(([cluster, stream]) => anew.get(cluster)?.equals(stream) === true)).toEqual([]);
    }
  });

  it.for([
    ['of another codec', 5 * MIB, ['-o', 'compression_type=zstd'], []],
    ['of the same codec, which is zstd', 5 * MIB, ['-o', 'compression_type=zstd'], ['-o', 'compression_type=zstd']],
    ['with smaller clusters', 5 * MIB, ['-o', 'cluster_size=4k'], []],
    ['with clusters of 512 bytes in both', 5 * MIB, ['-o', 'cluster_size=512'], ['-o', 'cluster_size=512']],
    ['with clusters of 2 MiB in both', 6 * MIB, ['-o', 'cluster_size=2M'], ['-o', 'cluster_size=2M']],
    ['with subclusters in both', 5 * MIB, ['-o', 'extended_l2=on'], ['-o', 'extended_l2=on']],
    ['of which the first ends within a cluster', 5 * MIB + 512, [], []],
  ] as const)('images %s become one disk', ([, length, theirs, ours], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withDisks(length);
    pack(directory, ...theirs);
    instar(...JOIN, ...ours, `--sandbox=${sandbox}`)
      .in(directory)
      .must();
    expectDisk(directory);
  });

  it('streams that not each reader takes are made anew, and zeros have none', (context) => {
    requireJudge(context, QEMU_IMG);
    const text = lines(CLUSTER, 1);
    const more = deflateRawSync(Buffer.concat([text, text.subarray(0, 100)]));
    const whole = deflateRawSync(text);
    const open = deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH });
    const zeros = deflateRawSync(Buffer.alloc(CLUSTER));
    // As long as the cluster, since it is not compressed.
    const long = deflateRawSync(noise(CLUSTER, 3), { level: 0 });
    const image = new Qcow2Builder();
    [more, whole, open, zeros, long].forEach((stream, index) => image.compressed(stream, 3 + index));
    const directory = workdir().write('part0.qcow2', image.bytes).write('part1.qcow2', new Qcow2Builder().bytes);
    const disk = Buffer.alloc(2 * MIB);
    for (const at of [0, MIB]) disk.fill(0x11, at, at + CLUSTER).fill(0x22, at + CLUSTER, at + 2 * CLUSTER);
    for (const index of [3, 4, 5]) text.copy(disk, index * CLUSTER);
    noise(CLUSTER, 3).copy(disk, 7 * CLUSTER);
    directory.write('disk.raw', disk);
    instar(...JOIN, `--sandbox=${sandbox}`)
      .in(directory)
      .must();
    expectDisk(directory);
    const found = streams(directory, 'out.qcow2');
    expect([...found.keys()]).toEqual([0, 1, 3, 4, 5, 16, 17]);
    expect(found.get(4)?.equals(whole)).toBe(true);
    for (const [cluster, stream] of [
      [3, more],
      [5, open],
    ] as const) {
      expect(found.get(cluster)?.equals(stream), `cluster ${cluster}`).toBe(false);
    }
  });

  it('a damaged stream is told of by its file, and there is no output', () => {
    const image = new Qcow2Builder().compressed(Buffer.alloc(600, 0xff), 5);
    const directory = workdir().write('part0.qcow2', new Qcow2Builder().bytes).write('part1.qcow2', image.bytes);
    const refused = instar(...JOIN, `--sandbox=${sandbox}`)
      .in(directory)
      .run();
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/part1\.qcow2: .*(compressed|decompress)/);
    expect(directory.names()).not.toContain('out.qcow2');
  });
});
