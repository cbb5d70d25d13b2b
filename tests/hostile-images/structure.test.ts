import { execFileSync } from 'node:child_process';
import { truncateSync } from 'node:fs';
import { constants, deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { ddInProcess } from '../support/in-process.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImgDd } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { bounded, expectRefusedByDd } from '../support/refusal.js';
import { AT, CLUSTER, COMPRESSED, COPIED, INCOMPATIBLE, PART, Qcow2Builder } from '../support/qcow2-builder.js';
import { workdir, type Workdir } from '../support/workdir.js';

const GIB = 1024 ** 3;
const TIB = 1024n ** 4n;

function image(bend: (builder: Qcow2Builder) => unknown): Workdir {
  const builder = new Qcow2Builder();
  bend(builder);
  return workdir().write('image.qcow2', builder.bytes);
}

/** What every numeric field is set to, one at a time. */
const EDGES_32 = [0, 1, 0x7fffffff, 0x80000000, 0xffffffff];
const EDGES_64 = [
  0n,
  1n,
  511n,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0xffff_ffff_ffff_fe00n,
  0xffff_ffff_ffff_0000n,
  0xffff_ffff_ffff_ffffn,
  0x00ff_ffff_ffff_0000n,
];

const FIELDS_32 = {
  version: AT.VERSION,
  'backing name length': AT.BACKING_LENGTH,
  cluster_bits: AT.CLUSTER_BITS,
  crypt_method: AT.CRYPT_METHOD,
  l1_size: AT.L1_SIZE,
  refcount_table_clusters: AT.REFCOUNT_CLUSTERS,
  nb_snapshots: AT.SNAPSHOT_COUNT,
  refcount_order: AT.REFCOUNT_ORDER,
  header_length: AT.HEADER_LENGTH,
} as const;

const FIELDS_64 = {
  backing_file_offset: AT.BACKING_OFFSET,
  size: AT.SIZE,
  l1_table_offset: AT.L1_OFFSET,
  refcount_table_offset: AT.REFCOUNT_OFFSET,
  snapshots_offset: AT.SNAPSHOT_OFFSET,
  incompatible_features: AT.INCOMPATIBLE,
  compatible_features: AT.COMPATIBLE,
  autoclear_features: AT.AUTOCLEAR,
  'L1 entry': PART.L1_TABLE,
  'L2 entry': PART.L2_TABLE,
} as const;

describe('a number at the edge of what its field holds', () => {
  /** Refused in one line where qemu-img refuses, too; the same bytes where it reads. */
  let turn = 0;

  /** Refused in one line where qemu-img refuses, too; the same bytes where it reads. In one sandbox or the other. */
  async function expectSane(directory: Workdir, what: string): Promise<void> {
    const window = ['-f', 'qcow2', 'bs=64k', 'count=16'];
    turn += 1;
    const ours = await ddInProcess(
      directory,
      ['if=image.qcow2', 'of=ours.raw', ...window],
      turn % 2 === 0 ? 'kvm' : 'process',
    );
    const theirs = qemuImgDd('if=image.qcow2', 'of=theirs.raw', ...window)
      .in(directory)
      .run();
    const message = ours.error?.message ?? '';
    expect(ours.status, `${what}\n${message}\n${theirs.stderr}`).toBe(theirs.status);
    if (ours.status === 0) {
      expect(directory.read('ours.raw').equals(directory.read('theirs.raw')), what).toBe(true);
    } else {
      expect(ours.error?.code, what).toMatch(/^IMAGE_/);
      expect(message, what).toMatch(
        /image\.qcow2: [^\n]+ at offset \d+ is (?:\d+|(?:[\da-f]{2} ){3}[\da-f]{2})(?:, expected [^\n]+)?\)$/,
      );
      expect(directory.names()).not.toContain('ours.raw');
    }
  }

  it.for(Object.entries(FIELDS_32))('%s', async ([field, at], context) => {
    requireJudge(context, QEMU_IMG);
    for (const value of EDGES_32) {
      await expectSane(
        image((builder) => builder.u32(at, value)),
        `${field} = ${value}`,
      );
    }
  });

  it.for(Object.entries(FIELDS_64))('%s', async ([field, at], context) => {
    requireJudge(context, QEMU_IMG);
    for (const value of EDGES_64) {
      await expectSane(
        image((builder) => builder.u64(at, value)),
        `${field} = ${value}`,
      );
    }
  });

  it.for<[about: string, bend: (builder: Qcow2Builder) => unknown]>([
    ['an extension whose length is 2^32 - 1', (b) => b.extension(0x1234, new Uint8Array(8), 0xffffffff)],
    ['a backing format whose length is 2^31', (b) => b.extension(0xe2792aca, new Uint8Array(8), 0x80000000)],
    ['a backing name that ends behind its cluster', (b) => b.backing('x').u64(AT.BACKING_OFFSET, 65_530n).u32(16, 20)],
    ['a backing name of 1024 bytes', (b) => b.backing('x'.repeat(1024))],
    ['a snapshot with 4 GiB of extra data', (b) => b.snapshot('1', 'a').u32(PART.SPARE + 36, 0xffffffff)],
    ['an L1 table of more than 32 MiB', (b) => b.u32(AT.L1_SIZE, 0x400001)],
    ['a refcount table of more than 8 MiB', (b) => b.u32(AT.REFCOUNT_CLUSTERS, 129)],
    ['an L1 table too small for the virtual size', (b) => b.u64(AT.SIZE, TIB)],
    ['an L2 table that does not start a cluster', (b) => b.u64(PART.L1_TABLE, COPIED + BigInt(PART.L2_TABLE) + 512n)],
    ['a cluster that does not start one', (b) => b.l2(0, COPIED + BigInt(PART.DATA) + 512n)],
    ['a compressed cluster behind the end of the file', (b) => b.l2(0, COMPRESSED | (1n << 50n))],
    ['a compressed cluster that is not a stream', (b) => b.compressed(noise(1000), 0)],
    ['extended L2 with clusters of 512 bytes', (b) => b.incompatible(INCOMPATIBLE.EXTENDED_L2).u32(AT.CLUSTER_BITS, 9)],
    [
      'a compression type of 2',
      (b) => b.incompatible(INCOMPATIBLE.COMPRESSION).put(AT.COMPRESSION, new Uint8Array([2])),
    ],
    ['compressed clusters in an image with a data file', (b) => b.dataFile('data').l2(0, COMPRESSED | 512n)],
  ])('%s is refused', ([, bend], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = image(bend).write('data', new Uint8Array(2 * CLUSTER));
    const line = expectRefusedByDd(directory, 'image.qcow2');
    expect(line).toMatch(/ at offset \d+ is \d+(?:, expected [^\n]+)?\)\n$/);
    expect(qemuImgDd('if=image.qcow2', 'of=theirs.raw').in(directory).run().status).toBe(1);
  });

  it('a snapshot table behind the end of the file', async (context) => {
    requireJudge(context, QEMU_IMG);
    await expectSane(
      image((builder) => builder.snapshot('1', 'a').u64(AT.SNAPSHOT_OFFSET, 1n << 40n)),
      'snapshots_offset = 2^40',
    );
  });

  it('clusters behind the end of the file read as zeros, as with qemu-img', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = image((builder) => builder.l2(0, COPIED + (1n << 40n)).l2(1, 0x00ff_ffff_ffff_0000n));
    const window = ['bs=64k', 'count=2', 'if=image.qcow2'];
    const ours = bounded(instar('dd', ...window, 'of=ours.raw'), directory);
    const theirs = qemuImgDd(...window, 'of=theirs.raw')
      .in(directory)
      .run();
    expect(ours.status, ours.stderr + theirs.stderr).toBe(theirs.status);
    if (ours.status === 0) expect(directory.read('ours.raw').equals(directory.read('theirs.raw'))).toBe(true);
  });
});

