import { spawnSync } from 'node:child_process';
import { constants, copyFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, type TestContext } from 'vitest';
import { requireJudge, skipWithoutRight, type Judge } from './judge.js';
import type { Workdir } from './workdir.js';

/** A file system that shares blocks, and what makes one in a file. */
export interface FileSystem {
  readonly name: string;
  readonly mkfs: Judge;
}

export const BTRFS: FileSystem = {
  name: 'btrfs',
  mkfs: { program: 'mkfs.btrfs', probe: ['--version'], package: 'btrfs-progs' },
};
export const XFS: FileSystem = { name: 'xfs', mkfs: { program: 'mkfs.xfs', probe: ['-V'], package: 'xfsprogs' } };

/** As small as XFS can be, and some room. */
const BYTES = 512 * 1024 * 1024;

/** Makes a file system in a file, which goes away with the running test, and tells where it is mounted. */
export function mounted(context: TestContext, { name, mkfs }: FileSystem): string {
  if (process.geteuid?.() !== 0) skipWithoutRight(context, 'mounting a file system needs root');
  requireJudge(context, mkfs);
  const place = mkdtempSync(join(tmpdir(), `instar-${name}-`));
  const file = `${place}.img`;
  let isMounted = false;
  onTestFinished(() => {
    if (isMounted) {
      const { status, stderr } = spawnSync('umount', [place], { encoding: 'utf8' });
      if (status !== 0) throw new Error(stderr);
    }
    rmSync(place, { recursive: true });
    rmSync(file, { force: true });
  });
  writeFileSync(file, '');
  truncateSync(file, BYTES);
  const made = spawnSync(mkfs.program, ['-q', file], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(made.stderr);
  const { status, stderr } = spawnSync('mount', ['-t', name, '-o', 'loop', file, place], { encoding: 'utf8' });
  if (status !== 0) skipWithoutRight(context, `${name} cannot be mounted: ${stderr.trim()}`);
  isMounted = true;
  return place;
}

/** Whether the file system of a directory shares blocks, so that an undo log there holds a clone. */
export function sharesBlocks(directory: Workdir): boolean {
  const [from, to] = [directory.file('.shared'), directory.file('.shares')];
  writeFileSync(from, 'content');
  try {
    copyFileSync(from, to, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    return false;
  } finally {
    for (const file of [from, to]) rmSync(file, { force: true });
  }
}
