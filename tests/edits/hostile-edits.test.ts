// Images with bytes of their metadata changed at random, through every edit: nothing but the image is written, and where the edit
// is refused, the image is what it was.
import {
  amend,
  applySnapshot,
  closePool,
  createSnapshot,
  deleteSnapshot,
  editBitmap,
  EngineError,
  rebase,
  repair,
  resize,
  type OperationControl,
} from '@instar/engine';
import { afterAll, expect, it } from 'vitest';
import { DAMAGE } from '../support/damage.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise, Random } from '../support/random.js';
import { workdir } from '../support/workdir.js';
import { withSnapshots } from './fixtures.js';

/** Images of a run; INSTAR_CASES=5000 is a thorough one. */
const CASES = Number(process.env['INSTAR_CASES'] ?? 40);
const SEED = Number(process.env['INSTAR_SEED'] ?? 20261129);
const HOURS = 3_600_000;
const CLUSTER = 1024;

afterAll(closePool);

const CONTROL: OperationControl = { limits: { cpuMs: 20_000 } };
const EDITS: Readonly<Record<string, (file: string) => Promise<unknown>>> = {
  'snapshot -c': async (file) => createSnapshot(file, 'new', CONTROL),
  'snapshot -a': async (file) => applySnapshot(file, 'first', CONTROL),
  'snapshot -d': async (file) => deleteSnapshot(file, 'second', CONTROL),
  'resize +': async (file) => resize(file, 40_000_000n - (40_000_000n % 512n), CONTROL),
  'resize -': async (file) => resize(file, 100_352n, { shrink: true, ...CONTROL }),
  'check -r all': async (file) => repair(file, CONTROL),
  'check -r leaks': async (file) => repair(file, { leaksOnly: true, ...CONTROL }),
  'bitmap --add': async (file) => editBitmap(file, 'more', [{ action: 'add' }], CONTROL),
  'bitmap --merge': async (file) => editBitmap(file, 'b0', [{ action: 'merge', source: 'b1' }], CONTROL),
  'bitmap --remove': async (file) => editBitmap(file, 'b0', [{ action: 'remove' }], CONTROL),
  'amend refcount_bits': async (file) => amend(file, { refcountBits: 32 }, CONTROL),
  'amend compat': async (file) => amend(file, { version: 2 }, CONTROL),
  rebase: async (file) => rebase(file, undefined, CONTROL),
};

const OTHER_EDITS: Readonly<Record<string, (file: string, format: string) => Promise<unknown>>> = {
  'check -r all': async (file, format) => repair(file, { format, ...CONTROL }),
  'check -r leaks': async (file, format) => repair(file, { format, leaksOnly: true, ...CONTROL }),
  'resize +': async (file, format) => resize(file, 400 << 20, { format, ...CONTROL }),
};

/** Offsets of what an edit reads first: the header, the tables that it names, and what those name. */
function metadata(bytes: Buffer): number[] {
  const at = (offset: number): number => Number(bytes.readBigUInt64BE(offset) & 0x00ff_ffff_ffff_fe00n);
  const [l1, refcounts, snapshots] = [at(40), at(48), Number(bytes.readBigUInt64BE(64))];
  return [0, l1, at(l1), refcounts, at(refcounts), snapshots, Number(bytes.readBigUInt64BE(snapshots))];
}

