import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const SIZE = 3 << 20;

/** An appliance with as many disks. */
function appliance(directory: Workdir, disks: number): Buffer {
  const raw = Buffer.alloc(SIZE);
  noise(1 << 20).copy(raw, 700_000);
  directory.write('source.raw', raw).write('box.ovf', '<Envelope/>');
  const options = ['-f', 'raw', '-O', 'vmdk', '-o', 'subformat=streamOptimized'];
  const names = Array.from({ length: disks }, (_, index) => `box-disk${index + 1}.vmdk`);
  names.forEach((name) =>
    qemuImg('convert', ...options, 'source.raw', name)
      .in(directory)
      .must(),
  );
  execFileSync('tar', ['-cf', 'box.ova', 'box.ovf', ...names], { cwd: directory.path });
  return raw;
}

describe('an appliance in one file', () => {
  it('is read as the disk inside by every command', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    const raw = appliance(directory, 1);
    instar('dd', 'if=box.ova', 'of=out.raw', 'bs=1M').in(directory).must();
    expect(directory.read('out.raw').equals(raw)).toBe(true);
    instar('dd', 'if=box.ova', 'of=part.raw', 'bs=64k', 'skip=10', 'count=20').in(directory).must();
    expect(directory.read('part.raw').equals(raw.subarray(10 << 16, 20 << 16))).toBe(true);
    expect(instar('compare', 'box.ova', 'source.raw').in(directory).run().status).toBe(0);
    expect(instar('check', 'box.ova').in(directory).must().stdout).toContain('No errors were found');
    const json = instar('info', '--output=json', 'box.ova').in(directory).must().stdout;
    expect(JSON.parse(json)).toMatchObject({ format: 'vmdk', 'virtual-size': SIZE });
    const strip = (text: string): unknown =>
      (JSON.parse(text) as { start: number; length: number; zero: boolean; data: boolean }[]).map(
        ({ start, length, zero, data }) => ({ start, length, zero, data }),
      );
    const map = instar('map', '--output=json', 'box.ova').in(directory).must().stdout;
    const theirs = qemuImg('map', '--output=json', '-f', 'vmdk', 'box-disk1.vmdk').in(directory).must().stdout;
    expect(strip(map)).toEqual(strip(theirs));
  });

  it('with several disks is refused, and the disks are named', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    appliance(directory, 2);
    const { status, stderr } = instar('dd', 'if=box.ova', 'of=out.raw').in(directory).run();
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^instar: dd: box\.ova: [^\n]*box-disk1\.vmdk, box-disk2\.vmdk[^\n]*unpack the archive[^\n]*\n$/,
    );
    expect(directory.names()).not.toContain('out.raw');
  });
});
