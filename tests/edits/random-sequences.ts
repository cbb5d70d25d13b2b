// Sequences of edits, done by this project to one image and by qemu-img to another that was the same: in the end both hold the
// same, say the same of themselves, and qemu-img finds nothing wrong with ours.
import { cpSync } from 'node:fs';
import {
  amend,
  applySnapshot,
  commit,
  createSnapshot,
  deleteSnapshot,
  editBitmap,
  EngineError,
  rebase,
  repair,
  resize,
  type Amendment,
  type BitmapAction,
} from '@instar/engine';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { Random } from '../support/random.js';
import type { Workdir } from '../support/workdir.js';

const KIB = 1024;
const UNIT = 64 * KIB;
const [OURS, THEIRS] = ['ours', 'theirs'] as const;

/** An edit, as both do it. The image is called `image`. */
interface Step {
  /** The command line of qemu-img, or of qemu-io where `ours` is undefined: then that does it to both. */
  readonly words: readonly string[];
  readonly ours: ((file: string) => Promise<unknown>) | undefined;
}

/** What a sequence begins with. */
interface Ground {
  readonly options: readonly string[];
  /** Bytes of the disk. */
  readonly size: number;
  /** Images below it that it may stand over; none for an image that stands alone. */
  readonly below: readonly string[];
  readonly version2: boolean;
}

function randomGround(random: Random): Ground {
  const cluster = random.pick([512, 1024, 2048, 4096, 16384, 65536]);
  const options = [`cluster_size=${cluster}`];
  const below = random.chance(2) ? ['b0', 'b1'] : [];
  const version2 = below.length === 0 && random.chance(5);
  if (version2) options.push('compat=0.10');
  else {
    options.push(`refcount_bits=${random.pick([4, 8, 16, 32, 64])}`);
    if (cluster >= 16384 && random.chance(2)) options.push('extended_l2=on');
    if (random.chance(3)) options.push('compression_type=zstd');
  }
  const size = below.length === 0 ? random.between(1, 400) * 512 : random.between(1, 6) * UNIT;
  return { options, size, below, version2 };
}

function randomWrite(random: Random): Step {
  const command = random.pick([`write -P ${random.between(1, 255)}`, 'write -z', 'write -c -P 7', 'discard']);
  // Compressed clusters are written whole.
  const place = command.includes('-c')
    ? `${random.below(3) * 64}k 64k`
    : `${random.below(100) * 1000} ${random.between(1, 60) * KIB}`;
  return { words: [`${command} ${place}`], ours: undefined };
}

function bitmapStep(random: Random): Step {
  const name = random.pick(['x', 'y']);
  const action = random.pick<BitmapAction>([
    { action: 'add', granularity: random.pick([512, 4096, 65536]) },
    { action: 'add' },
    { action: 'remove' },
    { action: 'clear' },
    { action: 'enable' },
    { action: 'disable' },
    { action: 'merge', source: name === 'x' ? 'y' : 'x' },
  ]);
  const granularity =
    action.action === 'add' && action.granularity !== undefined ? ['-g', `${action.granularity}`] : [];
  const source = action.action === 'merge' ? [action.source] : [];
  const words = ['bitmap', `--${action.action}`, ...source, ...granularity, 'image', name];
  return { words, ours: async (file) => editBitmap(file, name, [action]) };
}

function amendStep(random: Random): Step {
  const [text, wish] = random.pick<readonly [string, Amendment]>([
    ['lazy_refcounts=on', { lazyRefcounts: true }],
    ['lazy_refcounts=off', { lazyRefcounts: false }],
    ['refcount_bits=8', { refcountBits: 8 }],
    ['refcount_bits=16', { refcountBits: 16 }],
    ['refcount_bits=64', { refcountBits: 64 }],
    ['compat=1.1', { version: 3 }],
  ]);
  return { words: ['amend', '-o', text, 'image'], ours: async (file) => amend(file, wish) };
}

function snapshotStep(random: Random): Step {
  const name = random.pick(['a', 'b', 'c']);
  return random.pick<Step>([
    { words: ['snapshot', '-c', name, 'image'], ours: async (file) => createSnapshot(file, name) },
    { words: ['snapshot', '-a', name, 'image'], ours: async (file) => applySnapshot(file, name) },
    { words: ['snapshot', '-d', name, 'image'], ours: async (file) => deleteSnapshot(file, name) },
  ]);
}

function chainStep(random: Random, below: readonly [string, ...string[]]): Step {
  const base = random.pick([...below, ''] as [string, ...string[]]);
  const backing = base === '' ? undefined : { file: base, format: 'qcow2' };
  const keep = random.chance(2);
  return random.pick<Step>([
    { words: ['commit', ...(keep ? ['-d'] : []), 'image'], ours: async (file) => commit(file, { keep }) },
    {
      words: ['rebase', '-b', base, '-F', 'qcow2', 'image'],
      ours: async (file) => rebase(file, backing),
    },
  ]);
}

function randomStep(random: Random, { below }: Ground): Step {
  const [first, ...rest] = below;
  switch (random.below(10)) {
    case 0:
    case 1:
    case 2:
      return snapshotStep(random);
    case 3: {
      const size = first === undefined ? random.between(1, 600) * 512 : random.between(1, 8) * UNIT;
      const words = ['resize', '--shrink', 'image', String(size)];
      return { words, ours: async (file) => resize(file, size, { shrink: true }) };
    }
    case 4:
      return bitmapStep(random);
    case 5:
      return random.chance(3)
        ? // There is nothing to repair. qemu-img 10.0.2 loses the snapshots of images that have bitmaps when it repairs them.
          { words: ['info', 'image'], ours: async (file) => repair(file) }
        : amendStep(random);
    case 6:
    case 7:
      return first === undefined ? randomWrite(random) : chainStep(random, [first, ...rest]);
    default:
      return randomWrite(random);
  }
}

