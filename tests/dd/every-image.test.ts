import type { Sandbox } from '@instar/engine';
import { statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ddInProcess } from '../support/in-process.js';
import { instar } from '../support/command.js';
import { QEMU_IMG, judgeVersion, requireJudge } from '../support/judge.js';
import { allocatedBytes, ourOutcome, outcomeOf, qcow2Differences } from '../support/outcome.js';
import { qemuImgDd } from '../support/qemu-img.js';
import { Workdir } from '../support/workdir.js';
import { ZOO, type ZooImage } from '../support/zoo.js';

/** Windows of every kind: whole and clamped, aligned and not, at the end, behind the end, empty. */
const WINDOWS: readonly (readonly string[])[] = [
  ['bs=1M'],
  ['bs=700000'],
  ['bs=64k', 'count=3'],
  ['bs=64k', 'skip=1'],
  ['bs=64k', 'skip=3', 'count=9'],
  ['bs=513', 'skip=1', 'count=77'],
  ['bs=1', 'skip=70001', 'count=70100'],
  ['bs=333333', 'skip=2', 'count=3'],
  ['bs=1M', 'count=4096'],
  ['bs=4k', 'count=0'],
  ['bs=3M', 'skip=9'],
];

describe('dd of every image of the zoo gives what qemu-img dd gives', () => {
  let zoo: Workdir;

  beforeAll(() => {
    zoo = new Workdir();
    if (judgeVersion(QEMU_IMG) !== undefined) for (const image of ZOO) image.build(zoo);
  });

  afterAll(() => {
    zoo.remove();
  });

  async function expectTheSame(image: ZooImage, window: readonly string[], format: string, sandbox: Sandbox) {
    const [ours, theirs] = [`ours.${format}`, `theirs.${format}`];
    const tokens = (output: string) => [
      '-f',
      image.format,
      '-O',
      format,
      `if=${image.file}`,
      `of=${output}`,
      ...window,
    ];
    const judge = qemuImgDd(...tokens(theirs)).in(zoo);
    const ran = await ddInProcess(zoo, tokens(ours), sandbox);
    const message = [
      ran.error?.message ?? '',
      `cd ${zoo.path}`,
      instar('dd', `--sandbox=${sandbox}`, ...tokens(ours)).toString(),
      judge.toString(),
    ].join('\n');
    expect(ourOutcome(zoo, ours, ran), message).toEqual(outcomeOf(zoo, theirs, judge.run()));
    if (format === 'qcow2') expect(qcow2Differences(zoo, ours, theirs), message).toBe('');
    else expect(allocatedBytes(zoo.file(ours)), message).toBeGreaterThanOrEqual(statSync(zoo.file(ours)).size);
  }

  it.for(ZOO)('$file ($about)', async (image, context) => {
    requireJudge(context, QEMU_IMG);
    for (const [index, window] of WINDOWS.entries()) {
      // Every window meets both formats and both sandboxes, though not on every image.
      const turn = index + ZOO.indexOf(image);
      await expectTheSame(image, window, turn % 2 === 0 ? 'raw' : 'qcow2', turn % 4 < 2 ? 'kvm' : 'process');
    }
  });
});
