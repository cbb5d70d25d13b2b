// Sequences of edits, done by this project to one image and by qemu-img to another that was the same: in the end both hold the
// same, say the same of themselves, and qemu-img finds nothing wrong with either.
import { copyFileSync } from 'node:fs';
import { applySnapshot, closePool, createSnapshot, deleteSnapshot, EngineError, resize } from '@instar/engine';
import { afterAll, expect, it } from 'vitest';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { Random } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

/** Sequences of a run; INSTAR_CASES=600 is a thorough one. */
const CASES = Number(process.env['INSTAR_CASES'] ?? 3);
const SEED = Number(process.env['INSTAR_SEED'] ?? 20261128);
const HOURS = 3_600_000;
const KIB = 1024;

afterAll(closePool);

/** An edit, as both do it. */
interface Step {
  readonly words: readonly string[];
  /** Undefined where qemu-io does it to both. */
  readonly ours: ((file: string) => Promise<unknown>) | undefined;
}

function randomOptions(random: Random): string[] {
  const cluster = random.pick([512, 1024, 2048, 4096, 16384, 65536]);
  const options = [`cluster_size=${cluster}`];
  if (random.chance(5)) options.push('compat=0.10');
  else {
    options.push(`refcount_bits=${random.pick([4, 8, 16, 32, 64])}`);
    if (cluster >= 16384 && random.chance(2)) options.push('extended_l2=on');
    if (random.chance(3)) options.push('compression_type=zstd');
  }
  return options;
}

function randomStep(random: Random, most: number): Step {
  const name = random.pick(['a', 'b', 'c']);
  switch (random.below(8)) {
    case 0:
    case 1:
      return { words: ['snapshot', '-c', name], ours: async (file) => createSnapshot(file, name) };
    case 2:
      return { words: ['snapshot', '-a', name], ours: async (file) => applySnapshot(file, name) };
    case 3:
      return { words: ['snapshot', '-d', name], ours: async (file) => deleteSnapshot(file, name) };
    case 4: {
      const size = random.between(1, most / 512) * 512;
      return {
        words: ['resize', '--shrink', '', String(size)],
        ours: async (file) => resize(file, size, { shrink: true }),
      };
    }
    default: {
      const offset = random.below(100) * 1000;
      const length = random.between(1, 60) * KIB;
      const command = random.pick([`write -P ${random.between(1, 255)}`, 'write -z', 'write -c -P 7', 'discard']);
      // Compressed clusters are written whole.
      const place = command.includes('-c') ? `${random.below(3) * 64}k 64k` : `${offset} ${length}`;
      return { words: ['io', `${command} ${place}`], ours: undefined };
    }
  }
}

/** A snapshot as qemu-img shows it. */
interface ShownSnapshot {
  readonly id: string;
  readonly name: string;
  readonly 'vm-state-size': number;
}

/** What qemu-img says of an image that both must agree in. */
function described(directory: Workdir, file: string): unknown {
  const text = qemuImg('info', '--output=json', file).in(directory).must().stdout;
  const { snapshots = [], ...rest } = JSON.parse(text) as Record<string, unknown> & { snapshots?: ShownSnapshot[] };
  const specific = rest['format-specific'];
  const named = snapshots.map(({ id, name, 'vm-state-size': state }) => ({ id, name, state }));
  return { size: rest['virtual-size'], named, specific };
}

/** What is wrong with ours, by the one that qemu-img has edited. */
function problemsOf(directory: Workdir): string[] {
  const problems: string[] = [];
  const { status, stdout, stderr } = qemuImg('check', 'ours').in(directory).run();
  // qemu-img's own may have leaks: its resize of images with compressed clusters leaves some.
  if (status !== 0) problems.push(`check: ${status ?? ''}: ${stdout}${stderr}`);
  const compared = qemuImg('compare', '-f', 'qcow2', '-F', 'qcow2', 'ours', 'theirs').in(directory).run();
  if (compared.status !== 0) problems.push(`compare: ${compared.stdout}${compared.stderr}`);
  const [ourSelf, theirSelf] = [described(directory, 'ours'), described(directory, 'theirs')];
  if (JSON.stringify(ourSelf) !== JSON.stringify(theirSelf)) {
    problems.push(`info: ${JSON.stringify(ourSelf)}, theirs ${JSON.stringify(theirSelf)}`);
  }
  for (const { id } of (ourSelf as { named: { id: string }[] }).named) {
    const [ours, others] = ['ours', 'theirs'].map((file) => {
      qemuImg('convert', '-l', `snapshot.id=${id}`, '-O', 'raw', file, `${file}.raw`).in(directory).run();
      return directory.read(`${file}.raw`);
    });
    if (ours !== undefined && others !== undefined && !ours.equals(others))
      problems.push(`snapshot ${id} holds something else`);
  }
  return problems;
}

it('random sequences of edits come to what qemu-img makes of them', { timeout: HOURS }, async (context) => {
  requireJudge(context, QEMU_IMG);
  const problems: string[] = [];
  let edits = 0;
  for (let sequence = 0; sequence < CASES; sequence += 1) {
    const random = new Random(SEED + sequence);
    const directory = workdir();
    const options = randomOptions(random).join();
    const size = random.between(1, 400) * 512;
    qemuImg('create', '-q', '-f', 'qcow2', '-o', options, 'theirs', String(size)).in(directory).must();
    copyFileSync(directory.file('theirs'), directory.file('ours'));
    const told = [`create -o ${options} ${size}`];
    for (let count = random.between(2, 12); count > 0; count -= 1) {
      const { words, ours } = randomStep(random, 300 * KIB);
      told.push(words.join(' '));
      if (ours === undefined) {
        for (const file of ['ours', 'theirs'])
          qemuIo(file, words[1] ?? '')
            .in(directory)
            .run();
        continue;
      }
      const line = words.includes('') ? words.map((word) => (word === '' ? 'theirs' : word)) : [...words, 'theirs'];
      const theirs = qemuImg(...line)
        .in(directory)
        .run();
      const error: unknown = await ours(directory.file('ours')).then(
        () => undefined,
        (caught: unknown) => caught,
      );
      if (error instanceof Error && !(error instanceof EngineError)) throw error;
      edits += 1;
      if ((error === undefined) !== (theirs.status === 0)) {
        problems.push(
          `${told.join('; ')}: ${error instanceof Error ? error.message : 'done'}, theirs: ${theirs.status ?? ''} ${theirs.stderr}`,
        );
        break;
      }
    }
    const found = problemsOf(directory);
    if (found.length > 0) problems.push(`sequence ${SEED + sequence}: ${told.join('; ')}: ${found.join('; ')}`);
    directory.remove();
  }
  expect(problems).toEqual([]);
  expect(edits).toBeGreaterThan(0);
});
