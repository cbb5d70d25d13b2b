import { check, type CheckFinding } from '@instar/engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { QEMU_IMG, judgeVersion, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { AT, Qcow2Builder } from '../support/qcow2-builder.js';
import { Random } from '../support/random.js';
import { Workdir, workdir } from '../support/workdir.js';
import { ZOO } from '../support/zoo.js';

/** INSTAR_LOOK_IMAGES makes more damaged images. */
const DAMAGED = Number(process.env['INSTAR_LOOK_IMAGES'] ?? 25);
const SEED = Number(process.env['INSTAR_SEED'] ?? 20_261_126);

/** What qemu-img adds to an overflow, for those who repair. */
const ADVICE = /^Use qemu-img amend to increase the refcount entry width .*\n/gm;

/** The first table entries of an image: of L1, of its first L2 table, of the first refcount block. */
function damage(random: Random, image: Buffer): void {
  const cluster = 1 << image.readUInt32BE(AT.CLUSTER_BITS);
  const at = (offset: number): number => Number(image.readBigUInt64BE(offset) & 0x00ff_ffff_ffff_fe00n);
  const l1 = at(AT.L1_OFFSET);
  const l2 = l1 > 0 ? at(l1) : 0;
  const block = at(at(AT.REFCOUNT_OFFSET));
  for (let count = random.between(1, 3); count > 0; count -= 1) {
    const entry = l2 + 8 * random.below(6);
    const hasTable = l2 > 0 && l2 + cluster <= image.length;
    switch (random.below(7)) {
      case 0:
        if (hasTable) {
          const copied = random.chance(2) ? 1n << 63n : 0n;
          const clusters = Math.floor(image.length / cluster) + 2;
          image.writeBigUInt64BE(copied | BigInt(cluster * random.below(clusters)), entry);
        }
        break;
      case 1:
        if (hasTable) image.writeUInt8(image.readUInt8(entry) ^ 0x80, entry);
        break;
      case 2: {
        const place = block + random.below(24);
        image.writeUInt8(image.readUInt8(place) ^ 1, place);
        break;
      }
      case 3: {
        // The lowest byte of an entry of the refcount table is reserved.
        const place = at(AT.REFCOUNT_OFFSET) + 8 * random.below(8) + 7;
        image.writeUInt8(image.readUInt8(place) ^ 1, place);
        break;
      }
      case 4:
        // A table that lies elsewhere, or not at a multiple of the cluster size; reserved bits.
        if (l1 > 0) {
          const bit = BigInt(random.pick([9, 12, 16, 57]));
          image.writeBigUInt64BE(image.readBigUInt64BE(l1) ^ (1n << bit), l1);
        }
        break;
      case 5:
        if (hasTable) {
          const bit = BigInt(random.pick([3, 9, 16, 18, 58]));
          image.writeBigUInt64BE(image.readBigUInt64BE(entry) ^ (1n << bit), entry);
        }
        break;
      default:
        if (l1 > 0) image.writeUInt8(image.readUInt8(l1) ^ 0x80, l1);
    }
  }
}

describe('check', () => {
  let directory: Workdir;
  const images = ZOO.filter(({ format, file }) => format === 'qcow2' && file !== 'cut.qcow2');

  beforeAll(() => {
    directory = new Workdir();
    if (judgeVersion(QEMU_IMG) !== undefined) for (const image of images) image.build(directory);
  });

  afterAll(() => {
    directory.remove();
  });

  function expectTheSame(file: string): void {
    for (const more of [['--output=json'], []]) {
      const theirs = qemuImg('check', '-f', 'qcow2', ...more, file)
        .in(directory)
        .run();
      const ours = instar('check', '-f', 'qcow2', ...more, file)
        .in(directory)
        .run();
      expect({ status: ours.status, stdout: ours.stdout, stderr: ours.stderr }, `${directory.path}/${file}`).toEqual({
        status: theirs.status,
        stdout: theirs.stdout,
        stderr: theirs.stderr.replaceAll(ADVICE, ''),
      });
    }
  }

  it('finds whole images whole, and counts as qemu-img counts', (context) => {
    requireJudge(context, QEMU_IMG);
    for (const { file } of images) expectTheSame(file);
  });

  it('finds in damaged images what qemu-img finds', (context) => {
    requireJudge(context, QEMU_IMG);
    const random = new Random(SEED);
    const whole = images.filter(({ file }) => !file.startsWith('over') && !file.includes('data-file'));
    for (let index = 0; index < DAMAGED; index += 1) {
      const image = directory.read(random.pick(whole as [(typeof whole)[0], ...typeof whole]).file);
      damage(random, image);
      directory.write('damaged.qcow2', image);
      expectTheSame('damaged.qcow2');
    }
  });

  it.for([1, 3, 5, 7])('rounds shares as qemu-img does: %i clusters of 32', (clusters, context) => {
    requireJudge(context, QEMU_IMG);
    qemuImg('create', '-q', '-f', 'qcow2', 'share.qcow2', '2M').in(directory).must();
    qemuIo('share.qcow2', `write 0 ${clusters * 64}k`)
      .in(directory)
      .must();
    expectTheSame('share.qcow2');
  });

  it.for([0, 3])('finds, and repairs, reserved bits in entry %i of the refcount table', (entry, context) => {
    requireJudge(context, QEMU_IMG);
    qemuImg('create', '-q', '-f', 'qcow2', 'reserved.qcow2', '1M').in(directory).must();
    const image = directory.read('reserved.qcow2');
    image.writeUInt8(1, Number(image.readBigUInt64BE(AT.REFCOUNT_OFFSET)) + 8 * entry + 7);
    directory.write('reserved.qcow2', image);
    expectTheSame('reserved.qcow2');
    expect(instar('check', 'reserved.qcow2').in(directory).run().status).toBe(2);
    instar('check', '-r', 'all', 'reserved.qcow2').in(directory).must();
    qemuImg('check', '-q', 'reserved.qcow2').in(directory).must();
  });

  it('gives each finding to programs, and changes nothing', async () => {
    const builder = new Qcow2Builder();
    const other = workdir().write('image.qcow2', builder.bytes);
    const before = other.digests();
    const findings: CheckFinding[] = [];
    const report = await check(other.file('image.qcow2'), { onFinding: (finding) => findings.push(finding) });
    expect(report).toMatchObject({ format: 'qcow2', supported: true });
    expect(BigInt(findings.length)).toBe(report.corruptions + report.leaks);
    expect(other.digests()).toEqual(before);
  });

  it('says that a raw image has nothing to check', () => {
    const other = workdir().write('disk.raw', Buffer.alloc(1024, 1));
    const finished = instar('check', '-f', 'raw', 'disk.raw').in(other).run();
    expect(finished).toMatchObject({ status: 63, stdout: '' });
    expect(finished.stderr).toMatch(/^instar: check: disk\.raw: images of format raw are not checked\n$/);
  });
});