describe('what would use up the machine', () => {
  it('a raw file of 1 PiB of holes is refused before a byte is written', () => {
    const directory = workdir().write('huge.raw', '');
    try {
      truncateSync(directory.file('huge.raw'), 2 ** 43);
    } catch {
      truncateSync(directory.file('huge.raw'), 2 ** 41);
    }
    const finished = bounded(instar('dd', 'if=huge.raw', 'of=out.raw', 'bs=1M'), directory);
    expect(finished.stderr).toMatch(/^instar: dd: out\.raw: needs \d+ bytes, its file system has \d+ free\n$/);
    expect(directory.names()).toEqual(['huge.raw']);
    // A window of it is no trouble.
    bounded(instar('dd', 'if=huge.raw', 'of=out.raw', 'bs=1M', 'skip=1048576', 'count=1048577'), directory);
    expect(directory.read('out.raw').length).toBe(1 << 20);
  });

  it.for(['raw', 'qcow2'])('a virtual size of 16 TiB is refused as a %s output, a window of it is not', (format) => {
    const directory = image((builder) =>
      builder
        .u64(AT.SIZE, 16n * TIB)
        .u32(AT.L1_SIZE, 32_768)
        .u64(AT.L1_OFFSET, BigInt(9 * CLUSTER)),
    );
    truncateSync(directory.file('image.qcow2'), 20 * CLUSTER);
    const tokens = ['if=image.qcow2', 'of=out', '-O', format, 'bs=1M'];
    const finished = bounded(instar('dd', ...tokens), directory);
    expect(finished.stderr).toMatch(/^instar: dd: out: needs \d+ bytes, its file system has \d+ free\n$/);
    expect(directory.names()).toEqual(['image.qcow2']);
    bounded(instar('dd', ...tokens, 'skip=16777215', 'count=16777216'), directory);
    expect(directory.names()).toEqual(['image.qcow2', 'out']);
  });

  it('a virtual size of 2^63 - 512 is described or refused, never tried', () => {
    const directory = image((builder) => builder.u64(AT.SIZE, 2n ** 63n - 512n));
    expectRefusedByDd(directory, 'image.qcow2');
  });

  it('65536 clusters that are one zlib bomb decode one by one', () => {
    // 1 GiB of zeros in one stream: what does not fit the cluster is not a cluster.
    const directory = image((builder) => {
      const bomb = deflateRawSync(Buffer.alloc(16 * CLUSTER), { level: constants.Z_BEST_COMPRESSION });
      builder.compressed(bomb, ...Array.from({ length: 16 }, (_, index) => index));
    });
    const finished = bounded(instar('dd', 'if=image.qcow2', 'of=out.raw', 'bs=1M'), directory);
    const judged = qemuImgDd('if=image.qcow2', 'of=theirs.raw', 'bs=1M').in(directory).run();
    expect(finished.status, finished.stderr + judged.stderr).toBe(judged.status);
    if (finished.status === 0) expect(directory.read('out.raw').equals(directory.read('theirs.raw'))).toBe(true);
  });

  it('a zstd frame that promises 4 GiB', (context) => {
    requireJudge(context, QEMU_IMG);
    const bomb = execFileSync('sh', ['-c', 'head -c 1000000000 /dev/zero | zstd -q -c --ultra -22 --long=27'], {
      maxBuffer: GIB,
    });
    const directory = image((builder) => builder.zstd().compressed(bomb, 0, 1, 2, 3));
    const finished = bounded(instar('dd', 'if=image.qcow2', 'of=out.raw', 'bs=1M'), directory);
    const judged = qemuImgDd('if=image.qcow2', 'of=theirs.raw', 'bs=1M').in(directory).run();
    expect(finished.status, finished.stderr + judged.stderr).toBe(judged.status);
    if (finished.status === 0) expect(directory.read('out.raw').equals(directory.read('theirs.raw'))).toBe(true);
  });

  it('65536 snapshots are listed up to a bound, or refused, in bounded time', () => {
    const directory = image((builder) => {
      const entry = Buffer.alloc(64);
      entry.writeBigUInt64BE(BigInt(PART.L1_TABLE), 0);
      entry.writeUInt32BE(1, 8);
      entry.writeUInt16BE(1, 12);
      entry.writeUInt16BE(1, 14);
      entry.writeUInt32BE(16, 36);
      entry.write('1a', 56);
      const table = Buffer.concat(Array.from({ length: 65_536 }, () => entry));
      builder.u32(AT.SNAPSHOT_COUNT, 65_536).u64(AT.SNAPSHOT_OFFSET, BigInt(builder.bytes.length));
      builder.bytes = Buffer.concat([builder.bytes, table]);
    });
    for (const sandbox of ['kvm', 'process']) {
      const finished = bounded(instar('info', '--json', `--sandbox=${sandbox}`, 'image.qcow2'), directory);
      expect([0, 1]).toContain(finished.status);
    }
  });
});

