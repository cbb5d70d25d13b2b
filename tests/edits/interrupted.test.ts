// What an edit that was interrupted has left: who opens the image next, and for what.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  symlinkSync,
} from 'node:fs';
import { closePool, convert, createSnapshot, EngineError, info } from '@instar/engine';
import { listAttributes, setAttribute } from '@instar/vmm-native';
import { afterAll, describe, expect, it, type TestContext } from 'vitest';
import { instar } from '../support/command.js';
import { holdImage } from '../support/holder.js';
import { QEMU_IMG, requireJudge, skipWithoutRight, STRACE } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { afterKill, lay, record } from './recording.js';

const LOG = 'image.instar-undo';

afterAll(closePool);

/** An image in the middle of an edit, and what it was before. */
function interrupted(context: TestContext): { readonly directory: Workdir; readonly before: Buffer } {
  requireJudge(context, QEMU_IMG);
  requireJudge(context, STRACE);
  const directory = workdir();
  const image = directory.file('image');
  directory.write('content', noise(200_000));
  qemuImg('convert', '-O', 'qcow2', '-o', 'cluster_size=2k', directory.file('content'), image).must();
  const before = directory.read('image');
  const { events } = record(directory, instar('snapshot', '-c', 'one', image));
  // Behind the last write to the image, where the log still is.
  const last = events.map(({ file, kind }) => `${kind} ${file}`).lastIndexOf('write image');
  lay(directory, afterKill(before, events, last + 1));
  expect(directory.read('image').equals(before)).toBe(false);
  return { directory, before };
}

/** Gives a file an extended attribute: where its log is, unless another is named. */
function mark(file: string, value: string, name = 'user.instar.undo'): void {
  const fd = openSync(file, 'r+');
  setAttribute(fd, Buffer.from(name), Buffer.from(value));
  closeSync(fd);
}

function attributesOf(file: string): string[] {
  const fd = openSync(file, 'r');
  const names = listAttributes(fd).map(({ name }) => name.toString());
  closeSync(fd);
  return names.filter((name) => name.startsWith('user.'));
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  return error instanceof EngineError ? error.code : String(error);
}

