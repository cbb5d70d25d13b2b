// Files that hold two disks as they are are compared by the host: which clusters a rebase keeps, and what `compare` says, beside qemu-img.
import { expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { noise, Random } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const SEED = Number(process.env['INSTAR_SEED'] ?? 20261129);
const CASES = Number(process.env['INSTAR_CASES'] ?? 6);
const HOURS = 3_600_000;
const KIB = 1024;
const SECTOR = 512;

/** A disk, and one that differs from it in a few places: bits, sectors and runs, with zeros in the one, the other or both. */
function twoDisks(random: Random): readonly [Buffer, Buffer] {
  const length = random.between(200, 20_000) * SECTOR;
  const one = noise(length);
  for (let count = random.below(4); count > 0; count -= 1) {
    const at = random.below(length);
    one.fill(0, at, Math.min(length, at + random.between(1, 600 * KIB)));
  }
  const two = Buffer.from(one);
  for (let count = random.below(12); count > 0; count -= 1) {
    const at = random.below(length);
    const end = Math.min(length, at + random.pick([1, 511, 512, 4096, 64 * KIB, 300 * KIB]));
    const change = random.pick([
      { in: two, with: 0 },
      { in: two, with: 7 },
      { in: one, with: 0 },
    ]);
    change.in.fill(change.with, at, end);
  }
  return [one, random.chance(3) ? two.subarray(0, random.below(length / SECTOR) * SECTOR) : two];
}

function write(directory: Workdir, name: string, format: string, disk: Buffer): void {
  directory.write(`${name}.raw`, disk);
  if (format !== 'raw') qemuImg('convert', '-O', format, `${name}.raw`, `${name}.${format}`).in(directory).must();
}

it.for<readonly [string, string, string]>([
  ['raw', 'raw', ''],
  ['raw', 'qcow2', 'cluster_size=4k'],
  ['qcow2', 'raw', 'extended_l2=on'],
  ['qcow2', 'vmdk', 'cluster_size=512'],
  ['vhdx', 'vdi', 'cluster_size=2M'],
])('over %s, %s, with %s', { timeout: HOURS }, ([format, other, options], context) => {
  requireJudge(context, QEMU_IMG);
  const random = new Random(SEED);
  for (let number = 0; number < CASES; number += 1) {
    const directory = workdir();
    const [one, two] = twoDisks(random);
    write(directory, 'old', format, one);
    write(directory, 'new', other, two);
    const told = `number ${number} of seed ${SEED}`;

    for (const flags of format === other ? [[], ['-s']] : [[]]) {
      const files = ['-f', format, '-F', other, `old.${format}`, `new.${other}`];
      const judged = qemuImg('compare', ...flags, ...files)
        .in(directory)
        .run();
      const said = instar('compare', ...flags, ...files)
        .in(directory)
        .run();
      expect([said.status, said.stdout], told).toEqual([judged.status, judged.stdout]);
    }

    const chosen = options === '' ? [] : ['-o', options];
    qemuImg('create', '-q', '-f', 'qcow2', ...chosen, '-b', `old.${format}`, '-F', format, 'ours')
      .in(directory)
      .must();
    const writes = Array.from({ length: random.below(4) }, () => {
      const at = random.below(one.length / SECTOR - 150) * SECTOR;
      return `${random.pick(['write -P 5', 'write -z'])} ${at} ${random.between(1, 150) * SECTOR}`;
    });
    if (writes.length > 0)
      qemuIo('ours', ...writes)
        .in(directory)
        .must();
    for (const name of ['theirs', 'before']) directory.write(name, directory.read('ours'));
    const rebase = ['rebase', '-f', 'qcow2', '-b', `new.${other}`, '-F', other];
    qemuImg(...rebase, 'theirs')
      .in(directory)
      .must();
    instar(...rebase, 'ours')
      .in(directory)
      .must();
    qemuImg('compare', 'ours', 'before').in(directory).must();
    const counts = (file: string) => {
      const checked = qemuImg('check', '--output=json', file).in(directory).run();
      expect(checked.status, `${told}: ${checked.stdout}`).toBe(0);
      return (JSON.parse(checked.stdout) as { readonly 'allocated-clusters'?: number })['allocated-clusters'] ?? 0;
    };
    // What is zeros there takes no cluster here.
    expect(counts('ours'), told).toBeLessThanOrEqual(counts('theirs'));
  }
});
