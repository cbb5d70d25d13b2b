import { chmodSync, linkSync, lstatSync, mkdirSync, readlinkSync, statSync, symlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

import { instar, program, type CommandLine } from '../support/command.js';
import { holdImage } from '../support/holder.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const STAND_IN = fileURLToPath(new URL('../../packages/qemu-img/bin/qemu-img.js', import.meta.url));

function dd(directory: Workdir, ...tokens: readonly string[]): CommandLine {
  return instar('dd', ...tokens).in(directory);
}

describe('an output that exists', () => {
  it('is replaced, and its mode is kept', () => {
    const directory = workdir().write('in.raw', noise(512)).write('out.raw', 'before');
    chmodSync(directory.file('out.raw'), 0o640);
    dd(directory, 'if=in.raw', 'of=out.raw').must();
    expect(directory.read('out.raw').equals(noise(512))).toBe(true);
    expect(statSync(directory.file('out.raw')).mode & 0o7777).toBe(0o640);
    expect(directory.names()).toEqual(['in.raw', 'out.raw']);
  });

  it('that is a longer one leaves nothing of itself', () => {
    const directory = workdir().write('in.raw', noise(512)).write('out.raw', noise(100_000, 2));
    dd(directory, 'if=in.raw', 'of=out.raw').must();
    expect(directory.read('out.raw').equals(noise(512))).toBe(true);
  });

  it('and is a symbolic link: the target is replaced, the link stays', () => {
    const directory = workdir().write('in.raw', noise(512)).write('sub/target.raw', 'before');
    symlinkSync('sub/target.raw', directory.file('link'));
    dd(directory, 'if=in.raw', 'of=link').must();
    expect(readlinkSync(directory.file('link'))).toBe('sub/target.raw');
    expect(directory.read('sub/target.raw').equals(noise(512))).toBe(true);
    expect(directory.names('sub')).toEqual(['target.raw']);
  });

  it('is as it was after a failure', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('out.raw', 'before');
    qemuImg('create', '-q', '-f', 'qcow2', '-u', '-b', 'missing', '-F', 'raw', 'in.qcow2', '1M').in(directory).must();
    expect(dd(directory, 'if=in.qcow2', 'of=out.raw').run().status).toBe(1);
    expect(directory.read('out.raw').toString()).toBe('before');
    expect(directory.names()).toEqual(['in.qcow2', 'out.raw']);
  });
});

describe('a new output', () => {
  it('has the mode that the umask leaves', () => {
    const directory = workdir().write('in.raw', noise(512));
    dd(directory, 'if=in.raw', 'of=out.raw').under('sh', '-c', 'umask 027; exec "$@"', 'sh').must();
    expect(statSync(directory.file('out.raw')).mode & 0o7777).toBe(0o640);
  });

  it('appears where a dangling link leads', () => {
    const directory = workdir().write('in.raw', noise(512));
    symlinkSync('new.raw', directory.file('link'));
    dd(directory, 'if=in.raw', 'of=link').must();
    expect(lstatSync(directory.file('link')).isSymbolicLink()).toBe(true);
    expect(directory.read('new.raw').equals(noise(512))).toBe(true);
  });

  it('whose directory is missing is refused by name', () => {
    const directory = workdir().write('in.raw', noise(512));
    const finished = dd(directory, 'if=in.raw', 'of=missing/out.raw').run();
    expect(finished.status).toBe(1);
    expect(finished.stderr).toMatch(
      /^instar: dd: missing\/out\.raw: cannot be created: no such file or directory \(ENOENT\)\n$/,
    );
  });
});

describe('an output that is also an input is refused, and nothing is written', () => {
  function family(): Workdir {
    const directory = workdir().write('base.raw', noise(70_000));
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.raw', '-F', 'raw', 'over.qcow2').in(directory).must();
    qemuImg('create', '-q', '-f', 'qcow2', '-o', 'data_file=data.raw', 'split.qcow2', '64k').in(directory).must();
    linkSync(directory.file('base.raw'), directory.file('hard-link'));
    symlinkSync('base.raw', directory.file('symbolic-link'));
    symlinkSync('symbolic-link', directory.file('link-to-link'));
    return directory;
  }

  it.for<[input: string, output: string, more: string[]]>([
    ['base.raw', 'base.raw', []],
    ['base.raw', './/base.raw', []],
    ['base.raw', 'hard-link', []],
    ['base.raw', 'symbolic-link', []],
    ['link-to-link', 'hard-link', []],
    ['over.qcow2', 'base.raw', []],
    ['over.qcow2', 'symbolic-link', []],
    ['over.qcow2', 'over.qcow2', ['-O', 'qcow2']],
    ['split.qcow2', 'data.raw', []],
    ['base.raw', 'base.raw', ['seek=1']],
    ['over.qcow2', 'hard-link', ['seek=1']],
  ])('if=%s of=%s %j', ([input, output, more], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = family();
    const before = directory.digests();
    const finished = dd(directory, `if=${input}`, `of=${output}`, ...more).run();
    expect(finished.status).toBe(1);
    expect(finished.stderr).toMatch(
      /^instar: dd: [^\n]+: is also an input \([^\n]+\); writing it would destroy the data\n$/,
    );
    expect(directory.digests()).toEqual(before);
  });
});