it(
  'edits of hostile images write the image alone, and leave it where they refuse',
  { timeout: HOURS },
  async (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    withSnapshots(directory, `cluster_size=${CLUSTER}`);
    for (const name of ['b0', 'b1']) qemuImg('bitmap', '--add', directory.file('image'), name).must();
    const good = directory.read('image');
    const places = metadata(good);
    const before = directory.digests();
    const problems: string[] = [];
    let [refused, done] = [0, 0];
    for (let number = 0; number < CASES; number += 1) {
      const random = new Random(SEED + number);
      const image = Buffer.from(good);
      for (let changes = random.between(1, 4); changes > 0; changes -= 1) {
        const place = (places[random.below(places.length)] ?? 0) + random.below(random.pick([24, 112, CLUSTER]));
        image.writeUInt8(random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]), place);
      }
      directory.write('image', image);
      const [name, edit] = Object.entries(EDITS)[random.below(Object.keys(EDITS).length)] ?? [];
      if (name === undefined || edit === undefined) break;
      const error: unknown = await edit(directory.file('image')).then(
        () => undefined,
        (caught: unknown) => caught,
      );
      if (error === undefined) done += 1;
      else refused += 1;
      const told = `${SEED + number}, ${name}: ${error instanceof Error ? error.message : 'done'}`;
      if (error !== undefined && !(error instanceof EngineError)) problems.push(`${told}: not an error of the engine`);
      if (error instanceof EngineError && error.code === 'GUEST_FAILED') problems.push(`${told}: the guest failed`);
      if (error !== undefined && !directory.read('image').equals(image)) problems.push(`${told}: the image is another`);
      const { image: _, ...others } = directory.digests();
      const { image: __, ...same } = before;
      if (JSON.stringify(others) !== JSON.stringify(same))
        problems.push(`${told}: ${Object.keys(others).join()} changed`);
    }
    expect(problems).toEqual([]);
    expect(Math.min(refused, done)).toBeGreaterThan(0);
  },
);

it.for(['qed', 'parallels', 'vdi', 'vhdx', 'vmdk', 'vpc'])(
  'edits of hostile %s images write the image alone, and leave it where they refuse',
  { timeout: HOURS },
  async (format, context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    const random = new Random(SEED);
    directory.write('content', noise(2_500_000));
    const options = format === 'vhdx' ? ['-o', 'block_size=1M'] : [];
    const [content, made] = [directory.file('content'), directory.file('made')];
    qemuImg('convert', '-f', 'raw', '-O', format, ...options, content, made).must();
    const good = directory.read('made');
    const before = directory.digests();
    const problems: string[] = [];
    let [refused, done] = [0, 0];
    const places =
      format === 'vhdx' ? [64, 128, 192, 256, 1024, 2048, 3072].map((kib) => kib << 10) : [0, 0, 512, 65536];
    for (let number = 0; number < Math.max(12, CASES / 4); number += 1) {
      let image: Buffer = Buffer.from(good);
      if (random.chance(2)) image = DAMAGE[format]?.(random, image) ?? image;
      for (let changes = random.between(0, 3); changes > 0; changes -= 1) {
        const place = Math.min(
          random.pick(places as [number, ...number[]]) + random.below(random.pick([24, 112, 1024])),
          65_536 * 50,
        );
        if (place < image.length) image.writeUInt8(random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]), place);
      }
      directory.write('image', image);
      const [name, edit] = Object.entries(OTHER_EDITS)[random.below(Object.keys(OTHER_EDITS).length)] ?? [];
      if (name === undefined || edit === undefined) break;
      const error: unknown = await edit(directory.file('image'), format).then(
        () => undefined,
        (caught: unknown) => caught,
      );
      if (error === undefined) done += 1;
      else refused += 1;
      const told = `${number}, ${name}: ${error instanceof Error ? error.message : 'done'}`;
      if (error !== undefined && !(error instanceof EngineError)) problems.push(`${told}: not an error of the engine`);
      if (error instanceof EngineError && error.code === 'GUEST_FAILED') problems.push(`${told}: the guest failed`);
      if (error !== undefined && !directory.read('image').equals(image)) problems.push(`${told}: the image is another`);
      const { image: _, ...others } = directory.digests();
      if (JSON.stringify(others) !== JSON.stringify(before)) problems.push(`${told}: another file changed`);
    }
    expect(problems).toEqual([]);
    expect(Math.min(refused, done)).toBeGreaterThan(0);
  },
);
