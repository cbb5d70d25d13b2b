import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { instar, type Finished } from '../support/command.js';
import { QEMU_IMG, requireJudge, skipWithoutRight } from '../support/judge.js';
import { Qcow2Builder } from '../support/qcow2-builder.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const DISK = noise(131_072, 11);

/** An image of two empty clusters that names a file as what it lies upon. */
function over(name: string, format?: string): Uint8Array {
  const builder = new Qcow2Builder().l2(0, 0n).l2(1, 0n);
  return (format === undefined ? builder.backing(name) : builder.backing(name, format)).bytes;
}

function copy(directory: Workdir, input: string, ...more: readonly string[]): Finished {
  return instar('dd', `if=${input}`, 'of=out.raw', 'bs=64k', 'count=2', ...more)
    .in(directory)
    .run();
}

function gets(directory: Workdir, input: string, ...more: readonly string[]): void {
  expect(copy(directory, input, ...more)).toMatchObject({ status: 0, stderr: '' });
  expect(directory.read('out.raw').equals(DISK)).toBe(true);
}

describe('an image may draw in, without being allowed to,', () => {
  it.for([
    ['a raw file beside it', 'base.raw', 'raw'],
    ['one by a name with a dot', './base.raw', 'raw'],
    ['one that is declared as QEMU calls plain files', 'base.raw', 'file'],
    ['one in the way QEMU writes plain names', 'file:base.raw', 'raw'],
    ['one behind a link that stays there', 'link', 'raw'],
  ] as const)('%s', ([, name, format]) => {
    const directory = workdir().write('base.raw', DISK).write('image.qcow2', over(name, format));
    symlinkSync('./base.raw', directory.file('link'));
    gets(directory, 'image.qcow2');
  });

  it('one by its absolute name, also where that leads through a link', () => {
    const directory = workdir().write('real/base.raw', DISK);
    symlinkSync('real', directory.file('way'));
    for (const way of ['real', 'way']) {
      directory.write('real/image.qcow2', over(directory.file(`${way}/base.raw`), 'raw'));
      gets(directory, `${way}/image.qcow2`);
      const inside = instar('dd', 'if=image.qcow2', 'of=../out.raw', 'bs=64k', 'count=2');
      inside
        .in(directory.file(way))
        .environment({ PWD: directory.file(way) })
        .must();
    }
  });

  it('a chain of images that qemu-img made', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('disk.raw', DISK);
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', 'disk.raw', 'base.qcow2').in(directory).must();
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', 'middle.qcow2').in(directory).must();
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'middle.qcow2', '-F', 'qcow2', 'top.qcow2', '1M').in(directory).must();
    gets(directory, 'top.qcow2');
  });
});

describe('an image may not draw in, without being allowed to,', () => {
  const LETTER = 'no disk but a letter\n'.repeat(100);

  it.for([
    ['what is hidden', '.secret', /lies outside/],
    ['what lies in a hidden directory', '.hidden/key', /lies outside/],
    ['what lies in a directory', 'sub/disk.raw', /lies outside/],
    ['what a link beside it leads to below', 'link', /lies outside/],
    ['what is no disk by its size', 'letter', /has 2100 bytes, expected whole sectors/],
  ] as const)('%s', ([, name, reason]) => {
    const directory = workdir().write('.secret', DISK).write('.hidden/key', DISK).write('sub/disk.raw', DISK);
    directory.write('letter', LETTER);
    symlinkSync('sub/disk.raw', directory.file('link'));
    for (const image of [over(name, 'raw'), over(name), new Qcow2Builder().dataFile(name).bytes]) {
      directory.write('image.qcow2', image);
      const told = copy(directory, 'image.qcow2');
      expect([told.status, told.stderr]).toEqual([1, expect.stringMatching(/--allow-path/)]);
      if (name !== 'letter') expect(told.stderr).toMatch(reason);
      expect(directory.names()).not.toContain('out.raw');
    }
  });

  it('a file in a directory that allows it once it is named', () => {
    const directory = workdir().write('sub/deep/disk.raw', DISK).write('.secret', DISK);
    mkdirSync(directory.file('elsewhere'));
    symlinkSync('../sub/deep', directory.file('elsewhere/link'));
    const cases = [
      ['sub/deep/disk.raw', 'sub'],
      ['sub/../sub/deep/disk.raw', 'sub'],
      ['.secret', '.'],
      ['elsewhere/link/disk.raw', '.'],
      [directory.file('sub/deep/disk.raw'), 'sub'],
    ] as const;
    for (const [name, allowed] of cases) {
      directory.write('image.qcow2', over(name, 'raw'));
      expect(copy(directory, 'image.qcow2').status, name).toBe(1);
      gets(directory, 'image.qcow2', '--allow-path', allowed);
    }
    // A link out of the one into another that is allowed as well.
    directory.write('image.qcow2', over('elsewhere/link/disk.raw', 'raw'));
    expect(copy(directory, 'image.qcow2', '--allow-path', 'elsewhere').stderr).toMatch(/lies outside/);
    gets(directory, 'image.qcow2', '--allow-path', 'elsewhere', '--allow-path', 'sub');
  });

  it('what is written as a protocol, and the refusal says so', () => {
    const directory = workdir().write('base.raw', DISK);
    for (const name of ['json:{"driver":"file","filename":"base.raw"}', 'nbd://localhost/x', 'host_device:base.raw']) {
      directory.write('image.qcow2', over(name, 'raw'));
      expect(copy(directory, 'image.qcow2').stderr).toMatch(
        /is written as [a-z_]+: and only plain file names are followed/,
      );
    }
  });
});

describe('a block device', () => {
  it('is drawn in where its directory is allowed, also by a link as those of volume groups', (context) => {
    const directory = workdir().write('disk', DISK);
    const attached = spawnSync('losetup', ['--show', '-f', directory.file('disk')], { encoding: 'utf8' });
    if (attached.status !== 0) skipWithoutRight(context, 'no loop devices here');
    const device = attached.stdout.trim();
    const group = `/dev/instar-test-${process.pid}`;
    onTestFinished(() => {
      spawnSync('losetup', ['-d', device]);
      spawnSync('rm', ['-r', group]);
    });
    mkdirSync(group);
    symlinkSync(`../${device.slice('/dev/'.length)}`, `${group}/volume`);
    for (const [name, allowed] of [
      [device, '/dev'],
      [`${group}/volume`, '/dev'],
      [`${group}/volume`, group],
    ] as const) {
      directory.write('image.qcow2', over(name, 'raw'));
      expect(copy(directory, 'image.qcow2').stderr).toMatch(/lies outside/);
      gets(directory, 'image.qcow2', '--allow-path', allowed);
    }
    directory.write('image.qcow2', over(`${group}/other`, 'raw'));
    symlinkSync('../null', `${group}/other`);
    expect(copy(directory, 'image.qcow2', '--allow-path', group).stderr).toMatch(/is not a regular file/);
  });
});
