import type { Sandbox } from '@instar/engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { ddInProcess } from '../support/in-process.js';
import { QEMU_IMG, judgeVersion, requireJudge } from '../support/judge.js';
import { ourOutcome, outcomeOf, qcow2Differences } from '../support/outcome.js';
import { qemuImgDd } from '../support/qemu-img.js';
import { randomImage, type RandomImage } from '../support/random-images.js';
import { Random } from '../support/random.js';
import { Workdir } from '../support/workdir.js';

/** Another seed makes other images and cases; INSTAR_DIFF_CASES makes more of them. */
const SEED = Number(process.env['INSTAR_SEED'] ?? 20_260_403);
const CASES = Number(process.env['INSTAR_DIFF_CASES'] ?? 300);
const IMAGES = 60;
const GROUP = 50;
/** qemu-img takes some 0.2 ms for a block. */
const MOST_BLOCKS = 400;

interface Case {
  readonly number: number;
  readonly image: RandomImage;
  readonly outputFormat: 'raw' | 'qcow2';
  readonly sandbox: Sandbox;
  /** Everything but if=, of= and -O. */
  readonly tokens: readonly string[];
}

function randomCount(random: Random, size: number, bs: number): string | undefined {
  const blocks = Math.floor(size / bs);
  switch (random.below(8)) {
    case 0:
      return '0';
    case 1:
      return random.pick(['9223372036854775807', '1E', '100000000000']);
    case 2:
    case 3:
      return String(blocks + random.between(0, 2));
    case 4:
    case 5:
      return String(random.below(Math.max(blocks, 1)));
    default:
      return undefined;
  }
}

function randomSkip(random: Random, end: number, bs: number): string | undefined {
  const blocks = Math.floor(end / bs);
  switch (random.below(8)) {
    case 0:
      return '9223372036854775807';
    case 1:
      return String(blocks + random.between(0, 2));
    case 2:
    case 3:
    case 4:
      return String(random.below(Math.max(blocks, 1)));
    case 5:
      return random.chance(2) ? '1' : '0x1';
    default:
      return undefined;
  }
}

function randomCase(random: Random, number: number, images: readonly [RandomImage, ...RandomImage[]]): Case {
  const image = random.pick(images);
  const smallest = Math.max(1, Math.ceil(image.size / MOST_BLOCKS));
  const bs = random.pick([
    Math.max(512, smallest),
    Math.max(4096, smallest),
    65_536,
    1_048_576,
    smallest,
    random.between(smallest, smallest + 5000),
    random.between(smallest, Math.max(smallest, image.size) + 1),
  ]);
  const count = randomCount(random, image.size, bs);
  const counted = count === undefined || count.length > 9 || count.endsWith('E') ? Infinity : Number(count) * bs;
  const skip = randomSkip(random, Math.min(image.size, counted), bs);
  const forced = image.format === 'raw' || random.chance(2) ? ['-f', image.format] : [];
  return {
    number,
    image,
    outputFormat: random.pick(['raw', 'qcow2']),
    sandbox: number % 2 === 0 ? 'kvm' : 'process',
    tokens: [
      ...forced,
      `bs=${bs % 1024 === 0 && random.chance(2) ? `${bs / 1024}k` : bs}`,
      ...(count === undefined ? [] : [`count=${count}`]),
      ...(skip === undefined ? [] : [`skip=${skip}`]),
    ],
  };
}

function* randomCases(random: Random, images: readonly [RandomImage, ...RandomImage[]]): Generator<Case> {
  for (let number = 0; ; number += 1) yield randomCase(random, number, images);
}

/** Runs both programs; no report when they agree, else one that makes the case again. */
async function difference(directory: Workdir, test: Case): Promise<{ report: string | undefined; bytes: bigint }> {
  const [ours, theirs] = [`ours-${test.number}.${test.outputFormat}`, `theirs-${test.number}.${test.outputFormat}`];
  const tokens = (output: string) => ['-O', test.outputFormat, `if=${test.image.file}`, `of=${output}`, ...test.tokens];
  const judge = qemuImgDd(...tokens(theirs)).in(directory);
  const [ran, judged] = await Promise.all([ddInProcess(directory, tokens(ours), test.sandbox), judge.start()]);
  const bytes = ran.result?.bytes ?? 0n;
  const our = JSON.stringify(ourOutcome(directory, ours, ran));
  const their = JSON.stringify(outcomeOf(directory, theirs, judged));
  const qcow2 = test.outputFormat === 'qcow2' && ran.status === 0 ? qcow2Differences(directory, ours, theirs) : '';
  if (our === their && qcow2 === '') {
    for (const output of [ours, theirs]) directory.delete(output);
    return { report: undefined, bytes };
  }
  const report = [
    `case ${test.number} of INSTAR_SEED=${SEED} (npm test -- differential)`,
    `  ours:   ${our} ${ran.error?.message ?? ''}`,
    `  theirs: ${their} ${judged.stderr.trim()}`,
    ...(qcow2 === '' ? [] : [`  ${qcow2}`]),
    '  made by:',
    ...test.image.made.map((command) => `    ${command}`),
    '  again:',
    `    cd ${directory.path}`,
    `    ${instar('dd', `--sandbox=${test.sandbox}`, ...tokens(ours)).toString()}`,
    `    ${judge.toString()}`,
  ].join('\n');
  return { report, bytes };
}

describe(`dd on random images with random windows is what qemu-img dd is (INSTAR_SEED=${SEED})`, () => {
  const random = new Random(SEED);
  const directory = new Workdir();
  let cases: Generator<Case>;
  let keep = false;
  let copied = 0;

  beforeAll(() => {
    if (judgeVersion(QEMU_IMG) === undefined) return;
    const [first, ...others] = Array.from({ length: IMAGES }, (_, index) =>
      randomImage(random, directory, `image-${index}`),
    );
    if (first !== undefined) cases = randomCases(random, [first, ...others]);
  });

  afterAll(() => {
    // The images of a difference are needed to look at it.
    if (!keep) directory.remove();
  });

  const groups = Array.from({ length: Math.ceil(CASES / GROUP) }, (_, index) => index * GROUP);

  it.for(groups)(`cases from %i on`, async (first, context) => {
    requireJudge(context, QEMU_IMG);
    const differences: string[] = [];
    for (let number = first; number < Math.min(first + GROUP, CASES); number += 1) {
      const test = cases.next().value as Case;
      const { report, bytes } = await difference(directory, test);
      if (report !== undefined) differences.push(report);
      if (bytes > 0n) copied += 1;
    }
    keep ||= differences.length > 0;
    expect(differences.join('\n')).toBe('');
  });

  it('and most of them copy something', (context) => {
    requireJudge(context, QEMU_IMG);
    expect(copied).toBeGreaterThan(CASES / 3);
  });
});