describe('an image whose edit was interrupted', () => {
  it('is put back by who reads it, whatever name that has', async (context) => {
    const { directory, before } = interrupted(context);
    symlinkSync('image', directory.file('link'));
    const found = await info(directory.file('link'));
    expect(found.snapshots).toEqual([]);
    expect(directory.read('image').equals(before)).toBe(true);
    expect(directory.names()).not.toContain(LOG);
  });

  it('is said to have been put back, once, by who reads and by who edits it', (context) => {
    for (const [command, ...words] of [
      ['info', 'image'],
      ['snapshot', '-c', 'two', 'image'],
      ['resize', 'image', '+1M'],
    ]) {
      const { directory } = interrupted(context);
      const first = instar(command ?? '', ...words)
        .in(directory)
        .run();
      expect(first.stderr).toMatch(
        /^instar: \w+: warning: image: an edit of this image had been interrupted; it was put back/,
      );
      expect([first.status, first.stderr.trim().split('\n').length]).toEqual([0, 1]);
      const second = instar('info', 'image').in(directory).run();
      expect([second.status, second.stderr]).toEqual([0, '']);
    }
  });

  it('is put back once where several of one process read it at the same time', async (context) => {
    const { directory, before } = interrupted(context);
    linkSync(directory.file('image'), directory.file('other'));
    mark(directory.file('image'), directory.file(LOG));
    const warnings: string[] = [];
    const control = { onWarning: (warning: string) => warnings.push(warning) };
    const names = ['image', 'other', 'image', 'image'].map((name) => directory.file(name));
    const found = await Promise.all(names.map(async (name) => info(name, {}, control)));
    expect(found.map(({ snapshots }) => snapshots)).toEqual([[], [], [], []]);
    // Of all, what was looked at is the file as it is now.
    expect(found.map(({ fileLength }) => fileLength)).toEqual(names.map(() => BigInt(before.length)));
    expect(directory.read('image').equals(before)).toBe(true);
    expect(directory.names()).not.toContain(LOG);
    expect(warnings).toEqual([expect.stringContaining('had been interrupted')]);
  });

  it('is put back where its name is too long for one that is longer', async (context) => {
    const { directory, before } = interrupted(context);
    const [leaf, other] = [`${'x'.repeat(253)}yz`, `${'x'.repeat(253)}zy`];
    const digest = createHash('sha256').update(leaf).digest('hex').slice(0, 16);
    renameSync(directory.file('image'), directory.file(leaf));
    renameSync(directory.file(LOG), directory.file(`${'x'.repeat(227)}${digest}.instar-undo`));
    // Another image whose name begins so has another log.
    qemuImg('create', '-q', '-f', 'qcow2', directory.file(other), '1M').must();
    await createSnapshot(directory.file(other), 'one');
    expect(directory.read(leaf).equals(before)).toBe(false);
    expect((await info(directory.file(leaf))).snapshots).toEqual([]);
    expect(directory.read(leaf).equals(before)).toBe(true);
    expect(directory.names().sort()).toEqual(['content', leaf, other]);
  });

  it('is refused to an image above it, which is told whether its editor still runs', async (context) => {
    const { directory } = interrupted(context);
    const half = directory.read('image');
    qemuImg('create', '-q', '-u', '-f', 'qcow2', '-b', 'image', '-F', 'qcow2', 'top', '200192').in(directory).must();
    const top = directory.file('top');
    const whole = directory.file('whole');
    expect(await codeOf(convert([top], whole, { outputFormat: 'raw' }))).toBe('EDIT_INTERRUPTED');
    await holdImage(directory, 'image');
    for (const words of [[], ['-U']]) {
      const { status, stderr } = instar('convert', ...words, '-O', 'raw', 'top', 'whole')
        .in(directory)
        .run();
      expect([status, stderr]).toEqual([
        1,
        'instar: convert: image: another process is editing this image; wait until it is done\n',
      ]);
    }
    expect(directory.read('image').equals(half)).toBe(true);
    expect(directory.names()).not.toContain('whole');
  });

  it('is put back by who edits it next', async (context) => {
    const { directory } = interrupted(context);
    await createSnapshot(directory.file('image'), 'two');
    const found = await info(directory.file('image'));
    expect(found.snapshots.map(({ id, name }) => [id, name])).toEqual([['1', 'two']]);
    expect(directory.names()).not.toContain(LOG);
  });

  it('takes its log along when it is written anew', async (context) => {
    const { directory } = interrupted(context);
    await convert([directory.file('content')], directory.file('image'), { format: 'raw', outputFormat: 'qcow2' });
    expect(directory.names()).not.toContain(LOG);
    qemuImg('compare', '-f', 'raw', '-F', 'qcow2', directory.file('content'), directory.file('image')).must();
  });

  it.for(['a hard link', 'the name that it was given afterwards'])(
    'is put back by who knows %s',
    async (name, context) => {
      requireJudge(context, QEMU_IMG);
      requireJudge(context, STRACE);
      const directory = workdir();
      mkdirSync(directory.file('elsewhere'));
      const [image, other] = ['image', 'elsewhere/other'].map((file) => directory.file(file)) as [string, string];
      directory.write('content', noise(200_000));
      qemuImg('convert', '-O', 'qcow2', '-o', 'cluster_size=2k', directory.file('content'), image).must();
      const before = directory.read('image');
      const isLink = name === 'a hard link';
      if (isLink) linkSync(image, other);
      // Killed in the place of the removal of the log.
      const killed = ['-f', '-qq', '-o', directory.file('calls'), '-e', 'inject=unlinkat:error=EIO:signal=SIGKILL'];
      instar('snapshot', '-c', 'one', image)
        .under('strace', ...killed)
        .run();
      expect(directory.names()).toContain(LOG);
      expect(directory.read('image').equals(before)).toBe(false);
      if (!isLink) renameSync(image, other);
      await createSnapshot(other, 'two');
      const found = await info(other);
      expect(found.snapshots.map((snapshot) => snapshot.name)).toEqual(['two']);
      expect(directory.names()).not.toContain(LOG);
      qemuImg('check', other).must();
      if (isLink) expect((await info(image)).snapshots).toEqual(found.snapshots);
    },
  );

  it('bears no mark once the edit is complete, and no copy of a file bears one', async (context) => {
    const { directory } = interrupted(context);
    const image = directory.file('image');
    await createSnapshot(image, 'two');
    expect(attributesOf(image)).toEqual([]);
    mark(image, directory.file('x.instar-undo'));
    mark(image, 'yes', 'user.kept');
    await convert([directory.file('content')], image, { format: 'raw', outputFormat: 'qcow2' });
    expect(attributesOf(image)).toEqual(['user.kept']);
  });

  it.for(['/etc/passwd', '/dev/full', 'image.instar-undo', '/dev/shm/../..'])(
    'is read where its mark names %s, which is no log',
    async (named, context) => {
      requireJudge(context, QEMU_IMG);
      const directory = workdir();
      const image = directory.file('image');
      qemuImg('create', '-q', '-f', 'qcow2', image, '1M').must();
      mark(image, named);
      const found = await info(image);
      expect(found.virtualSize).toBe(1n << 20n);
    },
  );

  it('is refused where only an image names it', async (context) => {
    const { directory } = interrupted(context);
    const above = ['create', '-q', '-u', '-f', 'qcow2', '-b', 'image', '-F', 'qcow2', directory.file('above'), '1M'];
    qemuImg(...above).must();
    const half = directory.read('image');
    const chain = { backingChain: { references: 'within-directories', allowedDirectories: [] } } as const;
    expect(await codeOf(info(directory.file('above'), chain))).toBe('EDIT_INTERRUPTED');
    expect(directory.read('image').equals(half)).toBe(true);
    expect(directory.names()).toContain(LOG);
  });

  it('is refused where its log is that of another file, or damaged', async (context) => {
    const { directory } = interrupted(context);
    copyFileSync(directory.file('image'), directory.file('copy'));
    renameSync(directory.file('copy'), directory.file('image'));
    expect(await codeOf(info(directory.file('image')))).toBe('EDIT_INTERRUPTED');
    const damaged = interrupted(context).directory;
    damaged.write(LOG, Buffer.concat([Buffer.alloc(64), damaged.read(LOG).subarray(64)]));
    const half = damaged.read('image');
    expect(await codeOf(info(damaged.file('image')))).toBe('EDIT_INTERRUPTED');
    expect(damaged.read('image').equals(half)).toBe(true);
  });

  it('is refused where its log is that of another user, who could have made it up', async (context) => {
    if (process.geteuid?.() !== 0) skipWithoutRight(context, 'giving a file to another user needs root');
    const { directory } = interrupted(context);
    chownSync(directory.file(LOG), 12_345, 12_345);
    const half = directory.read('image');
    expect(await codeOf(info(directory.file('image')))).toBe('EDIT_INTERRUPTED');
    expect(await codeOf(createSnapshot(directory.file('image'), 'two'))).toBe('EDIT_INTERRUPTED');
    expect(directory.read('image').equals(half)).toBe(true);
    // That of the image's own user is believed.
    chownSync(directory.file('image'), 12_345, 12_345);
    await info(directory.file('image'));
    expect(directory.names()).not.toContain(LOG);
  });

  it('is refused by name where it may not be written', (context) => {
    const { directory } = interrupted(context);
    chmodSync(directory.path, 0o755);
    chmodSync(directory.file('image'), 0o444);
    const reader = instar('info', '--sandbox=process', directory.file('image')).under(
      'setpriv',
      '--reuid=65534',
      '--clear-groups',
    );
    const { status, stderr } = process.geteuid?.() === 0 ? reader.run() : instar('info', directory.file('image')).run();
    expect(status).toBe(1);
    expect(stderr).toContain(LOG);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
