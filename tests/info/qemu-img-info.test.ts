import { mkdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { missing, type Json } from '../support/json.js';
import { QEMU_IMG, judgeVersion, requireJudge } from '../support/judge.js';
import { qemuImg, qemuMajorVersion } from '../support/qemu-img.js';
import { Workdir } from '../support/workdir.js';
import { ZOO } from '../support/zoo.js';

/** What people are told before the safety verdict, which is ours alone. */
function withoutVerdict(text: string): string {
  return text.replace(/^safety(?:: [^\n]+\n| checks:\n(?: {4}(?:pass|FAIL|\? {3}) {2}[^\n]+\n)+)/gm, '');
}

describe('info of every image of the zoo says what qemu-img info says', () => {
  let zoo: Workdir;

  beforeAll(() => {
    zoo = new Workdir();
    if (judgeVersion(QEMU_IMG) === undefined) return;
    for (const image of ZOO) image.build(zoo);
    zoo.settle();
  });

  afterAll(() => {
    zoo.remove();
  });

  it.for(ZOO)('$file ($about)', ({ file, format, inSeveralFiles }, context) => {
    requireJudge(context, QEMU_IMG);
    // Files that an image names are opened with --backing-chain only.
    const json = ['info', ...(inSeveralFiles === true ? ['--backing-chain'] : []), '-f', format, '--output=json', file];
    const theirs = qemuImg(...json)
      .in(zoo)
      .must();
    const ours = instar(...json)
      .in(zoo)
      .must();
    expect(missing(JSON.parse(ours.stdout) as Json, JSON.parse(theirs.stdout) as Json)).toEqual([]);
    // What the record has no place for is told beside it.
    const warned = file === 'cut.qcow2' ? /^instar: info: warning: cut\.qcow2: is .*\n$/ : /^$/;
    expect(ours.stderr).toMatch(warned);

    const chain = ['info', '--backing-chain', '-f', format, file];
    // A raw backing file of an odd size is not read unless its directory is allowed.
    const text = instar(...chain, '--allow-path', '.')
      .in(zoo)
      .must().stdout;
    const judged = qemuImg(...chain)
      .in(zoo)
      .must().stdout;
    // Version 8 began to describe the child nodes.
    if (qemuMajorVersion() >= 8) expect(withoutVerdict(text)).toBe(judged);
  });

  it.for(ZOO.filter(({ file }) => file.includes('over') || file.includes('layers')))(
    '--backing-chain of $file describes each layer',
    ({ file }, context) => {
      requireJudge(context, QEMU_IMG);
      const tokens = ['info', '--backing-chain', '--output=json', file];
      const theirs = JSON.parse(
        qemuImg(...tokens)
          .in(zoo)
          .must().stdout,
      ) as Json;
      const ours = JSON.parse(
        instar(...tokens, '--allow-path', '.')
          .in(zoo)
          .must().stdout,
      ) as Json;
      expect(missing(ours, theirs)).toEqual([]);
    },
  );

  it('--backing-chain of a lone image is a list of one', (context) => {
    requireJudge(context, QEMU_IMG);
    const { stdout } = instar('info', '--backing-chain', '--json', 'v3.qcow2').in(zoo).must();
    expect(JSON.parse(stdout)).toHaveLength(1);
  });

  it('-f raw describes a qcow2 file as raw', (context) => {
    requireJudge(context, QEMU_IMG);
    const tokens = ['info', '-f', 'raw', '--output=json', 'v3.qcow2'];
    const theirs = JSON.parse(
      qemuImg(...tokens)
        .in(zoo)
        .must().stdout,
    ) as Json;
    const ours = JSON.parse(
      instar(...tokens)
        .in(zoo)
        .must().stdout,
    ) as Json;
    expect(missing(ours, theirs)).toEqual([]);
  });

  it('--json, --output json and --output=json are the same; --output=human is the default', (context) => {
    requireJudge(context, QEMU_IMG);
    const [first, ...others] = [['--json'], ['--output', 'json'], ['--output=json']].map(
      (tokens) =>
        instar('info', ...tokens, 'v3.qcow2')
          .in(zoo)
          .must().stdout,
    );
    expect(others).toEqual([first, first]);
    const human = instar('info', '--output=human', 'v3.qcow2').in(zoo).must().stdout;
    expect(human).toBe(instar('info', 'v3.qcow2').in(zoo).must().stdout);
    expect(human).toMatch(/^safety: safe\nimage: v3\.qcow2\nfile format: qcow2\n/);
  });

  it('a path with directories is shown as it was given, and backing names are put to it as qemu-img does', (context) => {
    requireJudge(context, QEMU_IMG);
    mkdirSync(zoo.file('deep/er'), { recursive: true });
    const create = ['create', '-q', '-f', 'qcow2', '-b', '../../raw-1000.raw', '-F', 'raw', 'deep/er/over.qcow2'];
    qemuImg(...create)
      .in(zoo)
      .must();
    const tokens = ['info', '--output=json', './deep/er/over.qcow2'];
    const theirs = JSON.parse(
      qemuImg(...tokens)
        .in(zoo)
        .must().stdout,
    ) as Json;
    const ours = JSON.parse(
      instar(...tokens)
        .in(zoo)
        .must().stdout,
    ) as Json;
    expect(missing(ours, theirs)).toEqual([]);
    const chain = ['info', '--backing-chain', '--output=json', './deep/er/over.qcow2'];
    const allowed = instar(...chain, '--allow-path', '.')
      .in(zoo)
      .must().stdout;
    expect(
      missing(
        JSON.parse(allowed) as Json,
        JSON.parse(
          qemuImg(...chain)
            .in(zoo)
            .must().stdout,
        ) as Json,
      ),
    ).toEqual([]);
  });
});