/** A snapshot as qemu-img shows it. */
interface ShownSnapshot {
  readonly id: string;
  readonly name: string;
  readonly 'vm-state-size': number;
}

/** What qemu-img says of an image that both must agree in. */
function described(directory: Workdir, side: string): { readonly named: readonly ShownSnapshot[] } {
  const text = qemuImg('info', '--output=json', `${side}/image`).in(directory).must().stdout;
  const { snapshots = [], ...rest } = JSON.parse(text) as Record<string, unknown> & { snapshots?: ShownSnapshot[] };
  const named = snapshots.map(({ id, name, 'vm-state-size': state }) => ({ id, name, 'vm-state-size': state }));
  const { 'virtual-size': size, 'format-specific': specific, 'backing-filename': backing } = rest;
  return { named, ...{ size, specific, backing } };
}

/** What is wrong with ours, by the one that qemu-img has edited. */
function problemsOf(directory: Workdir, { below }: Ground): string[] {
  const problems: string[] = [];
  for (const file of ['image', ...below]) {
    const [ours, theirs] = [OURS, THEIRS].map((side) => `${side}/${file}`) as [string, string];
    // qemu-img's own may have leaks: its resize of images with compressed clusters leaves some.
    const { status, stdout, stderr } = qemuImg('check', ours).in(directory).run();
    if (status !== 0) problems.push(`check of ${file}: ${status ?? ''}: ${stdout}${stderr}`);
    const compared = qemuImg('compare', '-f', 'qcow2', '-F', 'qcow2', ours, theirs).in(directory).run();
    if (compared.status !== 0) problems.push(`compare of ${file}: ${compared.stdout}${compared.stderr}`);
  }
  const [ourSelf, theirSelf] = [described(directory, OURS), described(directory, THEIRS)];
  if (JSON.stringify(ourSelf) !== JSON.stringify(theirSelf)) {
    problems.push(`info: ${JSON.stringify(ourSelf)}, theirs ${JSON.stringify(theirSelf)}`);
  }
  for (const { id } of ourSelf.named) {
    const [ours, theirs] = [OURS, THEIRS].map((side) => {
      const words = ['convert', '-l', `snapshot.id=${id}`, '-O', 'raw', `${side}/image`, `${side}.raw`];
      return qemuImg(...words)
        .in(directory)
        .run().status === 0
        ? directory.read(`${side}.raw`)
        : undefined;
    });
    if (ours === undefined || theirs === undefined ? ours !== theirs : !ours.equals(theirs)) {
      problems.push(`snapshot ${id} holds something else`);
    }
  }
  return problems;
}

/** Makes the images of one side; the other is a copy. */
function lay(directory: Workdir, random: Random, ground: Ground): void {
  directory.write(`${THEIRS}/.keep`, '');
  const within = `${directory.path}/${THEIRS}`;
  for (const name of ground.below) {
    const bytes = random.between(1, 8) * UNIT;
    qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', name, String(bytes)).in(within).must();
    qemuIo(name, `write -P ${random.between(1, 255)} 0 ${random.between(1, bytes / KIB)}k`)
      .in(within)
      .must();
  }
  const [first] = ground.below;
  const backing = first === undefined ? [] : ['-b', first, '-F', 'qcow2'];
  const words = ['-o', ground.options.join(), ...backing, 'image', String(ground.size)];
  qemuImg('create', '-q', '-f', 'qcow2', ...words)
    .in(within)
    .must();
  cpSync(within, `${directory.path}/${OURS}`, { recursive: true });
}

/**
 * Has qemu-io write to both images. Where a compressed cluster is to replace one, it fails at one that differs from run to run: then
 * both stay as they were.
 */
function writeOnBoth(directory: Workdir, command: string): void {
  const images = [OURS, THEIRS].map((side) => `${side}/image`);
  const before = images.map((image) => directory.read(image));
  const wrote = [OURS, THEIRS].map((side) => qemuIo('image', command).in(`${directory.path}/${side}`).run());
  if (wrote.every(({ status }) => status === 0)) return;
  images.forEach((image, index) => directory.write(image, before[index] ?? ''));
}

/** What went wrong in one sequence, and how many edits it had. The directory is removed behind the last one. */
export async function runSequence(
  directory: Workdir,
  seed: number,
): Promise<{ readonly problems: readonly string[]; readonly edits: number }> {
  const random = new Random(seed);
  const ground = randomGround(random);
  lay(directory, random, ground);
  const told = [`sequence ${seed}: create -o ${ground.options.join()} ${ground.size} over ${ground.below.join()}`];
  let edits = 0;
  for (let count = random.between(2, 12); count > 0; count -= 1) {
    const { words, ours } = randomStep(random, ground);
    told.push(words.join(' '));
    if (ours === undefined) {
      writeOnBoth(directory, words.join(' '));
      continue;
    }
    const theirs = qemuImg(...words)
      .in(`${directory.path}/${THEIRS}`)
      .run();
    const error: unknown = await ours(directory.file(`${OURS}/image`)).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    if (error instanceof Error && !(error instanceof EngineError)) throw error;
    edits += 1;
    if ((error === undefined) !== (theirs.status === 0)) {
      const told2 = `${error instanceof Error ? error.message : 'done'}, theirs: ${theirs.status ?? ''} ${theirs.stderr}`;
      return { problems: [`${told.join('; ')}: ${told2}`], edits };
    }
  }
  const found = problemsOf(directory, ground);
  directory.remove();
  return { problems: found.length === 0 ? [] : [`${told.join('; ')}: ${found.join('; ')}`], edits };
}
