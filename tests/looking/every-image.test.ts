import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { instar, type Finished } from '../support/command.js';
import { QEMU_IMG, judgeVersion, requireJudge, skipLoudly } from '../support/judge.js';
import { qemuImg, qemuMajorVersion } from '../support/qemu-img.js';
import { randomImage, type RandomImage } from '../support/random-images.js';
import { Random } from '../support/random.js';
import { Workdir } from '../support/workdir.js';
import { ZOO } from '../support/zoo.js';

/** Another seed makes other images; INSTAR_LOOK_IMAGES makes more of them. */
const SEED = Number(process.env['INSTAR_SEED'] ?? 20_261_126);
const IMAGES = Number(process.env['INSTAR_LOOK_IMAGES'] ?? 25);

/** Images of the zoo that qemu-img describes otherwise, and why. One that stops to differ fails as well. */
const VHDX = 'qemu-img takes all of a vhdx for data, and says no place';
const FILE_HOLES = 'qemu-img looks for holes of the file where it takes the image for preallocated';
const KNOWN_DIFFERENCES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  map: {
    'extended-l2.qcow2': 'qemu-img gives an offset to subclusters that are not allocated',
    'data-file.qcow2': 'qemu-img gives an offset to zero clusters that keep their place',
    'cut.qcow2': 'qemu-img gives an offset behind the end of the file',
    'zeros.qcow2': 'qemu-img gives an offset to zero clusters that keep their place',
    'extended-holes.qcow2': 'qemu-img gives an offset to subclusters that are not allocated',
    'preallocated.qcow2': FILE_HOLES,
    'snapshots.qcow2': FILE_HOLES,
    'bitmaps.qcow2': FILE_HOLES,
    'dynamic.vhdx': VHDX,
    'small-blocks.vhdx': VHDX,
    'fixed.vhdx': VHDX,
  },
  measure: { 'preallocated.qcow2': FILE_HOLES },
};

interface Extent {
  readonly start: number;
  readonly length: number;
  readonly depth: number;
  readonly present: boolean;
  readonly zero: boolean;
  readonly data: boolean;
  readonly compressed: boolean;
  readonly offset?: number;
}

/**
 * A map without the two known differences: qemu-img gives an offset to zeros that keep their place, and looks for holes of
 * the file where it takes the image for preallocated, which it then calls zeros that are data.
 */
function withoutKnownDifferences(stdout: string): readonly Extent[] {
  const merged: Extent[] = [];
  for (const { offset, ...extent } of JSON.parse(stdout) as readonly Extent[]) {
    const place = offset === undefined || !extent.data ? {} : { offset };
    const next = { ...extent, zero: extent.zero && !extent.data, ...place };
    const last = merged.at(-1);
    const continues =
      last !== undefined &&
      (['depth', 'present', 'zero', 'data', 'compressed'] as const).every((name) => last[name] === next[name]) &&
      (last.offset === undefined ? next.offset === undefined : last.offset + last.length === next.offset);
    if (continues) merged[merged.length - 1] = { ...last, length: last.length + next.length };
    else merged.push(next);
  }
  return merged;
}

/** What a program says, where nobody but its error messages names the program. */
function said({ status, stdout }: Finished): object {
  return { status, stdout };
}

/** Versions before 8.2 do not say what is compressed. */
const tellsCompressed = qemuMajorVersion() >= 9;

