// What a rebase copies into an image, compressed: it reads as before, qemu-img counts its clusters, and finds nothing wrong.
import { expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { lines, noise, Random } from '../support/random.js';
import { workdir } from '../support/workdir.js';

const SEED = Number(process.env['INSTAR_SEED'] ?? 20261202);
const CASES = Number(process.env['INSTAR_CASES'] ?? 4);
const HOURS = 3_600_000;
const KIB = 1024;

interface Counts {
  readonly 'compressed-clusters'?: number;
  readonly 'allocated-clusters'?: number;
}

it.for([
  '',
  'cluster_size=512',
  'cluster_size=4k,refcount_bits=1',
  'cluster_size=4k,refcount_bits=2',
  'extended_l2=on',
  'compression_type=zstd',
  'compat=0.10,cluster_size=2k',
  'cluster_size=2M',
])('rebase -c of an image of %s', { timeout: HOURS }, (options, context) => {
  requireJudge(context, QEMU_IMG);
  const random = new Random(SEED);
  for (let number = 0; number < CASES; number += 1) {
    const directory = workdir();
    const base = Buffer.concat([
      lines(random.between(1, 900) * KIB),
      Buffer.alloc(random.between(0, 300) * KIB),
      noise(random.between(1, 200) * KIB),
      lines(random.between(1, 900) * 512),
    ]);
    directory.write('base', base);
    const chosen = options === '' ? [] : ['-o', options];
    qemuImg('create', '-q', '-f', 'qcow2', ...chosen, '-b', 'base', '-F', 'raw', 'ours')
      .in(directory)
      .must();
    const writes = Array.from({ length: random.below(4) }, () => {
      const [at, length] = [random.below(base.length / 512 - 40) * 512, random.between(1, 40) * 512];
      return random.pick([`write -P 5 ${at} ${length}`, `write -z ${at} ${length}`]);
    });
    if (writes.length > 0)
      qemuIo('ours', ...writes)
        .in(directory)
        .must();
    if (random.chance(3) && !options.includes('refcount_bits=1')) {
      qemuImg('snapshot', '-c', 'before', 'ours').in(directory).must();
    }
    for (const name of ['theirs', 'before']) directory.write(name, directory.read('ours'));
    const told = `number ${number} of seed ${SEED}: ${writes.join()}`;
    // With subclusters qemu-img 10.0.2 fails an assertion.
    const judged = qemuImg('rebase', '-f', 'qcow2', '-c', '-b', '', 'theirs').in(directory).run().status === 0;
    instar('rebase', '-f', 'qcow2', '-c', '-b', '', 'ours').in(directory).must();
    qemuImg('compare', 'ours', 'before').in(directory).must();
    const check = qemuImg('check', '--output=json', 'ours').in(directory).run();
    expect(check.status, `${told}: ${check.stdout}${check.stderr}`).toBe(0);
    const counts = JSON.parse(check.stdout) as Counts;
    const theirs = JSON.parse(qemuImg('check', '--output=json', 'theirs').in(directory).run().stdout) as Counts;
    if (judged) expect(counts['allocated-clusters'], told).toBe(theirs['allocated-clusters']);
    else expect(options).toContain('extended_l2');
    if (!options.includes('2M')) expect(counts['compressed-clusters'] ?? 0, told).toBeGreaterThan(0);
    // It takes less than it would uncompressed.
    directory.write('plain', directory.read('before'));
    instar('rebase', '-f', 'qcow2', '-b', '', 'plain').in(directory).must();
    expect(directory.read('ours').length, told).toBeLessThanOrEqual(directory.read('plain').length);
    // And it is written to afterwards, and its clusters go again.
    qemuIo('ours', `write -P 9 0 64k`).in(directory).must();
    instar('resize', '-q', '--shrink', 'ours', '64k').in(directory).run();
    qemuImg('check', 'ours').in(directory).must();
  }
});
