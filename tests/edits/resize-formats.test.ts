// Disks of formats that qemu-img does not resize, and preallocation: what they hold then is judged by qemu-img, which also writes to
// what was added.
import { statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { lines, noise } from '../support/random.js';
import { Workdir, workdir } from '../support/workdir.js';

const MIB = 1 << 20;
const GIB = 1 << 30;
const SIZE = 5 * MIB;
/** Exit codes of qemu-img check: nothing found, nothing to check. */
const SOUND = [0, 63];

/** Images, by what they are made with and how large they become (bytes). */
const CASES: readonly (readonly [format: string, options: string, sizes: readonly number[]])[] = [
  ['vdi', '', [6 * MIB, 100 * MIB, 200 * MIB, 700 * MIB]],
  ['vdi', 'static=on', [6 * MIB, 200 * MIB]],
  ['vpc', 'force_size=on', [6 * MIB, 100 * MIB, 20 * GIB]],
  ['vpc', '', [6 * MIB, 100 * MIB, 20 * GIB]],
  ['vpc', 'subformat=fixed,force_size=on', [SIZE + 512, 6 * MIB]],
  ['vpc', 'subformat=fixed', [6 * MIB]],
  ['vhdx', 'block_size=1M', [6 * MIB, 100 * MIB, 300 * GIB]],
  ['vhdx', '', [6 * MIB, 10 * GIB]],
  ['vhdx', 'subformat=fixed,block_size=1M', [6 * MIB, 40 * MIB]],
  ['vmdk', '', [6 * MIB, 31 * MIB, 100 * MIB, 20 * GIB]],
  ['vmdk', 'adapter_type=lsilogic', [400 * MIB]],
  ['qed', '', [6 * MIB, 20 * GIB]],
];

describe('resize of other formats', () => {
  let directory: Workdir;
  let content: Buffer;

  beforeAll(() => {
    directory = new Workdir();
    content = Buffer.concat([noise(2 * MIB), Buffer.alloc(MIB), lines(2 * MIB)]);
    directory.write('content', content);
  });

  afterAll(() => {
    directory.remove();
  });

  const sizeOf = (format: string): number => {
    const text = qemuImg('info', '--output=json', '-f', format, 'image').in(directory).must().stdout;
    return (JSON.parse(text) as Record<string, number>)['virtual-size'] ?? 0;
  };

  it.for(CASES)('%s of %s grows', ([format, options, sizes], context) => {
    requireJudge(context, QEMU_IMG);
    const chosen = options === '' ? [] : ['-o', options];
    qemuImg('convert', '-f', 'raw', '-O', format, ...chosen, 'content', 'image')
      .in(directory)
      .must();
    let written: readonly (readonly [at: number, pattern: number])[] = [];
    for (const [step, size] of sizes.entries()) {
      const before = sizeOf(format);
      const told = `${format} ${options} from ${before} to ${size}`;
      expect(instar('resize', '-f', format, 'image', String(size)).in(directory).must().stdout, told).toBe(
        'Image resized.\n',
      );
      const after = sizeOf(format);
      if (format === 'vpc' && !options.includes('force_size')) {
        // The size of the geometry, as that of an image that qemu-img makes of this size.
        qemuImg('create', '-q', '-f', 'vpc', 'new', String(size)).in(directory).must();
        const made = JSON.parse(
          qemuImg('info', '--output=json', '-f', 'vpc', 'new').in(directory).must().stdout,
        ) as object;
        expect(after, told).toBe((made as Record<string, number>)['virtual-size']);
      } else expect(after, told).toBe(size);
      const check = qemuImg('check', '-f', format, 'image').in(directory).run();
      expect(SOUND, `${told}: ${check.stdout}${check.stderr}`).toContain(check.status);
      expect(instar('check', '-f', format, 'image').in(directory).run().status, told).toBe(0);
      qemuImg('dd', '-f', format, '-O', 'raw', 'if=image', 'of=head', 'bs=1M', 'count=5').in(directory).must();
      expect(directory.read('head').equals(content), told).toBe(true);
      // What was added reads as zeros, and what is written there stays.
      const reads = written.map(([at, pattern]) => `read -P ${pattern} ${at} 512`);
      const last = after - 512;
      const end = before < after - 512 * 8 ? [`read -P 0 ${before} 512`, `read -P 0 ${last} 512`] : [];
      qemuIo('image', ...reads, ...end, `write -P ${step + 1} ${before} 512`, `write -P ${step + 20} ${last} 512`)
        .in(directory)
        .must();
      written = [...written.filter(([at]) => at !== before && at !== last), [before, step + 1], [last, step + 20]];
      if (before === last) written = [...written.filter(([at]) => at !== last), [last, step + 20]];
      expect(SOUND, told).toContain(qemuImg('check', '-f', format, 'image').in(directory).run().status);
    }
    for (const [at, pattern] of written) qemuIo('image', `read -P ${pattern} ${at} 512`).in(directory).must();
  });

  it.for([
    ['vmdk', 'subformat=streamOptimized'],
    ['vmdk', 'subformat=monolithicFlat'],
    ['vmdk', 'subformat=twoGbMaxExtentSparse'],
    ['parallels', 'cluster_size=1M'],
  ] as const)('%s of %s is refused, and stays as it was', ([format, options], context) => {
    requireJudge(context, QEMU_IMG);
    qemuImg('convert', '-f', 'raw', '-O', format, '-o', options, 'content', 'refused').in(directory).must();
    const before = directory.digests();
    const { status, stderr } = instar('resize', '-f', format, 'refused', '100M').in(directory).run();
    expect(status).toBe(1);
    expect(stderr).toMatch(/cannot be edited so: (?:of vmdk images, |that is not done to images of format parallels)/);
    expect(directory.digests()).toEqual(before);
  });

  it.for([...new Set(CASES.map(([format]) => format))])('%s does not become smaller', (format, context) => {
    requireJudge(context, QEMU_IMG);
    qemuImg('create', '-q', '-f', format, 'small', '20M').in(directory).must();
    const before = directory.digests();
    expect(instar('resize', '--shrink', '-f', format, 'small', '10M').in(directory).run().status).toBe(1);
    expect(directory.digests()).toEqual(before);
  });

  it('luks grows as qemu-img grows it', (context) => {
    requireJudge(context, QEMU_IMG);
    const secret = ['--object', 'secret,id=s,data=abc'];
    const luks = (file: string): string => `driver=luks,key-secret=s,file.filename=${file}`;
    const made = ['-o', 'key-secret=s,iter-time=10'];
    qemuImg('convert', ...secret, '-f', 'raw', '-O', 'luks', ...made, 'content', 'ours')
      .in(directory)
      .must();
    directory.write('theirs', directory.read('ours'));
    qemuImg('resize', ...secret, '--image-opts', luks('theirs'), '+3M')
      .in(directory)
      .must();
    instar('resize', '-f', 'luks', 'ours', '+3M').in(directory).must();
    expect(directory.read('ours').equals(directory.read('theirs'))).toBe(true);
  });
});

describe('resize --preallocation', () => {
  it.for([
    ['raw', 'falloc', ''],
    ['raw', 'full', ''],
    ['qcow2', 'metadata', ''],
    ['qcow2', 'falloc', 'cluster_size=4k'],
    ['qcow2', 'full', 'extended_l2=on'],
    ['qcow2', 'metadata', 'compat=0.10'],
    ['qcow2', 'full', 'cluster_size=2M'],
  ] as const)('%s %s %s', ([format, mode, options], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    const content = noise(1_000_448);
    directory.write('content', content);
    const chosen = options === '' ? [] : ['-o', options];
    qemuImg('convert', '-f', 'raw', '-O', format, ...chosen, 'content', 'ours')
      .in(directory)
      .must();
    directory.write('theirs', directory.read('ours'));
    const words = (name: string): readonly string[] => ['resize', '-f', format, `--preallocation=${mode}`, name, '8M'];
    qemuImg(...words('theirs'))
      .in(directory)
      .must();
    instar(...words('ours'))
      .in(directory)
      .must();
    qemuImg('compare', '-f', format, '-F', format, 'ours', 'theirs').in(directory).must();
    if (format === 'qcow2') {
      qemuImg('check', '-f', 'qcow2', 'ours').in(directory).must();
      const map = qemuImg('map', '--output=json', '-f', 'qcow2', 'ours').in(directory).must().stdout;
      for (const { offset, start } of JSON.parse(map) as { offset?: number; start: number }[]) {
        expect(offset, `what is at ${start}`).toBeDefined();
      }
    }
    const allocated = (name: string): number => statSync(directory.file(name)).blocks * 512;
    if (mode !== 'metadata') expect(allocated('ours')).toBeGreaterThanOrEqual(8 * MIB);
    // Those of version 2 have no mark of zeros, which are written then.
    else if (!options.includes('compat')) expect(allocated('ours')).toBeLessThan(4 * MIB);
    qemuIo('ours', 'write -P 7 5M 64k', 'read -P 7 5M 64k', 'read -P 0 6M 64k').in(directory).must();
  });

  it.for([
    ['raw', 'metadata', '8M'],
    ['raw', 'full', '1M'],
    ['qcow2', 'metadata', '1M'],
    ['vdi', 'full', '8M'],
    ['raw', 'nonsense', '8M'],
  ] as const)('%s %s to %s is refused', ([format, mode, size], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    qemuImg('create', '-q', '-f', format, 'image', '2M').in(directory).must();
    const before = directory.digests();
    const words = ['resize', '--shrink', '-f', format, `--preallocation=${mode}`, 'image', size];
    expect(
      qemuImg(...words)
        .in(directory)
        .run().status,
    ).toBe(1);
    expect(
      instar(...words)
        .in(directory)
        .run().status,
    ).toBe(1);
    expect(directory.digests()).toEqual(before);
  });
});
