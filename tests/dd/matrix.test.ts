import { statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';

import { instar, type CommandLine } from '../support/command.js';
import { ddInProcess, type Ran } from '../support/in-process.js';
import { QEMU_IMG, judgeVersion, requireJudge } from '../support/judge.js';
import { allocatedBytes, declaredSize, ourOutcome, outcomeOf, qcow2Differences } from '../support/outcome.js';
import { qemuImg, qemuImgDd } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { Workdir, workdir } from '../support/workdir.js';
import { ZOO } from '../support/zoo.js';

const MIB = 1 << 20;

/** One input for each way in which an image can hold its bytes. */
const INPUTS = [
  'raw-5000.raw',
  'raw-large.raw',
  'v3.qcow2',
  'v2.qcow2',
  'three-layers.qcow2',
  'zlib.qcow2',
  'zstd.qcow2',
  'extended-holes.qcow2',
  'data-file.qcow2',
  'data-file-raw.qcow2',
] as const;

/** Rows of the matrix whose outcome is an output, each with windows that show it. */
const WINDOW_ROWS: readonly { readonly row: string; readonly windows: readonly (readonly string[])[] }[] = [
  { row: '1: bs does not divide the size', windows: [['bs=3000'], ['bs=999999']] },
  { row: '2: count beyond the end', windows: [['bs=64k', 'count=9000']] },
  { row: '3: count inside', windows: [['bs=100', 'count=7']] },
  { row: '4: count=0', windows: [['count=0']] },
  { row: '5: skip inside', windows: [['bs=1000', 'skip=3']] },
  { row: '6: skip past the end', windows: [['bs=1M', 'skip=7']] },
  { row: '6: skip past the clamped end', windows: [['bs=512', 'skip=4', 'count=3']] },
  { row: '7: skip and count', windows: [['bs=700', 'count=6', 'skip=2']] },
  {
    row: '13: suffixes',
    windows: [
      ['bs=1k', 'count=3', 'skip=1'],
      ['bs=.5K', 'skip=0x2', 'count=1k'],
    ],
  },
];

describe('the matrix of dd', () => {
  let zoo: Workdir;

  beforeAll(() => {
    zoo = new Workdir();
    const wanted = new Set<string>(INPUTS);
    if (judgeVersion(QEMU_IMG) === undefined) return;
    for (const image of ZOO.filter(({ file }) => wanted.has(file))) image.build(zoo);
  });

  afterAll(() => {
    zoo.remove();
  });

  async function sameAsJudge(context: TestContext, tokens: readonly string[], format: 'raw' | 'qcow2'): Promise<Ran> {
    requireJudge(context, QEMU_IMG);
    const [ours, theirs] = [`ours.${format}`, `theirs.${format}`];
    const ran = await ddInProcess(zoo, [...tokens, `of=${ours}`], 'process');
    const judged = qemuImgDd(...tokens, `of=${theirs}`)
      .in(zoo)
      .run();
    const message = `${judged.command}\n${ran.error?.message ?? ''}`;
    expect(ourOutcome(zoo, ours, ran), message).toEqual(outcomeOf(zoo, theirs, judged));
    if (format === 'qcow2') expect(qcow2Differences(zoo, ours, theirs), message).toBe('');
    return ran;
  }

  describe.for(INPUTS)('%s', (input) => {
    it.for(WINDOW_ROWS)('row $row', async ({ windows }, context) => {
      for (const window of windows) {
        await sameAsJudge(context, [`if=${input}`, ...window], 'raw');
        await sameAsJudge(context, [`if=${input}`, '-O', 'qcow2', ...window], 'qcow2');
      }
    });

    it('row 10: no -O gives raw', async (context) => {
      const ran = await sameAsJudge(context, [`if=${input}`, 'bs=1M'], 'raw');
      expect(ran.result?.outputFormat).toBe('raw');
    });

    it('row 11: -O qcow2 declares the size rounded up to 512', async (context) => {
      const ran = await sameAsJudge(context, [`if=${input}`, '-O', 'qcow2', 'bs=777', 'count=3'], 'qcow2');
      expect(ran.result?.outputVirtualSize).toBe(2560n);
      expect(declaredSize(zoo, 'ours.qcow2', 'qcow2')).toBe(2560);
    });

    it('row 14: zero regions are written', async (context) => {
      await sameAsJudge(context, [`if=${input}`, 'bs=1M'], 'raw');
      const output = zoo.file('ours.raw');
      expect(allocatedBytes(output)).toBeGreaterThanOrEqual(statSync(output).size);
    });
  });

  it.for<[row: string, tokens: string[]]>([
    ['8: bs=0', ['if=raw-5000.raw', 'of=none', 'bs=0']],
    ['9: no if=', ['of=none']],
    ['9: no of=', ['if=raw-5000.raw']],
    ['12: unknown operand', ['if=raw-5000.raw', 'of=none', 'ibs=512']],
    ['12: unknown -O', ['if=raw-5000.raw', 'of=none', '-O', 'zip']],
    ['a number that is none', ['if=raw-5000.raw', 'of=none', 'bs=1kB']],
    ['a missing input', ['if=missing', 'of=none']],
    ['a missing directory', ['if=raw-5000.raw', 'of=missing/none']],
  ])('row %s: exit code 1, one line, no file', ([, tokens], context) => {
    requireJudge(context, QEMU_IMG);
    const before = zoo.names();
    const finished = instar('dd', ...tokens)
      .in(zoo)
      .run();
    expect(finished.stderr).toMatch(/^instar: dd: [^\n]+\n$/);
    expect(finished.stdout).toBe('');
    expect(finished.status).toBe(1);
    expect(zoo.names()).toEqual(before);
    expect(
      qemuImgDd(...tokens)
        .in(zoo)
        .run().status,
    ).toBe(1);
  });
});

describe('what was measured on qemu-img holds here, too', () => {
  function expectLength(context: TestContext, size: number, window: readonly string[], length: number): string {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('in.raw', noise(size));
    const tokens = (output: string) => ['-f', 'raw', 'if=in.raw', `of=${output}`, ...window];
    const ours = instar('dd', ...tokens('ours'))
      .in(directory)
      .must();
    qemuImgDd(...tokens('theirs'))
      .in(directory)
      .must();
    expect(directory.read('ours').length).toBe(length);
    expect(directory.read('ours').equals(directory.read('theirs'))).toBe(true);
    return ours.stderr;
  }

  describe('a raw output is whole sectors', () => {
    it.for<[size: number, window: string[], length: number]>([
      [5000, ['bs=100', 'count=1'], 512],
      [5000, ['bs=513', 'count=1'], 1024],
      [5000, ['bs=700', 'count=3', 'skip=1'], 1536],
      [1000, ['bs=1000'], 1024],
      [1000, ['bs=512', 'skip=1'], 512],
      [1, [], 512],
      [0, [], 0],
      [511, ['bs=511'], 512],
      [513, ['bs=513', 'skip=1'], 512],
    ])('%i bytes, %j: %i', ([size, window, length], context) => {
      expect(expectLength(context, size, window, length)).toBe('');
    });
  });

  describe('the warning', () => {
    const WARNING = /^instar: dd: warning: in\.raw: cannot skip to specified offset[^\n]*\n$/;

    it.for<[window: string[], length: number]>([
      [['bs=512', 'skip=10'], 0],
      [['bs=5120', 'skip=1'], 0],
      [['bs=5000', 'skip=1'], 512],
      [['count=0'], 0],
      [['bs=513', 'skip=1', 'count=2'], 1024],
    ])('does not come for %j of 5000 bytes', ([window, length], context) => {
      expect(expectLength(context, 5000, window, length)).toBe('');
    });

    it('gives way to a hint where count= ends in front of what skip= leaves', (context) => {
      expect(expectLength(context, 5000, ['bs=512', 'count=3', 'skip=3'], 0)).toMatch(
        /^instar: dd: warning: in\.raw: skip=3 leaves nothing of count=3, [^\n]+ write count=6\n$/,
      );
    });

    it.for<[window: string[]]>([
      [['bs=512', 'skip=11']],
      [['bs=5121', 'skip=1']],
      [['bs=512', 'count=3', 'skip=4']],
      [['count=0', 'skip=1']],
      [['bs=2', 'skip=9223372036854775807']],
      [['bs=2147483647', 'skip=4611686018427387904']],
    ])('comes for %j of 5000 bytes, with exit code 0 and an empty output', ([window], context) => {
      expect(expectLength(context, 5000, window, 0)).toMatch(WARNING);
    });
  });

  it('overflow of count*bs saturates', (context) => {
    expectLength(context, 5000, ['bs=1M', 'count=9223372036854775807'], 5120);
  });

  describe('numbers', () => {
    it.for<[window: string[], length: number]>([
      [['bs=010', 'count=100'], 1024],
      [['bs= +1k', 'count=1'], 1024],
      [['bs=0x200', 'count=3'], 1536],
      [['bs=0x1B', 'count=1'], 512],
      [['bs=1.5k', 'count=1'], 1536],
      [['bs=.5k', 'count=1'], 512],
      [['bs=1b', 'count=600'], 1024],
      [['bs=0.00048828125k', 'count=513'], 1024],
    ])('%j', ([window, length], context) => {
      expectLength(context, 5000, window, length);
    });

    it.for([
      'bs=1.5',
      'bs=1e3',
      'bs=0x1k',
      'bs=1KiB',
      'bs=-1',
      'bs=9223372036854775808',
      'bs=2147483648',
      'bs=0.0004k',
    ])('%s is refused by both', (operand, context) => {
      requireJudge(context, QEMU_IMG);
      const directory = workdir().write('in.raw', noise(512));
      const tokens = ['if=in.raw', 'of=out.raw', operand];
      const ours = instar('dd', ...tokens)
        .in(directory)
        .run();
      expect(ours.status).toBe(1);
      expect(ours.stderr).toContain('bs=');
      expect(
        qemuImgDd(...tokens)
          .in(directory)
          .run().status,
      ).toBe(1);
      expect(directory.names()).toEqual(['in.raw']);
    });
  });

  it.for([2147483137, 2147483647])('bs=%i simply works (ours)', (bs) => {
    const directory = workdir().write('in.raw', noise(5000));
    instar('dd', 'if=in.raw', 'of=out.raw', '-f', 'raw', `bs=${bs}`).in(directory).must();
    expect(directory.read('out.raw').subarray(0, 5000).equals(noise(5000))).toBe(true);
  });

  describe('command lines', () => {
    const same: readonly (readonly string[])[] = [
      ['bs=1', 'bs=1k', 'count=1', 'count=2', 'if=missing', 'if=in.raw', 'of=a', 'of=out'],
      ['if=in.raw', '-O', 'qcow2', 'of=out', '-O', 'raw'],
      ['--', 'if=in.raw', 'of=out'],
      ['if=in.raw', 'of=out', '-f', 'raw'],
      ['--format=raw', '--output-format', 'raw', '--force-share', 'if=in.raw', 'of=out'],
      ['-Ufraw', 'if=in.raw', 'of=out'],
    ];
    it.for(same)('%j', (tokens, context) => {
      requireJudge(context, QEMU_IMG);
      const [mine, judge] = [workdir(), workdir()];
      for (const directory of [mine, judge]) directory.write('in.raw', noise(5000));
      instar('dd', ...tokens)
        .in(mine)
        .must();
      qemuImgDd(...tokens)
        .in(judge)
        .run();
      expect(mine.names()).toEqual(['in.raw', 'out']);
      expect(mine.read('out').equals(judge.read('out'))).toBe(true);
    });

    const refused: readonly (readonly string[])[] = [
      ['=1'],
      ['bs'],
      ['BS=1'],
      ['obs=1'],
      ['x'],
      ['--nonsense'],
      ['-z'],
    ];
    it.for(refused)('%j is refused by both', (tokens, context) => {
      requireJudge(context, QEMU_IMG);
      const directory = workdir().write('in.raw', noise(512));
      const all = ['if=in.raw', 'of=out.raw', ...tokens];
      const ours = instar('dd', ...all)
        .in(directory)
        .run();
      expect(ours.status).toBe(1);
      expect(ours.stderr).toMatch(/^instar: dd: [^\n]+\n$/);
      expect(
        qemuImgDd(...all)
          .in(directory)
          .run().status,
      ).toBe(1);
      expect(directory.names()).toEqual(['in.raw']);
    });
  });

  describe('count=0', () => {
    it('gives raw 0 bytes and qcow2 196608, readable with size 0', (context) => {
      requireJudge(context, QEMU_IMG);
      const directory = workdir().write('in.raw', noise(5000));
      const dd = (...more: readonly string[]): CommandLine =>
        instar('dd', 'if=in.raw', 'count=0', ...more).in(directory);
      dd('of=out.raw').must();
      dd('of=out.qcow2', '-O', 'qcow2').must();
      expect(directory.read('out.raw').length).toBe(0);
      expect(directory.read('out.qcow2').length).toBe(196608);
      expect(declaredSize(directory, 'out.qcow2', 'qcow2')).toBe(0);
      qemuImg('check', 'out.qcow2').in(directory).must();
    });

    it('replaces an existing output', () => {
      const directory = workdir().write('in.raw', noise(5000)).write('out.raw', 'what was there before');
      instar('dd', 'if=in.raw', 'count=0', 'of=out.raw').in(directory).must();
      expect(directory.read('out.raw').length).toBe(0);
    });
  });

  it('a hole of 64 MiB costs 64 MiB, raw and qcow2', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    qemuImg('create', '-q', '-f', 'qcow2', 'hole.qcow2', '64M').in(directory).must();
    for (const format of ['raw', 'qcow2']) {
      const tokens = ['if=hole.qcow2', '-O', format, 'bs=1M'];
      instar('dd', ...tokens, `of=ours.${format}`)
        .in(directory)
        .must();
      qemuImgDd(...tokens, `of=theirs.${format}`)
        .in(directory)
        .must();
      const [ours, theirs] = ['ours', 'theirs'].map((name) => allocatedBytes(directory.file(`${name}.${format}`)));
      expect(ours).toBeGreaterThanOrEqual(64 * MIB);
      expect(theirs).toBeGreaterThanOrEqual(64 * MIB);
    }
  });

  it('-f raw really forces: a qcow2 file is copied as it is', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    qemuImg('create', '-q', '-f', 'qcow2', 'image.qcow2', '1M').in(directory).must();
    instar('dd', '-f', 'raw', 'if=image.qcow2', 'of=ours').in(directory).must();
    qemuImgDd('-f', 'raw', 'if=image.qcow2', 'of=theirs').in(directory).must();
    expect(directory.read('ours').equals(directory.read('theirs'))).toBe(true);
    expect(directory.read('ours').subarray(0, 4).toString('latin1')).toBe('QFI\u00fb');
  });

  it('-f qcow2 of something else is refused', () => {
    const directory = workdir().write('in.raw', noise(5000));
    const finished = instar('dd', '-f', 'qcow2', 'if=in.raw', 'of=out').in(directory).run();
    expect(finished.status).toBe(1);
    expect(finished.stderr).toMatch(
      /^instar: dd: in\.raw: the file is not in this format \(magic at offset 0 is (?:[\da-f]{2} ){3}[\da-f]{2}, expected 51 46 49 fb\)/,
    );
    expect(directory.names()).toEqual(['in.raw']);
  });

  it("--help exits 0, as qemu-img's does, and tells of skip=", (context) => {
    requireJudge(context, QEMU_IMG);
    const finished = instar('dd', '--help').must();
    expect(finished.stdout).toContain('skip=N');
    expect(finished.stderr).toBe('');
    qemuImg('dd', '--help').must();
  });
});
