// Which file an undo log is of, where the numbers by which the system knows files say something else: a machine that starts again gives file
// systems other devices, and a file that is made where one was removed gets the inode of that.
import { spawnSync } from 'node:child_process';
import { linkSync, rmSync, statSync } from 'node:fs';
import { expect, it, type TestContext } from 'vitest';
import { instar } from '../support/command.js';
import { BTRFS, mounted, XFS, type FileSystem } from '../support/file-systems.js';
import { QEMU_IMG, requireJudge, STRACE } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { afterKill, lay, record } from './recording.js';

const LOG = 'image.instar-undo';
/** Files that are made so that one gets a certain inode. */
const TRIES = 300;

/** An image in the middle of an edit, on a file system of its own. */
function interrupted(
  context: TestContext,
  kind: FileSystem,
): { readonly place: string; readonly directory: Workdir; readonly before: Buffer } {
  requireJudge(context, QEMU_IMG);
  requireJudge(context, STRACE);
  const place = mounted(context, kind);
  const directory = workdir(place);
  directory.write('content', noise(200_000));
  qemuImg('convert', '-O', 'qcow2', '-o', 'cluster_size=2k', 'content', 'image').in(directory).must();
  const before = directory.read('image');
  const { events } = record(directory, instar('snapshot', '-c', 'one', directory.file('image')));
  const last = events.map(({ file, kind: event }) => `${event} ${file}`).lastIndexOf('write image');
  lay(directory, afterKill(before, events, last + 1));
  expect(directory.read('image').equals(before)).toBe(false);
  return { place, directory, before };
}

/** Mounts or unmounts something. */
function system(program: string, ...words: readonly string[]): void {
  const { status, stderr } = spawnSync(program, words, { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
}

it('is put back where its file system has another device since', (context) => {
  const { place, directory, before } = interrupted(context, BTRFS);
  const { dev } = statSync(directory.file('image'));
  const other = workdir();
  system('umount', place);
  // It takes the number that the file system had.
  system('mount', '-t', 'tmpfs', 'none', other.path);
  try {
    system('mount', '-t', 'btrfs', '-o', 'loop', `${place}.img`, place);
    expect(statSync(directory.file('image')).dev).not.toBe(dev);
    instar('info', directory.file('image')).must();
    expect(directory.read('image').equals(before)).toBe(true);
    expect(directory.names()).not.toContain(LOG);
  } finally {
    system('umount', other.path);
  }
});

it('is not put back over an image that took its place and got its inode', (context) => {
  const { directory } = interrupted(context, XFS);
  const { ino } = statSync(directory.file('image'));
  const log = directory.read(LOG);
  rmSync(directory.file('image'));
  const isReused = Array.from({ length: TRIES }, (_, number) => `image-${number}`).some((name) => {
    directory.write(name, '');
    if (statSync(directory.file(name)).ino !== ino) return false;
    linkSync(directory.file(name), directory.file('image'));
    rmSync(directory.file(name));
    return true;
  });
  expect(isReused).toBe(true);
  // As a copy that somebody kept of it is brought back.
  qemuImg('convert', '-O', 'qcow2', 'content', 'kept').in(directory).must();
  const kept = directory.read('kept');
  directory.write('image', kept);
  for (const words of [['info'], ['snapshot', '-c', 'two']]) {
    const refused = instar(...words, directory.file('image')).run();
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringMatching(/of another file of this name/)]);
    expect(directory.read('image').equals(kept)).toBe(true);
    expect(directory.read(LOG).equals(log)).toBe(true);
  }
});
