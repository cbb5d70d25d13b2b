// Images of formats other than qcow2 that are repaired: by this project and by qemu-img, from the same damage.
import { copyFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CommandLine, instar } from '../support/command.js';
import { DAMAGE } from '../support/damage.js';
import { judgeVersion, QEMU_IMG, requireJudge, STRACE } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { Random } from '../support/random.js';
import { Workdir } from '../support/workdir.js';
import { ZOO } from '../support/zoo.js';

/** Damaged images of each format; INSTAR_CASES=100 is a thorough run. */
const CASES = Number(process.env['INSTAR_CASES'] ?? 8);
const SEED = Number(process.env['INSTAR_SEED'] ?? 20261130);
const HOURS = 3_600_000;
const LEAST_CASES = 4;

describe('check -r of formats other than qcow2', () => {
  let directory: Workdir;
  const images = ZOO.filter(({ format, file }) => format in DAMAGE && !file.startsWith('over'));

  beforeAll(() => {
    directory = new Workdir();
    if (judgeVersion(QEMU_IMG) !== undefined) for (const image of images) image.build(directory);
  });

  afterAll(() => {
    directory.remove();
  });

  function damaged(random: Random, format: string): Buffer {
    const whole = images.filter((image) => image.format === format);
    let bytes = directory.read(random.pick(whole as [(typeof whole)[0], ...typeof whole]).file);
    for (let times = random.between(1, 2); times > 0; times -= 1) bytes = DAMAGE[format]?.(random, bytes) ?? bytes;
    return bytes;
  }

  const read = (image: string, format: string): Buffer | undefined => {
    const { status } = qemuImg('convert', '-f', format, '-O', 'raw', image, 'content').in(directory).run();
    return status === 0 ? directory.read('content') : undefined;
  };

  it.for(['qed', 'parallels'])('%s, as qemu-img does it', { timeout: HOURS }, (format, context) => {
    requireJudge(context, QEMU_IMG);
    const random = new Random(SEED);
    const problems: string[] = [];
    let changed = 0;
    for (let number = 0; number < Math.max(CASES, LEAST_CASES); number += 1) {
      const bytes = damaged(random, format);
      const mode = random.pick(['all', 'all', 'leaks']);
      for (const name of ['ours', 'theirs']) directory.write(name, bytes);
      const theirs = qemuImg('check', '-r', mode, '-f', format, 'theirs').in(directory).run();
      const ours = instar('check', '-r', mode, '-f', format, 'ours').in(directory).run();
      if (!directory.read('ours').equals(bytes)) changed += 1;
      const told = `number ${number}, ${mode} (${theirs.status ?? ''} ${theirs.stderr}): ${ours.stdout}${ours.stderr}`;
      // It gives up where it cannot copy; what it leaves then is no judge.
      if (theirs.status === 1 || theirs.status === null) continue;
      if (ours.status !== theirs.status) problems.push(`exit ${ours.status ?? ''} of ${told}`);
      const after = (name: string): unknown => qemuImg('check', '-f', format, name).in(directory).run().status;
      // Closing the image clears the mark of one that was not closed, also where it was to free leaks only.
      if (mode === 'all' && after('ours') !== after('theirs'))
        problems.push(`check afterwards: ${String(after('ours'))}: ${told}`);
      const [left, right] = [read('ours', format), read('theirs', format)];
      if (left === undefined || right === undefined ? left !== right : !left.equals(right))
        problems.push(`another content: ${told}`);
    }
    expect(problems).toEqual([]);
    expect(changed).toBeGreaterThan(0);
  });

  it('vdi, which qemu-img does not repair: it finds nothing then, and reads what it read', (context) => {
    requireJudge(context, QEMU_IMG);
    const random = new Random(SEED);
    for (let number = 0; number < Math.max(CASES, LEAST_CASES); number += 1) {
      const bytes = damaged(random, 'vdi');
      directory.write('ours', bytes);
      const found = qemuImg('check', '-f', 'vdi', 'ours').in(directory).run();
      const before = read('ours', 'vdi');
      const ours = instar('check', '-r', 'all', '-f', 'vdi', 'ours').in(directory).run();
      const told = `number ${number}: ${found.stderr} ${ours.stdout}${ours.stderr}`;
      expect(ours.status, told).toBe(0);
      expect(directory.read('ours').equals(bytes), told).toBe(found.status === 0);
      expect(qemuImg('check', '-f', 'vdi', 'ours').in(directory).run().status, told).toBe(0);
      if (before !== undefined) expect(read('ours', 'vdi')?.equals(before), told).toBe(true);
    }
  });

  it('vhdx: the log that a killed writer has left is carried out', { timeout: HOURS }, (context) => {
    requireJudge(context, QEMU_IMG);
    requireJudge(context, STRACE);
    qemuImg('create', '-q', '-f', 'vhdx', '-o', 'block_size=1M', 'whole.vhdx', '20M').in(directory).must();
    let replayed = 0;
    // Of each of the writer's threads the call of this number is its last; how many calls a thread makes is chance.
    for (let attempt = 0; attempt < 120 && replayed < 3; attempt += 1) {
      const when = 1 + (attempt % 12);
      copyFileSync(directory.file('whole.vhdx'), directory.file('ours'));
      const write = ['qemu-io', '-f', 'vhdx', '-c', 'write -P 5 0 2M', '-c', 'write -P 6 9M 64k', 'ours'];
      const inject = `inject=pwrite64,pwritev:signal=KILL:when=${when}`;
      const killed = new CommandLine(write)
        .under('strace', '-f', '-qq', '-o', 'calls', '-e', inject)
        .in(directory)
        .run();
      if (killed.status === 0) continue;
      copyFileSync(directory.file('ours'), directory.file('theirs'));
      const looked = qemuImg('info', '-f', 'vhdx', 'ours').in(directory).run();
      const theirs = qemuImg('check', '-r', 'all', '-f', 'vhdx', 'theirs').in(directory).run();
      const ours = instar('check', '-r', 'all', '-f', 'vhdx', 'ours').in(directory).run();
      const told = `killed at ${when}: ${looked.stderr} ${theirs.stdout}${theirs.stderr} ${ours.stdout}${ours.stderr}`;
      if (!looked.stderr.includes('log')) continue;
      replayed += 1;
      expect(ours.status, told).toBe(theirs.status);
      expect(ours.stdout, told).toBe(theirs.stdout);
      qemuImg('info', '-f', 'vhdx', 'ours').in(directory).must();
      expect(qemuImg('check', '-f', 'vhdx', 'ours').in(directory).run().status, told).toBe(0);
      qemuImg('compare', '-f', 'vhdx', '-F', 'vhdx', 'ours', 'theirs').in(directory).must();
    }
    expect(replayed).toBeGreaterThan(0);
  });

  it('vhdx: a damaged copy of the header or of the region table becomes a copy of the other', (context) => {
    requireJudge(context, QEMU_IMG);
    qemuImg('create', '-q', '-f', 'vhdx', 'whole.vhdx', '20M').in(directory).must();
    const whole = directory.read('whole.vhdx');
    for (const at of [64, 128, 192, 256].map((kib) => (kib << 10) + 100)) {
      const bytes = Buffer.from(whole);
      bytes.writeUInt32LE(0xdead, at);
      directory.write('ours', bytes);
      expect(instar('check', '-f', 'vhdx', 'ours').in(directory).run().status, `${at}`).toBe(2);
      instar('check', '-r', 'all', '-f', 'vhdx', 'ours').in(directory).must();
      instar('check', '-f', 'vhdx', 'ours').in(directory).must();
      qemuImg('check', '-f', 'vhdx', 'ours').in(directory).must();
      qemuImg('compare', '-f', 'vhdx', '-F', 'vhdx', 'ours', 'whole.vhdx').in(directory).must();
    }
  });

  it('vmdk is not repaired, and said to be so by the exit code of qemu-img', (context) => {
    requireJudge(context, QEMU_IMG);
    qemuImg('create', '-q', '-f', 'vmdk', 'a.vmdk', '10M').in(directory).must();
    const theirs = qemuImg('check', '-r', 'all', 'a.vmdk').in(directory).run();
    expect(instar('check', '-r', 'all', 'a.vmdk').in(directory).run().status).toBe(theirs.status);
  });
});