describe('an external data file', () => {
  it('is looked for in the directory of the image, not in the current one (ours)', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    mkdirSync(directory.file('sub'));
    qemuImg('create', '-q', '-f', 'qcow2', '-o', 'data_file=data.raw', 'image.qcow2', '64k')
      .in(directory.file('sub'))
      .must();
    qemuIo('image.qcow2', 'write -P 0x77 0 64k').in(directory.file('sub')).must();
    dd(directory, 'if=sub/image.qcow2', 'of=out.raw').must();
    expect(directory.read('out.raw').equals(Buffer.alloc(65_536, 0x77))).toBe(true);
  });
});

describe('an image that another process writes', () => {
  it('is refused with a sentence that says so; -U reads it', async (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    qemuImg('create', '-q', '-f', 'qcow2', 'image.qcow2', '1M').in(directory).must();
    await holdImage(directory, 'image.qcow2');

    for (const command of [
      dd(directory, 'if=image.qcow2', 'of=out.raw'),
      instar('info', 'image.qcow2').in(directory),
    ]) {
      const refused = command.run();
      expect(refused.status).toBe(1);
      expect(refused.stderr).toMatch(
        /^instar: (dd|info): image\.qcow2: another process is writing this image [^\n]+-U\n$/,
      );
    }
    expect(directory.names()).toEqual(['image.qcow2']);
    dd(directory, '-U', 'if=image.qcow2', 'of=out.raw').must();
    instar('info', '-U', 'image.qcow2').in(directory).must();
    const inPlace = dd(directory, 'if=out.raw', 'of=image.qcow2', 'seek=1').run();
    expect(inPlace.status).toBe(1);
    expect(inPlace.stderr).toMatch(/^instar: dd: image\.qcow2: another process uses this image/);
  });

  it('is not replaced by an empty one, nor by the stand-in with -U, which says what is read', async (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    qemuImg('create', '-q', '-f', 'qcow2', '-o', 'data_file=data.raw', 'image.qcow2', '1M').in(directory).must();
    directory.write('in.raw', Buffer.alloc(65_536, 1));
    await holdImage(directory, 'image.qcow2', 'data.raw');
    const before = directory.digests();
    const inode = statSync(directory.file('image.qcow2')).ino;

    const lines = [
      ['create', '-f', 'qcow2', 'image.qcow2', '1M'],
      ['create', '-f', 'raw', 'image.qcow2', '1M'],
      ['create', '-f', 'qcow2', '-o', 'data_file=data.raw', 'new.qcow2', '1M'],
    ];
    const ofStandIn = [
      ...lines,
      ['convert', '-U', '-O', 'raw', 'in.raw', 'image.qcow2'],
      ['dd', '-U', 'if=in.raw', 'of=image.qcow2'],
    ];
    for (const words of lines) {
      const { status, stderr } = instar(...words)
        .in(directory)
        .run();
      expect([status, stderr]).toEqual([1, expect.stringContaining('another process uses this image')]);
    }
    for (const words of ofStandIn) {
      const ours = program(process.execPath, STAND_IN, ...words)
        .in(directory)
        .run();
      expect([ours.status, ours.stderr]).toEqual([1, expect.stringContaining('Is another process using the image [')]);
      expect(
        qemuImg(...words)
          .in(directory)
          .run().status,
      ).toBe(1);
    }
    directory.delete('new.qcow2');
    expect(directory.digests()).toEqual(before);
    expect(statSync(directory.file('image.qcow2')).ino).toBe(inode);
    // As the message says.
    instar('create', '-U', '-f', 'qcow2', 'image.qcow2', '1M').in(directory).must();
    expect(statSync(directory.file('image.qcow2')).ino).not.toBe(inode);
  });
});
