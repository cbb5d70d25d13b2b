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

  it.for(['auto', 'process'])('-r holds back what is written, and can be interrupted: %s', (sandbox) => {
    const content = noise(1536 * KIB, 64);
    const directory = workdir().write('disk.raw', content);
    const words = ['convert', `--sandbox=${sandbox}`, '-f', 'raw', '-O', 'qcow2'];
    const done = instar(...words, '-r', '1M', 'disk.raw', 'out')
      .in(directory)
      .must();
    expect(done.elapsedMs).toBeGreaterThan(1400);
    instar('compare', '-f', 'raw', '-F', 'qcow2', 'disk.raw', 'out').in(directory).must();
    // A minute and a half, were it not stopped.
    const stopped = instar(...words, '-r', '16k', '--limit-time=1s', 'disk.raw', 'never')
      .in(directory)
      .run();
    expect([stopped.status, directory.names()]).toEqual([1, ['disk.raw', 'out']]);
    expect(stopped.elapsedMs).toBeLessThan(30_000);
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