describe('chains', () => {
  /** Links of a chain, `0.qcow2` on top, each over the next, the last over a raw image. */
  function chain(layers: number): Workdir {
    const directory = workdir().write('base.raw', Buffer.alloc(4 * CLUSTER, 0x77));
    for (let layer = 0; layer < layers; layer += 1) {
      const builder = new Qcow2Builder().l2(0, 0n).l2(1, 0n);
      const last = layer === layers - 1;
      builder.backing(last ? 'base.raw' : `${layer + 1}.qcow2`, last ? 'raw' : 'qcow2');
      directory.write(`${layer}.qcow2`, builder.bytes);
    }
    return directory;
  }

  it('an image that is its own backing file is refused', () => {
    const directory = image((builder) => builder.backing('image.qcow2', 'qcow2'));
    expect(expectRefusedByDd(directory, 'image.qcow2')).toBe(
      'instar: dd: image.qcow2: refers to "image.qcow2", which is already part of its chain\n',
    );
  });

  it('an image that is its own data file is refused', () => {
    const directory = image((builder) => builder.dataFile('image.qcow2'));
    expectRefusedByDd(directory, 'image.qcow2');
  });

  it('a circle of two, also through a link, is refused', () => {
    const directory = image((builder) => builder.backing('other.qcow2', 'qcow2'));
    directory.write('other.qcow2', new Qcow2Builder().backing('link', 'qcow2').bytes);
    execFileSync('ln', ['-s', 'image.qcow2', directory.file('link')]);
    expect(expectRefusedByDd(directory, 'image.qcow2')).toContain('is already part of its chain');
    execFileSync('ln', ['-f', directory.file('image.qcow2'), directory.file('link')]);
    expect(expectRefusedByDd(directory, 'image.qcow2')).toContain('is already part of its chain');
  });

  it('60 layers are read, 61 are refused', () => {
    const fine = chain(59);
    bounded(instar('dd', 'if=0.qcow2', 'of=out.raw', 'bs=64k', 'count=1'), fine);
    expect(fine.read('out.raw').equals(Buffer.alloc(CLUSTER, 0x77))).toBe(true);
    expect(expectRefusedByDd(chain(60), '0.qcow2')).toBe(
      'instar: dd: 0.qcow2: its backing chain has more than 60 layers\n',
    );
  });

  it('a fault in the third layer names that layer', () => {
    const directory = chain(3);
    directory.write('2.qcow2', new Qcow2Builder().u32(AT.CLUSTER_BITS, 40).bytes);
    expect(expectRefusedByDd(directory, '0.qcow2')).toBe(
      'instar: dd: 2.qcow2: the cluster size is not supported (cluster_bits at offset 20 is 40, expected 9 to 21)\n',
    );
  });
});

