// Images of every format are written to in place: by `convert -n`, and where something is committed into them.
import { afterAll, describe, expect, it } from 'vitest';
import { closePool } from '@instar/engine';
import { instar, program } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { noise, Random } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

/** Images of each format; INSTAR_CASES=25 takes some minutes. */
const CASES = Number(process.env['INSTAR_CASES'] ?? 2);
const SEED = Number(process.env['INSTAR_SEED'] ?? 20261127);
const KIB = 1024;
const MIB = 1024 * KIB;

const FORMATS = [
  ['vdi', ''],
  ['vpc', 'force_size=on'],
  ['vpc', 'subformat=fixed,force_size=on'],
  ['vhdx', ''],
  ['vhdx', 'block_size=1M'],
  ['vmdk', ''],
  ['qed', ''],
  ['qed', 'cluster_size=4k,table_size=2'],
  ['parallels', ''],
  ['qcow', ''],
  ['qcow2', ''],
  ['qcow2', 'extended_l2=on,cluster_size=128k'],
] as const;
/** Formats that `qemu-img check` does not look at. */
const UNCHECKED = new Set(['vpc', 'qcow']);

/** Images whose blocks lie where something else does: whoever writes one of them overwrites the other. */
const OVERLAPS: readonly (readonly [string, string, (bytes: Buffer) => void])[] = [
  ['vpc', 'a block lies over the header', (bytes) => bytes.writeUInt32BE(0, 1536 + 4)],
  ['vpc', 'a block lies over the table', (bytes) => bytes.writeUInt32BE(3, 1536 + 4)],
  ['vdi', 'the blocks begin inside the block map', (bytes) => bytes.writeUInt32LE(512, 344)],
  ['vmdk', 'a grain lies over the descriptor', (bytes) => bytes.writeUInt32LE(1, tableOfVmdk(bytes) + 4)],
  ['vmdk', 'the descriptor reaches over the tables', (bytes) => bytes.writeBigUInt64LE(80n, 36)],
  [
    'qcow',
    'two entries name a cluster',
    (bytes) => bytes.copy(bytes, tableOfQcow(bytes) + 8, tableOfQcow(bytes), tableOfQcow(bytes) + 8),
  ],
  ['qcow', 'a cluster lies over the header', (bytes) => bytes.writeBigUInt64BE(1n, tableOfQcow(bytes) + 8)],
  [
    'qcow',
    'a cluster lies over its table',
    (bytes) => bytes.writeBigUInt64BE(BigInt(tableOfQcow(bytes)), tableOfQcow(bytes) + 8),
  ],
  ['parallels', 'the table is too short', (bytes) => bytes.writeUInt32LE(1, 32)],
];

/** Where the first grain table of a VMDK lies. */
function tableOfVmdk(bytes: Buffer): number {
  return bytes.readUInt32LE(Number(bytes.readBigUInt64LE(56)) * 512) * 512;
}

/** Where the first L2 table of a qcow image lies. */
function tableOfQcow(bytes: Buffer): number {
  return Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(40))));
}

afterAll(closePool);

function create(directory: Workdir, format: string, options: string, size: number): void {
  const words = options === '' ? [] : ['-o', options];
  qemuImg('create', '-q', '-f', format, ...words, 'image', String(size))
    .in(directory)
    .must();
}

/** Checks an image by both programs, and compares its disk with `expected`. */
function judge(directory: Workdir, format: string, expected: Buffer): void {
  directory.write('expected.raw', expected);
  qemuImg('compare', '-f', format, '-F', 'raw', 'image', 'expected.raw').in(directory).must();
  if (!UNCHECKED.has(format)) qemuImg('check', '-f', format, 'image').in(directory).must();
  const { status, stdout } = instar('check', '-f', format, 'image').in(directory).run();
  expect([0, 63], stdout).toContain(status);
}

