import { check, type CheckFinding, type CheckReport } from '@instar/engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { allocated, batOfVhdx, DAMAGE, damageAt, damageVdi } from '../support/damage.js';
import { QEMU_IMG, judgeVersion, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { Random } from '../support/random.js';
import { Workdir } from '../support/workdir.js';
import { ZOO } from '../support/zoo.js';

/** INSTAR_LOOK_IMAGES makes more damaged images of each format. */
const DAMAGED = Number(process.env['INSTAR_LOOK_IMAGES'] ?? 12);
const SEED = Number(process.env['INSTAR_SEED'] ?? 20_261_126);

const CHECKED = ['vmdk', 'vdi', 'vhdx', 'qed', 'parallels'];
const MIB = 1 << 20;

type Numbers = Readonly<Record<string, number | undefined>>;

/** What a report says, by the names of qemu-img. */
function numbers(report: CheckReport): Numbers {
  const count = (value: bigint): number | undefined => (value === 0n ? undefined : Number(value));
  return {
    'image-end-offset': count(report.imageEnd),
    'total-clusters': count(report.totalClusters),
    'allocated-clusters': count(report.allocatedClusters),
    'fragmented-clusters': count(report.fragmentedClusters),
    corruptions: count(report.corruptions),
    leaks: count(report.leaks),
  };
}

describe('check of formats other than qcow2', () => {
  let directory: Workdir;
  const images = ZOO.filter(({ format }) => CHECKED.includes(format) || format === 'vpc');

  beforeAll(() => {
    directory = new Workdir();
    if (judgeVersion(QEMU_IMG) !== undefined) for (const image of images) image.build(directory);
  });

  afterAll(() => {
    directory.remove();
  });

  async function ofBytes(format: string, image: Buffer): Promise<[CheckReport, readonly CheckFinding[]]> {
    directory.write('damaged', image);
    const findings: CheckFinding[] = [];
    const report = await check(directory.file('damaged'), { format, onFinding: (found) => findings.push(found) });
    return [report, findings];
  }

  function wholeImage(random: Random, format: string): Buffer {
    const whole = images.filter((image) => image.format === format && !image.file.startsWith('over'));
    return directory.read(random.pick(whole as [(typeof whole)[0], ...typeof whole]).file);
  }

  function expectNumbers(report: CheckReport, json: string, where: string): void {
    const said = JSON.parse(json) as Numbers;
    const ours = numbers(report);
    expect(ours, where).toEqual(Object.fromEntries(Object.keys(ours).map((key) => [key, said[key]])));
  }

  function judge(format: string): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
    return qemuImg('check', '--output=json', '-f', format, 'damaged').in(directory).run();
  }

  it('finds whole images whole, and counts as qemu-img counts', async (context) => {
    requireJudge(context, QEMU_IMG);
    for (const { format, file } of images) {
      const report = await check(directory.file(file), { format });
      expect(report, file).toMatchObject({ supported: true, corruptions: 0n, leaks: 0n });
      if (format === 'vpc') continue;
      const theirs = qemuImg('check', '--output=json', '-f', format, file).in(directory).must();
      expectNumbers(report, theirs.stdout, file);
    }
  });

  it.for(Object.keys(DAMAGE))('finds in damaged images what qemu-img finds: %s', async (format, context) => {
    requireJudge(context, QEMU_IMG);
    const random = new Random(SEED);
    const damage = DAMAGE[format] ?? damageVdi;
    let damagedOnes = 0;
    for (let index = 0; index < DAMAGED; index += 1) {
      let image = wholeImage(random, format);
      for (let times = random.between(1, 2); times > 0; times -= 1) image = damage(random, image);
      const [report, findings] = await ofBytes(format, image);
      const theirs = judge(format);
      const where = `${directory.path}, number ${index} of seed ${SEED}: ${theirs.stderr}`;
      expect(findings.length > 0, where).toBe(theirs.status !== 0);
      damagedOnes += theirs.status === 0 ? 0 : 1;
      // It gives up where two entries of a Parallels disk name one cluster.
      if (theirs.status === 1) expect(report.corruptions, where).toBeGreaterThan(0n);
      else expectNumbers(report, theirs.stdout, where);
    }
    expect(damagedOnes).toBeGreaterThan(0);
  });

  it('says what it found in the words and with the exit codes of qemu-img', (context) => {
    requireJudge(context, QEMU_IMG);
    const image = directory.read('small.parallels');
    for (const bytes of [Buffer.concat([image, Buffer.alloc(70_000)]), damageAt(image, 44, 0x746f_6e59)]) {
      directory.write('damaged', bytes);
      const theirs = qemuImg('check', '-f', 'parallels', 'damaged').in(directory).run();
      const ours = instar('check', '-f', 'parallels', 'damaged').in(directory).run();
      expect(ours).toMatchObject({ status: theirs.status, stdout: theirs.stdout, stderr: theirs.stderr });
    }
  });

  it('says of whole images what qemu-img says of them', (context) => {
    requireJudge(context, QEMU_IMG);
    for (const { format, file } of images.filter((image) => image.format !== 'vpc')) {
      const theirs = qemuImg('check', '-f', format, file).in(directory).must();
      expect(instar('check', '-f', format, file).in(directory).must().stdout, file).toBe(theirs.stdout);
    }
  });

  it('finds grains of a VMDK behind the end and in use twice', async (context) => {
    requireJudge(context, QEMU_IMG);
    const image = directory.read('default.vmdk');
    const table = 512 * image.readUInt32LE(512 * Number(image.readBigUInt64LE(56)));
    const behind = damageAt(image, table, 1 << 20);
    const [report, findings] = await ofBytes('vmdk', behind);
    const theirs = judge('vmdk');
    expect(theirs.stderr).toContain(findings[0]?.text);
    // The redundant table says something else then.
    expect(report.corruptions).toBe(2n);
    const [first = 0, second = 0] = allocated(image, table, 4, (at) => image.readUInt32LE(at));
    const [twice] = await ofBytes('vmdk', damageAt(image, second, image.readUInt32LE(first)));
    expect(twice.corruptions).toBe(2n);
    const [shared] = await ofBytes('vmdk', damageAt(image, first, table / 512));
    expect(shared.corruptions).toBe(2n);
  });

  it('finds a redundant grain directory of a VMDK that says something else', async () => {
    const image = directory.read('default.vmdk');
    const [redundant, own] = [512 * Number(image.readBigUInt64LE(48)), 512 * Number(image.readBigUInt64LE(56))];
    expect(redundant).not.toBe(own);
    const table = 512 * image.readUInt32LE(redundant);
    const bends: Readonly<Record<string, Buffer>> = {
      'an entry of its first table': damageAt(image, table, image.readUInt32LE(table) + 128),
      'its first entry': damageAt(image, redundant, 0),
      'its place': damageAt(image, 48, 1 << 30),
    };
    for (const [what, bent] of Object.entries(bends)) {
      const [report, findings] = await ofBytes('vmdk', bent);
      expect(report.corruptions, what).toBe(1n);
      expect(findings[0]?.text, what).toMatch(/^ERROR: the redundant grain /);
    }
    // Where the header does not promise one, nothing is compared.
    const without = damageAt(damageAt(image, redundant, 0), 8, image.readUInt32LE(8) & ~2);
    expect((await ofBytes('vmdk', without))[0].corruptions).toBe(0n);
  });

  it('finds a header and a region table of a VHDX that are not what their copies are', async () => {
    const image = directory.read('small-blocks.vhdx');
    const [first, second] = [64 << 10, 128 << 10];
    const sequence = (at: number): bigint => image.readBigUInt64LE(at + 8);
    const older = sequence(first) < sequence(second) ? first : second;
    const bends: Readonly<Record<string, readonly [Buffer, RegExp]>> = {
      'a changed byte of the header that does not count': [
        damageAt(image, older + 100, 7),
        /^ERROR: the header at offset \d+ is of no use: .*checksum/,
      ],
      'a header that is not there': [damageAt(image, older, 0), /^ERROR: the header at offset \d+ is of no use/],
      'the second region table': [
        damageAt(image, (256 << 10) + 100, 7),
        /^ERROR: the region tables at offsets 196608 and 262144 differ$/,
      ],
    };
    for (const [what, [bent, words]] of Object.entries(bends)) {
      const [report, findings] = await ofBytes('vhdx', bent);
      expect(report.corruptions, what).toBe(1n);
      expect(findings[0]?.text, what).toMatch(words);
    }
  });

  it('finds blocks of a VHDX that are in use twice, and such as lie over its structures', async (context) => {
    requireJudge(context, QEMU_IMG);
    const image = directory.read('small-blocks.vhdx');
    const bat = batOfVhdx(image);
    const [first = 0, second = 0] = allocated(image, bat, 8, (at) => Number(image.readBigUInt64LE(at) & 7n));
    const twice = Buffer.from(image);
    twice.writeBigUInt64LE(image.readBigUInt64LE(first), second);
    expect((await ofBytes('vhdx', twice))[0].corruptions).toBe(1n);
    const over = Buffer.from(image);
    over.writeBigUInt64LE((1n << 20n) | 6n, first);
    const [report] = await ofBytes('vhdx', over);
    expectNumbers(report, judge('vhdx').stdout, 'a block over the log');
  });

  it('finds what is wrong with a VHD, which qemu-img does not look at', async (context) => {
    requireJudge(context, QEMU_IMG);
    const image = directory.read('dynamic.vhd');
    const header = Number(image.readBigUInt64BE(16));
    const bat = Number(image.readBigUInt64BE(header + 16));
    const [first = 0, second = 0] = allocated(image, bat, 4, (at) => (image.readUInt32BE(at) + 1) >>> 0 && 1);
    const entry = (at: number, value: number): Buffer => {
      const bytes = Buffer.from(image);
      bytes.writeUInt32BE(value, at);
      return bytes;
    };
    const last = image.length - 512;
    const cases: Readonly<Record<string, readonly [Buffer, bigint]>> = {
      'two entries with one block': [entry(second, image.readUInt32BE(first)), 1n],
      'blocks that overlap': [entry(second, image.readUInt32BE(first) + 1), 1n],
      'a block behind the end': [entry(first, 1 << 24), 1n],
      'a block that reaches into the footer': [entry(first, last / 512 - 1), 1n],
      'a header with another checksum': [damageAt(image, header + 36, 1), 1n],
      'a footer that was changed': [damageAt(image, last + 24, 7), 2n],
      'a footer that is gone': [damageAt(image, last, 7), 1n],
    };
    for (const [name, [bytes, corruptions]] of Object.entries(cases)) {
      const [report] = await ofBytes('vpc', bytes);
      expect(report.corruptions, name).toBe(corruptions);
      expect([1, 63]).toContain(judge('vpc').status);
    }
    const fixed = directory.read('fixed-exact.vhd');
    const cut = Buffer.concat([fixed.subarray(0, MIB), fixed.subarray(-512)]);
    expect((await ofBytes('vpc', cut))[0].corruptions).toBe(1n);
  });

  it('finds blocks of a VDI that were cut off', async (context) => {
    requireJudge(context, QEMU_IMG);
    const image = directory.read('dynamic.vdi');
    const data = image.readUInt32LE(344);
    const blocks = Math.ceil((image.length - data) / MIB);
    const [report] = await ofBytes('vdi', image.subarray(0, data + MIB));
    expect(report.corruptions).toBe(BigInt(blocks - 1));
  });
});
