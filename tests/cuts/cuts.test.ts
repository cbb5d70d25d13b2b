import { copyFileSync, truncateSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { checkSafety } from '@instar/engine';
import { QEMU_IMG, requireJudge, skipLoudly } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { Random, lines, noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { ZOO } from '../support/zoo.js';
import { edges } from './edges.js';

/** Cuts of a run; INSTAR_CASES takes more. */
const CUTS = Number(process.env['INSTAR_CASES'] ?? 60);
const SEED = Number(process.env['INSTAR_SEED'] ?? 300);
const MIB = 1024 * 1024;

/** Images that are not whole to begin with. */
const NOT_WHOLE = new Set(['dirty.qcow2', 'corrupt.qcow2', 'cut.qcow2', 'odd-size.qcow2', 'over-undeclared.qcow2']);
const IMAGES = ZOO.filter(({ file, format }) => format === 'qcow2' && !NOT_WHOLE.has(file) && !file.includes('/'));

async function withinFile(directory: Workdir, file: string): Promise<string | undefined> {
  const { safe, checks } = await checkSafety(directory.file(file), { format: 'qcow2' });
  const status = checks.find(({ name }) => name === 'within-file')?.status;
  // An overlay is not safe whatever its length; of it the one check is asked.
  return safe ? 'pass' : status;
}

interface Described {
  readonly snapshots?: readonly { readonly name: string }[];
  readonly 'format-specific'?: { readonly data?: { readonly bitmaps?: unknown } };
}

/** Why bytes that were cut off were in use, as qemu-img sees it; undefined when they were not. */
function missing(directory: Workdir, whole: string, cut: string): string | undefined {
  const check = qemuImg('check', '-f', 'qcow2', cut).in(directory).run();
  if (check.status !== 0) return `check: ${check.stdout}${check.stderr}`;
  const compare = qemuImg('compare', '-f', 'qcow2', '-F', 'qcow2', whole, cut).in(directory).run();
  if (compare.status !== 0) return `compare: ${compare.stdout}${compare.stderr}`;
  const [of, about] = [whole, cut].map(
    (file) =>
      JSON.parse(qemuImg('info', '-f', 'qcow2', '--output=json', file).in(directory).must().stdout) as Described,
  );
  const bitmaps = [of, about].map((described) => JSON.stringify(described?.['format-specific']?.data?.bitmaps));
  if (bitmaps[0] !== bitmaps[1]) return 'the bitmaps';
  for (const { name } of of?.snapshots ?? []) {
    for (const file of [whole, cut]) {
      const raw = `${file}.state`;
      const read = qemuImg('convert', '-l', `snapshot.name=${name}`, '-O', 'raw', file, raw).in(directory).run();
      if (read.status !== 0) return `the snapshot ${name}: ${read.stderr}`;
    }
    if (!directory.read(`${whole}.state`).equals(directory.read(`${cut}.state`))) return `the snapshot ${name}`;
  }
  return undefined;
}

describe('an image that is cut', () => {
  it(`is never vouched for where bytes are missing that were in use (${CUTS} cuts)`, async (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    const random = new Random(SEED);
    const places = IMAGES.map(({ file, build }) => {
      build(directory);
      return { file, length: directory.read(file).length, edges: edges(directory, file) };
    });
    const alarms: string[] = [];
    for (const { file } of places) {
      const status = await withinFile(directory, file);
      if (status !== 'pass') alarms.push(`${file} as a whole: ${String(status)}`);
    }
    const wrong: string[] = [];
    let refused = 0;
    for (let index = 0; index < CUTS; index += 1) {
      const place = places[index % places.length];
      if (place === undefined) break;
      const edge = place.edges[random.below(place.edges.length)] ?? 1;
      const choices = [edge, edge - 1, edge + 1, random.between(1, place.length - 1)] as const;
      const length = Math.min(random.pick(choices), place.length - 1);
      copyFileSync(directory.file(place.file), directory.file('cut'));
      truncateSync(directory.file('cut'), length);
      if ((await withinFile(directory, 'cut')) !== 'pass') {
        refused += 1;
        continue;
      }
      const problem = missing(directory, place.file, 'cut');
      if (problem !== undefined) wrong.push(`${place.file} of ${place.length} bytes cut to ${length}: ${problem}`);
    }
    expect({ wrong, alarms }).toEqual({ wrong: [], alarms: [] });
    // Most cuts take something that was needed.
    expect(refused).toBeGreaterThan(CUTS / 2);
  });
});

describe('a packed file', () => {
  const PACKERS: readonly (readonly [name: string, program: string, args: readonly string[]])[] = [
    ['gzip', 'gzip', ['-c', 'disk']],
    ['xz', 'xz', ['-c', 'disk']],
    ['zstd', 'zstd', ['-qc', 'disk']],
    ['bzip2', 'bzip2', ['-c', 'disk']],
    ['zip', 'zip', ['-q', '-', 'disk']],
    ['lz4', 'lz4', ['-qc', 'disk']],
    ['tar', 'tar', ['-cf', '-', 'disk']],
  ];
  it.for(PACKERS)('by %s is never safe without a declared format', async ([name, packer, args], context) => {
    const directory = workdir();
    directory.write('disk', Buffer.concat([lines(MIB, 31), noise(MIB, 32)]));
    const packed = spawnSync(packer, args, { cwd: directory.path, maxBuffer: 64 * MIB });
    if (packed.error !== undefined)
      skipLoudly(context, `${packer} is not installed (Debian: apt-get install ${name === 'xz' ? 'xz-utils' : name})`);
    expect(packed.status).toBe(0);
    directory.write('packed', packed.stdout);
    expect((await checkSafety(directory.file('packed'))).safe).toBe(false);
    expect((await checkSafety(directory.file('packed'), { format: 'raw' })).safe).toBe(true);
  });
});