describe('files of two faces', () => {
  const SECRET = Buffer.alloc(512, 'what the image must not get at');

  it('a raw disk that begins with a qcow2 header is raw with -f raw', () => {
    const directory = workdir().write('secret', SECRET);
    directory.write('disk.raw', new Qcow2Builder().l2(0, 0n).backing('secret', 'raw').bytes);
    bounded(instar('dd', '-f', 'raw', 'if=disk.raw', 'of=out.raw'), directory);
    expect(directory.read('out.raw').equals(directory.read('disk.raw'))).toBe(true);
  });

  it('a backing file that is declared raw is raw, whatever it holds', () => {
    const directory = workdir().write('secret', SECRET);
    directory.write('disk.raw', new Qcow2Builder().l2(0, 0n).backing('secret', 'raw').bytes);
    directory.write('over.qcow2', new Qcow2Builder().l2(0, 0n).l2(1, 0n).backing('disk.raw', 'raw').bytes);
    bounded(instar('dd', 'if=over.qcow2', 'of=out.raw', 'bs=64k', 'count=2'), directory);
    expect(directory.read('out.raw').equals(directory.read('disk.raw').subarray(0, 2 * CLUSTER))).toBe(true);
    expect(instar('dd', 'if=over.qcow2', 'of=-').in(directory).run().stdout).not.toContain('must not get at');
  });

  it('a backing format that is not read is refused by name', () => {
    const directory = image((builder) => builder.backing('disk.iso', 'iso9660')).write('disk.iso', 'CD001');
    expect(expectRefusedByDd(directory, 'image.qcow2')).toMatch(
      /^instar: dd: image\.qcow2: declares the backing format "iso9660"; raw, qcow2, [\w, ]+ and \w+ are read\n$/,
    );
  });

  it.for<[other: string, bend: (builder: Qcow2Builder) => unknown]>([
    ['iso9660', (builder) => builder.iso9660()],
    ['vdi', (builder) => builder.put(64, new Uint8Array([0x7f, 0x10, 0xda, 0xbe]))],
    ['vpc', (builder) => builder.put(builder.bytes.length - 512, Buffer.from('conectix'))],
  ])('qcow2 and %s: both are named, and -f decides', ([other, bend]) => {
    const directory = image(bend);
    const line = expectRefusedByDd(directory, 'image.qcow2');
    expect(line).toContain('the file answers to two formats at once; name the right one with -f');
    expect(line).toContain('qcow2');
    expect(line).toContain(other);
    const verdict = instar('info', '--require-safe', 'image.qcow2').in(directory).run();
    expect([verdict.status, verdict.stderr]).toEqual([3, expect.stringContaining('ambiguous-format')]);
  });

  it.for<[format: string, file: Buffer, named?: string]>([
    ['qed', Buffer.from('QED\0'.padEnd(600, '\0')), 'cluster_size at offset 4 is 0'],
    ['vmdk', Buffer.from('KDMV'.padEnd(600, '\u0001')), 'version at offset 4 is 16843009'],
    ['vhdx', Buffer.from('vhdxfile'.padEnd(600, '\0')), 'file length at offset 0 is 600'],
    ['luks', Buffer.from('LUKS\u00ba\u00be\0\u0001'.padEnd(600, '\0'), 'latin1'), 'key bytes at offset 108 is 0'],
    ['parallels', Buffer.from('WithoutFreeSpace\u0002\0\0\0'.padEnd(600, '\0'), 'latin1'), 'tracks at offset 28 is 0'],
  ])('a %s image that is not read is refused by what it is', ([format, file, named = format]) => {
    const directory = workdir().write('image', file);
    expect(expectRefusedByDd(directory, 'image')).toContain(named);
  });

  it('an ISO 9660 file system alone is a raw image', () => {
    const iso = Buffer.alloc(40_960);
    iso.write('CD001', 32_769);
    const directory = workdir().write('disc.iso', iso);
    bounded(instar('dd', 'if=disc.iso', 'of=out.raw'), directory);
    expect(directory.read('out.raw').equals(iso)).toBe(true);
    expect(instar('info', 'disc.iso').in(directory).must().stdout).toContain('content: an ISO 9660 file system');
  });
});
