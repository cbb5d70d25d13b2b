// An image that is emptied by a commit gives back to the file system what it took.
import { statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { sharesBlocks } from '../support/file-systems.js';
import { QEMU_IMG, requireJudge, skipWithoutRight } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { workdir, type Workdir } from '../support/workdir.js';

const KIB = 1024;
/** What an undo log and tables that are written again may take more of the file system. */
const SLACK = 256 * KIB;

const KINDS = [
  { name: 'clusters of 64 KiB', options: [] },
  { name: 'clusters of 4 KiB', options: ['-o', 'cluster_size=4k'] },
  { name: 'refcounts of 1 bit', options: ['-o', 'refcount_bits=1'], snapshot: false },
  { name: 'subclusters', options: ['-o', 'extended_l2=on'] },
  { name: 'version 2', options: ['-o', 'compat=0.10'] },
] as const;

function room(directory: Workdir, name: string): { readonly length: number; readonly taken: number } {
  const { size, blocks } = statSync(directory.file(name));
  return { length: size, taken: blocks * 512 };
}

/** A chain of two in a directory of its own. */
function chain(options: readonly string[], snapshot: boolean): Workdir {
  const directory = workdir();
  qemuImg('create', '-q', '-f', 'qcow2', 'base', '1G').in(directory).must();
  qemuIo('base', 'write -q -P 1 0 3M').in(directory).must();
  qemuImg('create', '-q', '-f', 'qcow2', ...options, '-b', 'base', '-F', 'qcow2', 'top')
    .in(directory)
    .must();
  qemuIo('top', 'write -q -P 5 1M 9M', 'write -q -P 6 700M 3M', 'write -q -z 2M 64k').in(directory).must();
  if (snapshot) {
    qemuImg('snapshot', '-c', 'kept', 'top').in(directory).must();
    qemuIo('top', 'write -q -P 9 5M 8M').in(directory).must();
  }
  return directory;
}

describe.for(KINDS)('of $name', ({ options, ...kind }) => {
  const snapshots = 'snapshot' in kind ? [false] : [false, true];
  it.for(snapshots)('it takes no more room than one of qemu-img (with a snapshot: %s)', (snapshot, context) => {
    requireJudge(context, QEMU_IMG);
    const [ours, theirs] = [chain(options, snapshot), chain(options, snapshot)];
    const before = room(ours, 'top');
    instar('commit', '-q', 'top').in(ours).must();
    qemuImg('commit', '-q', 'top').in(theirs).must();

    qemuImg('check', '-q', 'top').in(ours).must();
    for (const name of ['base', 'top']) qemuImg('compare', ours.file(name), theirs.file(name)).must();
    if (snapshot) {
      for (const directory of [ours, theirs]) {
        qemuImg('convert', '-O', 'raw', '-l', 'kept', 'top', 'kept').in(directory).must();
      }
      qemuImg('compare', '-s', '-f', 'raw', '-F', 'raw', ours.file('kept'), theirs.file('kept')).must();
    }
    const [found, judged] = [room(ours, 'top'), room(theirs, 'top')];
    expect(found.length).toBeLessThan(before.length);
    if (sharesBlocks(ours)) skipWithoutRight(context, 'a file system that shares blocks keeps what an edit frees');
    expect(found.taken).toBeLessThanOrEqual(judged.taken + SLACK);
    // What is free is taken again.
    qemuIo('top', 'write -q -P 3 4M 9M').in(ours).must();
    qemuImg('check', '-q', 'top').in(ours).must();
  });
});