describe.each(['zoo', 'random'] as const)('images of the %s', (kind) => {
  let directory: Workdir;
  /** Images that are mapped as theirs but for the known differences. */
  const differing = new Set<string>();
  let images: readonly { readonly file: string; readonly format: string }[] = [];

  beforeAll(() => {
    directory = new Workdir();
    if (judgeVersion(QEMU_IMG) === undefined) return;
    if (kind === 'zoo') {
      for (const image of ZOO) image.build(directory);
      images = ZOO;
    } else {
      const random = new Random(SEED);
      images = Array.from({ length: IMAGES }, (_, index): RandomImage =>
        randomImage(random, directory, `random-${index}`),
      );
    }
  });

  afterAll(() => {
    directory.remove();
  });

  function disagreements(
    commands: (image: { readonly file: string; readonly format: string }) => readonly (readonly string[])[],
  ): readonly string[] {
    const found: string[] = [];
    for (const image of images) {
      for (const tokens of commands(image)) {
        const theirs = qemuImg(...tokens)
          .in(directory)
          .run();
        const [name = '', ...rest] = tokens;
        const ours = instar(name, '--allow-path', '.', ...rest)
          .in(directory)
          .run();
        const same = JSON.stringify(said(ours)) === JSON.stringify(said(theirs));
        if (kind === 'random' && name === 'map' && tokens.includes('--output=json') && !same) {
          const [mine, judged] = [ours, theirs].map(({ stdout }) => JSON.stringify(withoutKnownDifferences(stdout)));
          if (mine === judged) {
            differing.add(image.file);
            continue;
          }
        }
        if (kind === 'random' && name !== 'compare' && differing.has(image.file)) continue;
        const known = kind === 'zoo' && KNOWN_DIFFERENCES[name]?.[image.file] !== undefined;
        if (known && same) found.push(`${tokens.join(' ')}: differs no longer`);
        if (!same && !known)
          found.push(
            `${tokens.join(' ')}\nours ${ours.status}: ${ours.stdout}${ours.stderr}\ntheirs ${theirs.status}: ${theirs.stdout}`,
          );
      }
    }
    return found;
  }

  it('are mapped as qemu-img map maps them', (context) => {
    requireJudge(context, QEMU_IMG);
    if (!tellsCompressed) skipLoudly(context, 'this qemu-img does not say what is compressed');
    expect(
      disagreements(({ file, format }) => [
        ['map', '-f', format, '--output=json', file],
        // Without the offsets that are the known differences.
        ...(KNOWN_DIFFERENCES['map']?.[file] === undefined
          ? [['map', '-f', format, '--start-offset=70000', '--max-length=300001', file]]
          : []),
      ]),
    ).toEqual([]);
  });

  it('are measured as qemu-img measure measures them', (context) => {
    requireJudge(context, QEMU_IMG);
    const targets = [
      ['-O', 'raw'],
      ['-O', 'qcow2'],
      ['-O', 'qcow2', '-o', 'cluster_size=512,refcount_bits=1'],
      ['-O', 'qcow2', '-o', 'extended_l2=on,cluster_size=2M'],
    ];
    let turn = 0;
    expect(
      disagreements(({ file, format }) => {
        const known = KNOWN_DIFFERENCES['measure']?.[file] !== undefined;
        const target = targets[known ? 1 : turn % targets.length] ?? [];
        turn += 1;
        return [['measure', '--output=json', '-f', format, ...target, file]];
      }),
    ).toEqual([]);
  });

  it('are compared as qemu-img compare compares them', (context) => {
    requireJudge(context, QEMU_IMG);
    const [first, second] = images;
    expect(
      disagreements(({ file, format }) => [
        ...[file.length % 2 === 0 ? first : second].flatMap((other) =>
          other === undefined ? [] : [['compare', '-f', format, '-F', other.format, file, other.file]],
        ),
        ['compare', '-s', '-f', format, '-F', format, file, file],
      ]),
    ).toEqual([]);
  });

  it('are told apart by one byte in the last sector, and are the same as their copies', (context) => {
    requireJudge(context, QEMU_IMG);
    for (const { file, format } of images.slice(0, 12)) {
      qemuImg('convert', '-f', format, '-O', 'raw', file, 'copy.raw').in(directory).must();
      const compare = instar('compare', '--allow-path', '.', '-f', format, '-F', 'raw', file, 'copy.raw').in(directory);
      expect(compare.run(), file).toMatchObject({ status: 0, stdout: 'Images are identical.\n' });
      const copy = directory.read('copy.raw');
      if (copy.length === 0) continue;
      copy[copy.length - 1] = (copy[copy.length - 1] ?? 0) ^ 1;
      directory.write('copy.raw', copy);
      const judged = qemuImg('compare', '-f', format, '-F', 'raw', file, 'copy.raw').in(directory).run();
      expect(judged.status).toBe(1);
      expect(compare.run(), file).toMatchObject(said(judged));
    }
  });
});
