// Bitmaps that convert copies.
import { describe, expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { described } from '../support/described.js';
import { dirtyRanges, QEMU_NBD } from '../support/dirty-bitmap.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

/** An image with three bitmaps: one that saw two writes, one that records none, one of coarse bits. */
function withBitmaps(options = 'cluster_size=64k'): Workdir {
  const directory = workdir();
  qemuImg('create', '-q', '-f', 'qcow2', '-o', options, 'disk.qcow2', '96M').in(directory).must();
  qemuIo('disk.qcow2', 'write -q -P 3 1M 70k').in(directory).must();
  for (const [name, ...words] of [
    ['fine', '-g', '512'],
    ['not recording', '-g', '64k'],
    ['coarse', '-g', '2M'],
  ] as const) {
    qemuImg('bitmap', '--add', ...words, 'disk.qcow2', name)
      .in(directory)
      .must();
  }
  qemuIo('disk.qcow2', 'write -q -P 5 40k 1k', 'write -q -P 6 50M 3M').in(directory).must();
  qemuImg('bitmap', '--disable', 'disk.qcow2', 'not recording').in(directory).must();
  qemuIo('disk.qcow2', 'write -q -P 7 95M 1M').in(directory).must();
  return directory;
}

const NAMES = ['fine', 'not recording', 'coarse'];

/** Marks a bitmap as in use, as a program leaves it that was killed: bit 0 of its entry's flags. */
function leaveInUse(directory: Workdir, name: string): void {
  const bytes = directory.read('disk.qcow2');
  const at = bytes.lastIndexOf(Buffer.from(name)) - 24;
  bytes.writeUInt32BE(bytes.readUInt32BE(at + 12) | 1, at + 12);
  directory.write('disk.qcow2', bytes);
}

describe('convert --bitmaps', () => {
  it.for([
    ['cluster_size=64k', []],
    ['cluster_size=4k', ['-o', 'cluster_size=512']],
    ['cluster_size=64k', ['-c', '-o', 'compression_type=zstd']],
    ['cluster_size=64k', ['-o', 'extended_l2=on,refcount_bits=1']],
    ['cluster_size=2M', ['-o', 'preallocation=metadata,cluster_size=2M']],
  ] as const)('copies what they hold, and whether they record: from %s, %j', ([made, options], context) => {
    requireJudge(context, QEMU_IMG);
    requireJudge(context, QEMU_NBD);
    const directory = withBitmaps(made);
    const words = ['convert', '--bitmaps', '-O', 'qcow2', ...options, 'disk.qcow2'];
    instar(...words, 'ours.qcow2')
      .in(directory)
      .must();
    qemuImg(...words, 'theirs.qcow2')
      .in(directory)
      .must();
    expect(described(directory, 'qcow2', 'ours.qcow2')).toEqual(described(directory, 'qcow2', 'theirs.qcow2'));
    for (const name of NAMES) {
      const expected = dirtyRanges(directory, 'disk.qcow2', name);
      expect(expected.length).toBeGreaterThan(0);
      expect(dirtyRanges(directory, 'ours.qcow2', name)).toEqual(expected);
    }
    qemuImg('check', 'ours.qcow2').in(directory).must();
    qemuImg('compare', 'disk.qcow2', 'ours.qcow2').in(directory).must();
  });

  it('copies none that lie below, nor where nobody asks, and takes an image without any', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withBitmaps();
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'disk.qcow2', '-F', 'qcow2', 'top.qcow2').in(directory).must();
    instar('convert', '--bitmaps', '-O', 'qcow2', 'top.qcow2', 'a.qcow2').in(directory).must();
    instar('convert', '-O', 'qcow2', 'disk.qcow2', 'b.qcow2').in(directory).must();
    for (const file of ['a.qcow2', 'b.qcow2']) {
      expect(qemuImg('info', '-f', 'qcow2', file).in(directory).must().stdout).not.toContain('bitmaps');
    }
  });

  it('refuses what was not saved properly, or leaves it out with a warning', (context) => {
    requireJudge(context, QEMU_IMG);
    requireJudge(context, QEMU_NBD);
    const directory = withBitmaps();
    leaveInUse(directory, 'coarse');
    const refused = instar('convert', '--bitmaps', '-O', 'qcow2', 'disk.qcow2', 'ours.qcow2').in(directory).run();
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/^instar: convert: disk\.qcow2: the bitmap 'coarse' was not saved properly/);
    expect(directory.names()).toEqual(['disk.qcow2']);
    const words = ['convert', '--bitmaps', '--skip-broken-bitmaps', '-O', 'qcow2', 'disk.qcow2'];
    const { stderr } = instar(...words, 'ours.qcow2')
      .in(directory)
      .must();
    expect(stderr).toMatch(/^instar: convert: warning: [^\n]*'coarse'[^\n]*skipped\n$/);
    qemuImg(...words, 'theirs.qcow2')
      .in(directory)
      .must();
    expect(described(directory, 'qcow2', 'ours.qcow2')).toEqual(described(directory, 'qcow2', 'theirs.qcow2'));
    expect(dirtyRanges(directory, 'ours.qcow2', 'fine')).toEqual(dirtyRanges(directory, 'theirs.qcow2', 'fine'));
  });

  it.for([
    [['-O', 'raw', 'disk.qcow2'], /bitmaps: images of format raw have none/],
    [['-O', 'qcow2', 'disk.raw'], /disk\.raw: has no bitmaps/],
    [['-O', 'qcow2', '-o', 'compat=0.10', 'disk.qcow2'], /version 2 have no bitmaps/],
    [['-O', 'qcow2', 'disk.qcow2', 'disk.qcow2'], /only possible with single source/],
    [['-O', 'qcow2', '-o', 'data_file=d', 'disk.qcow2'], /outputs of one file/],
  ] as const)('refuses %j, and leaves nothing', ([words, message]) => {
    const directory = withBitmaps().write('disk.raw', noise(1024, 1));
    const { status, stderr } = instar('convert', '--bitmaps', ...words, 'out')
      .in(directory)
      .run();
    expect([status, stderr]).toEqual([1, expect.stringMatching(message)]);
    expect(directory.names()).toEqual(['disk.qcow2', 'disk.raw']);
  });
});
