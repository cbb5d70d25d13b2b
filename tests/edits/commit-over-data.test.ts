// Commits over what the base holds already: its clusters get another place, and the old ones are given back. However often that is done,
// the base takes no more room than one that was overwritten where it lay.
import { mkdirSync, statSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { describe, expect, it, onTestFinished } from 'vitest';
import { instar } from '../support/command.js';
import { sharesBlocks } from '../support/file-systems.js';
import { QEMU_IMG, requireJudge, skipWithoutRight } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { lines, noise, Random } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const DISK = 8 * MIB;
const COMMITS = 5;
const SLACK = 2 * MIB;

interface Kind {
  readonly name: string;
  readonly options: readonly string[];
  readonly snapshots?: false;
  readonly encrypted?: true;
}

const KINDS: readonly Kind[] = [
  { name: 'clusters of 64 KiB', options: [] },
  { name: 'clusters of 4 KiB', options: ['cluster_size=4k'] },
  { name: 'clusters of 512 bytes', options: ['cluster_size=512'] },
  { name: 'clusters of 2 MiB', options: ['cluster_size=2M'] },
  { name: 'refcounts of 1 bit', options: ['refcount_bits=1', 'cluster_size=4k'], snapshots: false },
  { name: 'refcounts of 64 bits', options: ['refcount_bits=64', 'cluster_size=1k'] },
  { name: 'subclusters', options: ['extended_l2=on', 'cluster_size=16k'] },
  { name: 'version 2', options: ['compat=0.10', 'cluster_size=8k'] },
  {
    name: 'an encrypted base',
    options: ['encrypt.format=luks,encrypt.key-secret=a,encrypt.iter-time=10'],
    encrypted: true,
  },
];

const SECRET = ['--object', 'secret,id=a,file=a'];

/** What the layers of a chain are called, for who opens it: a base that is encrypted needs its key. */
function layered(base: string, { encrypted }: Kind, top?: string): readonly string[] {
  if (encrypted !== true) return top === undefined ? ['-f', 'qcow2', base] : ['-f', 'qcow2', top];
  const below = (prefix: string): string =>
    `${prefix}driver=qcow2,${prefix}encrypt.key-secret=a,${prefix}file.filename=${base}`;
  if (top === undefined) return [...SECRET, '--image-opts', below('')];
  return [...SECRET, '--image-opts', `driver=qcow2,file.filename=${top},${below('backing.')}`];
}

function run(directory: Workdir, ...words: readonly string[]): string {
  return qemuImg(...words)
    .in(directory)
    .must().stdout;
}

function withBase(directory: Workdir, kind: Kind): void {
  const { options, encrypted } = kind;
  directory
    .write('a', 'passphrase')
    .write('content', Buffer.concat([noise(5 * MIB), Buffer.alloc(MIB), lines(2 * MIB)]));
  const made = [...(encrypted === true ? SECRET : []), ...(options.length > 0 ? ['-o', options.join()] : [])];
  run(directory, 'convert', '-f', 'raw', '-O', 'qcow2', ...made, 'content', 'base');
}

/** Writes of a round: whole clusters, parts of them, zeros, and what is compressed. */
function writesOf(random: Random, round: number): string[] {
  const whole = `write -q -P ${10 + round} ${random.below(3)}M ${random.between(1, 4)}M`;
  const parts = Array.from({ length: 12 }, (_, index) => {
    const at = random.below(DISK / 512 - 400) * 512;
    return `write -q -P ${20 + round * 12 + index} ${at} ${random.between(1, 400) * 512}`;
  });
  const zeros = `write -q -z ${random.below(100) * 64}k ${random.between(1, 3) * 64}k`;
  // Nothing is compressed that has a place already.
  return [`write -q -c -P 9 ${random.below(60) * 64}k 64k`, whole, ...parts, zeros];
}

function bytesOnDisk(directory: Workdir, name: string): number {
  return statSync(directory.file(name)).blocks * 512;
}

describe('commits over data, one after the other', () => {
  it.for(KINDS)('$name', (kind, context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    withBase(directory, kind);
    directory.write('peer', directory.read('base'));
    const random = new Random(20261128);
    const isLocked = kind.encrypted === true;
    const isShared = sharesBlocks(directory);
    let previous = 0;
    for (let round = 0; round < COMMITS; round += 1) {
      if (kind.snapshots !== false && round % 2 === 1) {
        for (const name of ['base', 'peer']) {
          run(directory, 'snapshot', '-c', `s${round}`, ...(isLocked ? layered(name, kind) : [name]));
        }
      }
      const top = ['-q', '-f', 'qcow2', '-o', round % 2 === 0 ? 'cluster_size=64k' : 'cluster_size=4k'];
      // Written to over the same content in the clear.
      run(directory, 'convert', ...layered('base', kind), '-O', 'raw', 'shown');
      run(directory, 'create', ...top, '-b', 'shown', '-F', 'raw', 'top');
      qemuIo('top', ...writesOf(random, round))
        .in(directory)
        .must();
      run(directory, 'convert', '-f', 'qcow2', '-O', 'raw', 'top', 'wanted');
      directory.write('other', directory.read('top'));
      run(directory, 'rebase', '-u', '-b', 'base', '-F', 'qcow2', 'top');
      run(directory, 'rebase', '-u', '-b', 'peer', '-F', 'qcow2', 'other');
      instar('commit', '-q', ...(isLocked ? SECRET : []), 'top')
        .in(directory)
        .must();
      run(directory, 'commit', '-q', ...layered('peer', kind, 'other'));
      expect(directory.names()).not.toContain('base.instar-undo');
      run(directory, 'check', ...layered('base', kind));
      run(directory, 'convert', ...layered('base', kind), '-O', 'raw', 'after');
      expect(directory.read('after').equals(directory.read('wanted'))).toBe(true);
      // Where a clone of the base was overwritten, the file system may hold room for more of that.
      if (!isShared) expect(bytesOnDisk(directory, 'base')).toBeLessThanOrEqual(bytesOnDisk(directory, 'peer') + SLACK);
      const { size } = statSync(directory.file('base'));
      expect(size).toBeLessThanOrEqual(2 * statSync(directory.file('peer')).size + SLACK);
      previous = size;
    }
    expect(previous).toBeGreaterThan(0);
    const snapshots = kind.snapshots === false ? [] : ['s1', 's3'];
    for (const name of snapshots) {
      const shown = ['base', 'peer'].map((file) => {
        run(directory, 'snapshot', '-a', name, ...(isLocked ? layered(file, kind) : [file]));
        run(directory, 'convert', ...layered(file, kind), '-O', 'raw', 'after');
        return directory.read('after');
      });
      expect(shown[0]?.equals(shown[1] ?? Buffer.alloc(0))).toBe(true);
    }
    run(directory, 'check', ...layered('base', kind));
  });
});

/** A base with data all over, and as much above it. */
function overwritten(directory: Workdir, mib: number): Workdir {
  directory.write('content', noise(mib * MIB)).write('above', noise(mib * MIB, 2));
  run(directory, 'convert', '-f', 'raw', '-O', 'qcow2', 'content', 'base');
  run(directory, 'convert', '-f', 'raw', '-O', 'qcow2', '-B', 'base', '-F', 'qcow2', 'above', 'top');
  return directory;
}

function shownBy(directory: Workdir, name: string): Buffer {
  run(directory, 'convert', '-f', 'qcow2', '-O', 'raw', name, 'after');
  return directory.read('after');
}

describe('a commit over data', () => {
  it('gives clusters another place, and their old ones back; the next one has the file as long as it was', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = overwritten(workdir(), 8);
    if (sharesBlocks(directory))
      skipWithoutRight(context, 'clusters are overwritten where they are: blocks are shared');
    const before = statSync(directory.file('base'));
    instar('commit', '-q', '-d', 'top').in(directory).must();
    const after = statSync(directory.file('base'));
    expect(after.size).toBeGreaterThan(before.size + 7 * MIB);
    expect(after.blocks * 512).toBeLessThanOrEqual(before.blocks * 512 + MIB);
    expect(shownBy(directory, 'base').equals(directory.read('above'))).toBe(true);
    run(directory, 'check', 'base');
    instar('commit', '-q', '-d', 'top').in(directory).must();
    expect(statSync(directory.file('base')).size).toBeLessThanOrEqual(before.size + MIB);
    expect(shownBy(directory, 'base').equals(directory.read('above'))).toBe(true);
    run(directory, 'check', 'base');
  });

  it('overwrites them where they are without an undo log', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = overwritten(workdir(), 4);
    const { size } = statSync(directory.file('base'));
    instar('commit', '-q', '-d', '--no-undo', 'top').in(directory).must();
    expect(statSync(directory.file('base')).size).toBe(size);
    expect(shownBy(directory, 'base').equals(directory.read('above'))).toBe(true);
  });

  it('overwrites them where they are where the file may not become as long', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = overwritten(workdir(), 8);
    const { size } = statSync(directory.file('base'));
    const limit = Math.ceil((size + 4 * MIB) / KIB);
    const command = instar('commit', '-q', '-d', 'top').under('bash', '-c', `ulimit -f ${limit}; exec "$@"`, 'bash');
    command.in(directory).must();
    expect(statSync(directory.file('base')).size).toBe(size);
    expect(shownBy(directory, 'base').equals(directory.read('above'))).toBe(true);
    run(directory, 'check', 'base');
  });

  it('leaves the base as it was where the file system fills up, and needs as much room as before', (context) => {
    requireJudge(context, QEMU_IMG);
    for (const [room, fits] of [
      [6, false],
      [10, true],
    ] as const) {
      const directory = overwritten(workdir(), 8);
      const mount = directory.file('small');
      mkdirSync(mount);
      const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${2 * 9 + room}m`, 'tmpfs', mount]);
      if (mounted.status !== 0) skipWithoutRight(context, 'a small tmpfs needs the right to mount');
      onTestFinished(() => {
        spawnSync('umount', [mount]);
      });
      for (const name of ['base', 'top']) directory.write(`small/${name}`, directory.read(name));
      const before = directory.read('small/base');
      const ended = instar('commit', '-q', '-d', 'top').in(mount).run();
      expect(directory.names('small')).toEqual(['base', 'top']);
      if (fits) {
        expect(ended.stderr).toBe('');
        expect(shownBy(directory, 'small/base').equals(directory.read('above'))).toBe(true);
      } else {
        expect(ended.status).toBe(1);
        expect(ended.stderr).toContain('ENOSPC');
        expect(directory.read('small/base').equals(before)).toBe(true);
      }
    }
  });
});
