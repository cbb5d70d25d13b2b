import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { noise } from '../support/random.js';
import { workdir } from '../support/workdir.js';

const KIB = 1 << 10;

describe('options of convert that qemu-img has', () => {
  it('--target-image-opts describes an output that exists', () => {
    const content = noise(64 * KIB, 61);
    const directory = workdir()
      .write('disk.raw', content)
      .write('out', Buffer.alloc(80 * KIB, 3));
    instar('convert', '-f', 'raw', '-n', '--target-image-opts', 'disk.raw', 'driver=raw,file.filename=out')
      .in(directory)
      .must();
    expect(directory.read('out').equals(Buffer.concat([content, Buffer.alloc(16 * KIB, 3)]))).toBe(true);
  });

  it('-C changes nothing', () => {
    const content = noise(300 * KIB, 62);
    const directory = workdir().write('disk.raw', content);
    instar('convert', '-f', 'raw', '-C', '-O', 'raw', 'disk.raw', 'out').in(directory).must();
    expect(directory.read('out').equals(content)).toBe(true);
  });

  it.for([
    [
      ['--target-image-opts', 'disk.raw', 'driver=raw,file.filename=out'],
      '--target-image-opts requires use of -n flag',
    ],
    [['-C', '-S', '8k', 'disk.raw', 'out'], 'Cannot enable copy offloading when -S is used'],
    [['-C', '-c', '-O', 'qcow2', 'disk.raw', 'out'], 'Cannot enable copy offloading when -c is used'],
    [
      ['-n', '--target-image-opts', 'disk.raw', 'driver=qcow2,file.filename=out'],
      '-n: only raw outputs are written into',
    ],
  ] as const)('%j is refused', ([words, sentence]) => {
    const directory = workdir().write('disk.raw', noise(KIB, 63)).write('out', 'before');
    const { status, stderr } = instar('convert', ...words)
      .in(directory)
      .run();
    expect([status, stderr]).toEqual([1, expect.stringContaining(sentence)]);
    expect(directory.read('out').toString()).toBe('before');
  });
});