describe('convert -n into an image that holds something', () => {
  it.for(FORMATS)('%s %s', { timeout: 3_600_000 }, ([format, options], context) => {
    requireJudge(context, QEMU_IMG);
    const random = new Random(SEED);
    for (let run = 0; run < CASES; run += 1) {
      const directory = workdir();
      const size = random.pick([3 * MIB, 5 * MIB + 3584, 40 * MIB + 4096]);
      create(directory, format, options, size);
      const expected = Buffer.alloc(size);
      const writes = Array.from({ length: random.below(6) }, (_, index) => {
        const at = random.below(size / 512) * 512;
        const length = Math.min(size - at, random.pick([512, 4096, 64 * KIB, MIB]));
        expected.fill(index + 1, at, at + length);
        return `write -P ${index + 1} ${at} ${length}`;
      });
      if (writes.length > 0) qemuIo(directory.file('image'), ...writes).must();
      const source = Buffer.alloc(random.pick([size, Math.floor(size / 1024) * 512]));
      for (let part = random.below(7); part > 0; part -= 1) {
        const at = random.below(source.length);
        noise(Math.min(source.length - at, random.pick([1, 512, 5000, 64 * KIB, MIB])), part).copy(source, at);
      }
      source.copy(expected);
      directory.write('source.raw', source);
      const sandbox = random.pick(['kvm', 'process']);
      instar('convert', `--sandbox=${sandbox}`, '-f', 'raw', '-n', '-O', format, 'source.raw', 'image')
        .in(directory)
        .must();
      judge(directory, format, expected);
      expect(directory.names()).not.toContain('image.instar-undo');
    }
  });

  it('is refused where the disk is smaller, or the image cannot be what was asked for', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('source.raw', noise(2 * MIB));
    create(directory, 'vdi', '', MIB);
    const before = directory.read('image');
    for (const [words, expected] of [
      [['-O', 'vdi'], /has a disk of 1048576 bytes, fewer than the 2097152 of the input/],
      [['-O', 'qed'], /^instar: convert: image: /],
      [['-O', 'simg'], /simg are not written into/],
      [['-O', 'vdi', '--salvage'], /salvage: is for outputs that are made anew, or raw ones/],
    ] as const) {
      const { status, stderr } = instar('convert', '-f', 'raw', '-n', ...words, 'source.raw', 'image')
        .in(directory)
        .run();
      expect(status).toBe(1);
      expect(stderr).toMatch(expected);
      expect(directory.read('image').equals(before)).toBe(true);
    }
    const same = instar('convert', '-n', '-U', '-f', 'vdi', '-O', 'vdi', 'image', 'image').in(directory).run();
    expect([same.status, same.stderr]).toEqual([
      1,
      expect.stringContaining('read and would be written at the same time'),
    ]);
    expect(directory.read('image').equals(before)).toBe(true);
    expect(directory.names()).toEqual(['image', 'source.raw']);
  });

  it('is refused where the image contradicts itself: what is in use would be given away', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('source.raw', noise(2 * MIB));
    create(directory, 'qcow2', '', 3 * MIB);
    qemuIo(directory.file('image'), 'write -P 1 0 192k').must();
    const bytes = directory.read('image');
    const block = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(48))));
    // The refcount of a cluster of data.
    bytes.writeUInt16BE(0, block + 2 * 5);
    directory.write('image', bytes);
    expect(qemuImg('check', 'image').in(directory).run().status).toBe(2);
    const { status, stderr } = instar('convert', '-f', 'raw', '-n', '-O', 'qcow2', 'source.raw', 'image')
      .in(directory)
      .run();
    expect([status, directory.read('image').equals(bytes)]).toEqual([1, true]);
    expect(stderr).toMatch(/repair|check -r/);
    // The same of all else that takes clusters.
    for (const words of [
      ['resize', 'image', '64T'],
      ['snapshot', '-c', 'name', 'image'],
      ['bitmap', '--add', 'image', 'name'],
      ['amend', '-o', 'refcount_bits=64', 'image'],
    ]) {
      const edited = instar(...words)
        .in(directory)
        .run();
      expect([edited.status, directory.read('image').equals(bytes)], words[0]).toEqual([1, true]);
      expect(edited.stderr, words[0]).toMatch(/contradicts itself/);
    }
    instar('check', '-r', 'all', 'image').in(directory).must();
    instar('resize', '-q', 'image', '1T').in(directory).must();
  });

  it.for(OVERLAPS)('is refused where in a %s image %s', { timeout: 60_000 }, ([format, , damage], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('source.raw', noise(6 * MIB));
    create(directory, format, '', 8 * MIB);
    qemuIo(directory.file('image'), 'write -P 1 0 1M', 'write -P 2 3M 1M').must();
    const bytes = directory.read('image');
    damage(bytes);
    directory.write('image', bytes);
    const told = instar('check', '-f', format, 'image').in(directory).run();
    expect([told.status, told.stderr]).toEqual([2, expect.stringContaining('ERROR')]);
    const { status, stderr } = instar('convert', '-f', 'raw', '-n', '-O', format, 'source.raw', 'image')
      .in(directory)
      .run();
    expect([status, directory.read('image').equals(bytes)]).toEqual([1, true]);
    expect(stderr).toMatch(/contradicts itself/);
    expect(directory.names()).toEqual(['image', 'source.raw']);
  });

  it('sums up what the disk is then, and leaves zeros out where it reads as such', (context) => {
    requireJudge(context, QEMU_IMG);
    const source = Buffer.concat([noise(100 * KIB), Buffer.alloc(900 * KIB)]);
    const directory = workdir().write('source.raw', source);
    create(directory, 'vmdk', '', 3 * MIB);
    qemuIo(directory.file('image'), 'write -P 7 2M 64k').must();
    const words = ['-n', '--target-is-zero', '--checksum', 'sha256', '-O', 'vmdk'];
    const { stdout } = instar('convert', '-f', 'raw', ...words, 'source.raw', 'image')
      .in(directory)
      .must();
    qemuImg('convert', '-O', 'raw', 'image', 'back.raw').in(directory).must();
    const back = directory.read('back.raw');
    expect(back.subarray(0, source.length).equals(source)).toBe(true);
    expect(back.subarray(2 * MIB, 2 * MIB + 64 * KIB).every((byte) => byte === 7)).toBe(true);
    const [sum = ''] = program('sha256sum', 'back.raw').in(directory).must().stdout.split(' ');
    expect(stdout).toBe(`sha256: ${sum}\n`);
  });
});

describe('commit into a base of another format', () => {
  it.for(FORMATS.filter(([format]) => format !== 'qcow2'))('%s %s', ([format, options], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    create(directory, format, options, 9 * MIB + 4096);
    qemuIo(directory.file('image'), 'write -P 1 100k 70k', 'write -P 2 4M 1M').must();
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'image', '-F', format, 'top').in(directory).must();
    qemuIo(directory.file('top'), 'write -P 3 50k 90k', 'write -z 4M 512k', 'write -P 4 8M 1M').must();
    qemuImg('convert', '-O', 'raw', 'top', 'expected.raw').in(directory).must();
    instar('commit', '-q', 'top').in(directory).must();
    judge(directory, format, directory.read('expected.raw'));
    // And the image above shows the same.
    qemuImg('compare', '-f', 'qcow2', '-F', 'raw', 'top', 'expected.raw').in(directory).must();
  });
});
