// Holes of inputs, and outputs that need not hold zeros. qemu-img says whether the bytes are right, strace what was read.
import { closeSync, ftruncateSync, linkSync, openSync, statSync, writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge, STRACE } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise, Random } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const MIB = 1 << 20;
const CLUSTER = 65536;
const SANDBOXES = ['kvm', 'process'] as const;
const SEED = Number(process.env['INSTAR_SEED'] ?? 7);

/** A file of holes with some data in it; the same disk, written in full, is `<name>.dense`. */
function sparseFile(
  directory: Workdir,
  name: string,
  length: number,
  data: readonly [at: number, bytes: Buffer][],
): void {
  const file = openSync(directory.file(name), 'wx');
  ftruncateSync(file, length);
  const dense = Buffer.alloc(length);
  for (const [at, bytes] of data) {
    const written = bytes.subarray(0, length - at);
    writeSync(file, written, 0, written.length, at);
    written.copy(dense, at);
  }
  closeSync(file);
  directory.write(`${name}.dense`, dense);
}

function randomData(random: Random, length: number): [at: number, bytes: Buffer][] {
  return Array.from({ length: random.between(1, 12) }, () => [
    random.below(length),
    random.chance(4) ? Buffer.alloc(random.between(1, 200_000)) : noise(random.between(1, 300_000), random.below(1000)),
  ]);
}

describe.each(SANDBOXES)('holes of a raw input under %s', (sandbox) => {
  it.for([['conv=sparse'], []] as const)('are never read (%j)', (extra, context) => {
    requireJudge(context, STRACE);
    const directory = workdir();
    sparseFile(directory, 'in.raw', 64 * MIB, [[40 * MIB, noise(100_000)]]);
    const trace = `${directory.path}.strace`;
    instar('dd', `--sandbox=${sandbox}`, '-f', 'raw', 'if=in.raw', 'of=out.raw', 'bs=1M', ...extra)
      .under('strace', '-f', '-qq', '-y', '-e', 'trace=pread64,copy_file_range,sendfile', '-o', trace)
      .in(directory)
      .must();
    const calls = directory
      .readOutside(trace)
      .split('\n')
      .filter((line) => line.includes('in.raw>'));
    const bytes = calls.map((line) => Number(/= (\d+)$/.exec(line)?.[1] ?? 0)).reduce((sum, count) => sum + count, 0);
    expect(bytes).toBeGreaterThanOrEqual(100_000);
    expect(bytes).toBeLessThan(MIB);
    expect(directory.read('out.raw').equals(directory.read('in.raw.dense'))).toBe(true);
  });
});

describe.each(SANDBOXES)('plain bytes under %s', (sandbox) => {
  it.for([
    ['auto', true],
    ['never', false],
  ] as const)('are copied by the kernel with --reflink %s: %s', ([reflink, copied], context) => {
    requireJudge(context, STRACE);
    const directory = workdir().write('in.raw', noise(3 * MIB));
    const trace = `${directory.path}.strace`;
    instar('convert', `--sandbox=${sandbox}`, '-f', 'raw', '-S', '0', '--reflink', reflink, 'in.raw', 'out.raw')
      .under('strace', '-f', '-qq', '-e', 'trace=copy_file_range,ioctl', '-o', trace)
      .in(directory)
      .must();
    const calls = directory.readOutside(trace).split('\n');
    expect(calls.some((line) => /copy_file_range.*\) += [1-9]/.test(line))).toBe(copied);
    expect(calls.some((line) => line.includes('FICLONE'))).toBe(false);
    expect(directory.read('out.raw').equals(directory.read('in.raw'))).toBe(true);
  });
});

describe.each(SANDBOXES)('conv=sparse under %s', (sandbox) => {
  it('makes outputs of any file with holes that hold the same disk, and no room for zeros', (context) => {
    requireJudge(context, QEMU_IMG);
    const random = new Random(SEED);
    for (let round = 0; round < 4; round += 1) {
      const directory = workdir();
      const length = random.between(1, 4000) * 512 + random.pick([0, 0, 100]) + random.pick([0, 30 * MIB]);
      sparseFile(directory, 'in.raw', length, randomData(random, length));
      const window = random.pick([['bs=4k'], ['bs=4617', 'skip=3'], ['bs=64k', 'count=20', 'skip=1']]);
      for (const format of ['raw', 'qcow2']) {
        const tokens = ['-f', 'raw', '-O', format, 'if=in.raw', 'of=out', 'conv=sparse', ...window];
        instar('dd', `--sandbox=${sandbox}`, ...tokens)
          .in(directory)
          .must();
        qemuImg('dd', '-f', 'raw', '-O', 'raw', 'if=in.raw.dense', 'of=theirs', ...window)
          .in(directory)
          .must();
        qemuImg('compare', '-q', '-f', format, '-F', 'raw', 'out', 'theirs').in(directory).must();
        if (format === 'qcow2') qemuImg('check', '-q', 'out').in(directory).must();
        qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-S', '4k', 'theirs', 'thin').in(directory).must();
        // A page at each end of a run of data, where ours does not begin at the file system's own grain.
        expect(statSync(directory.file('out')).blocks * 512).toBeLessThanOrEqual(
          statSync(directory.file('thin')).size + 4 * CLUSTER,
        );
        for (const name of ['out', 'theirs', 'thin']) directory.delete(name);
      }
    }
  });

  it('leaves out the clusters of a qcow2 output that would only hold zeros', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    qemuImg('create', '-q', '-f', 'qcow2', 'in.qcow2', '3T').in(directory).must();
    instar('dd', `--sandbox=${sandbox}`, '-O', 'qcow2', 'if=in.qcow2', 'of=out', 'conv=sparse', 'bs=1M')
      .in(directory)
      .must();
    qemuImg('check', '-q', 'out').in(directory).must();
    qemuImg('compare', '-q', 'in.qcow2', 'out').in(directory).must();
    expect(statSync(directory.file('out')).size).toBeLessThan(MIB);
  });

  it('writes a whole qcow2 into a file that must be written in place', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('out', noise(8 * MIB, 3));
    linkSync(directory.file('out'), directory.file('other-name'));
    sparseFile(directory, 'in.raw', 4 * MIB, [[MIB, noise(1000)]]);
    instar('dd', `--sandbox=${sandbox}`, '-f', 'raw', '-O', 'qcow2', 'if=in.raw', 'of=out', 'conv=sparse')
      .in(directory)
      .must();
    qemuImg('check', '-q', 'out').in(directory).must();
    qemuImg('compare', '-q', '-f', 'qcow2', '-F', 'raw', 'out', 'in.raw.dense').in(directory).must();
    expect(statSync(directory.file('out')).ino).toBe(statSync(directory.file('other-name')).ino);
  });
});
