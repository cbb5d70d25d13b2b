// Edits on file systems that share blocks, where the undo log holds a clone of the image in the place of copies.
import { spawnSync } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { closePool, info } from '@instar/engine';
import { afterAll, describe, expect, it } from 'vitest';
import { buildInjector, inject, type ErrorName } from '../faults/inject.js';
import { instar } from '../support/command.js';
import { BTRFS, mounted, XFS } from '../support/file-systems.js';
import { FILEFRAG, QEMU_IMG, requireJudge, skipLoudly, STRACE } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { noise, Random } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { EDIT_CASES } from './fixtures.js';
import { runSequence } from './random-sequences.js';
import { afterKill, lay, record, type Event } from './recording.js';
import { failInEdit, failInTurn, recordEdit, stopEdit } from './stopped.js';

/** Stops of a run on each file system; INSTAR_CASES=1500 has each place of all edits. */
const CASES = Number(process.env['INSTAR_CASES'] ?? 30);
/** Stops from which on all edits are stopped. */
const THOROUGH = 300;
const SEED = Number(process.env['INSTAR_SEED'] ?? 20261128);
const HOURS = 3_600_000;
const MIB = 1 << 20;
const LOG = 'image.instar-undo';

afterAll(closePool);

const FILE_SYSTEMS = [BTRFS, XFS];
const ORDINARY = /^(commit|rebase|resize --shrink of a raw image|convert -n into vpc)$/;
const STOPPED = CASES < THOROUGH ? EDIT_CASES.filter(({ name }) => ORDINARY.test(name)) : EDIT_CASES;

/** A base that ends within a block, and an overlay over half of its data. */
function prepareCommit(directory: Workdir): void {
  directory.write('content', noise(3 * MIB));
  qemuImg('convert', '-f', 'raw', '-O', 'qcow2', 'content', 'image').in(directory).must();
  qemuImg('create', '-q', '-f', 'qcow2', '-b', 'image', '-F', 'qcow2', 'top').in(directory).must();
  qemuIo('top', 'write -q -P 7 1M 1500k', 'write -q -z 300k 200k').in(directory).must();
  directory.write('image', Buffer.concat([directory.read('image'), Buffer.alloc(777)]));
}

/** Where an image is in the middle of a commit, with its log, and what it was before. */
function interruptedCommit(directory: Workdir): Buffer {
  prepareCommit(directory);
  const before = directory.read('image');
  const { finished, events } = record(directory, instar('commit', '-q', '-d', directory.file('top')));
  expect([finished.status, finished.stderr]).toEqual([0, '']);
  const last = events.map(({ file, kind }) => `${kind} ${file}`).lastIndexOf('write image');
  lay(directory, afterKill(before, events, last + 1));
  expect(directory.read('image').equals(before)).toBe(false);
  expect(directory.read(LOG).readUInt32LE(8)).toBe(3);
  return before;
}

/** Bytes that a file system has left. */
function freeBytes(place: string): number {
  const { bavail, bsize } = statfsSync(place);
  return bavail * bsize;
}

/** What was done to a log, with the bytes that were written. */
function doneToLog(events: readonly Event[]): string[] {
  const done = events.filter(({ file }) => file === 'log');
  return done.map((event) => (event.kind === 'write' ? `${event.bytes.length} at ${event.offset}` : event.kind));
}

describe.for(FILE_SYSTEMS)('on $name', (fileSystem) => {
  it('an edit clones the image into its log, and writes there what tells of that', { timeout: HOURS }, (context) => {
    requireJudge(context, QEMU_IMG);
    requireJudge(context, STRACE);
    const directory = workdir(mounted(context, fileSystem));
    prepareCommit(directory);
    const before = directory.read('image');
    const { finished, events } = record(directory, instar('commit', '-q', '-d', directory.file('top')));
    expect([finished.status, finished.stderr]).toEqual([0, '']);
    const records = Math.ceil((before.length + 65_536) / 65_536) * 65_536;
    expect(doneToLog(events)).toEqual([
      ...['create', `${before.length} at 65536`, 'sync', '128 at 0', `32 at ${records}`, 'sync', 'remove'],
    ]);
    const firstWrite = events.findIndex(({ file, kind }) => file === 'image' && kind === 'write');
    const syncs = events.slice(0, firstWrite).filter(({ file, kind }) => file === 'log' && kind === 'sync');
    expect(syncs).toHaveLength(2);
    // Clusters are overwritten where they are.
    expect(directory.read('image').length).toBe(before.length);
    qemuImg('check', '-q', 'image').in(directory).must();
    qemuImg('compare', 'image', 'top').in(directory).must();
  });

  it.for(STOPPED)('$name, stopped behind each write and sync', { timeout: HOURS }, async (edit, context) => {
    requireJudge(context, QEMU_IMG);
    requireJudge(context, STRACE);
    const recorded = recordEdit(edit, workdir(mounted(context, fileSystem)));
    const cloned = doneToLog(recorded.events).filter((done) => done === `${recorded.before.length} at 65536`);
    expect(cloned.length).toBeGreaterThan(0);
    const each = Math.ceil(CASES / STOPPED.length);
    const { problems, old, finished } = await stopEdit(recorded, each, new Random(SEED));
    expect(problems).toEqual([]);
    expect(old).toBeGreaterThan(0);
    if (each > 2 * recorded.events.length) expect(finished).toBeGreaterThan(0);
  });

  it('edits under a kill and a failure of the system in the calls themselves', { timeout: HOURS }, async (context) => {
    requireJudge(context, QEMU_IMG);
    const place = mounted(context, fileSystem);
    const random = new Random(SEED);
    const failures = await failInTurn(context, STOPPED, Math.ceil(CASES / 8), async (edit, tools) => {
      const directory = workdir(place);
      try {
        return await failInEdit(edit, tools, directory, random);
      } finally {
        directory.remove();
      }
    });
    expect(failures).toEqual({ problems: [], missed: 0 });
  });

  it('a log without a clone does where the file system has no room for one', { timeout: HOURS }, async (context) => {
    requireJudge(context, QEMU_IMG);
    const tools = workdir();
    const missing = buildInjector(tools);
    if (missing !== undefined) skipLoudly(context, missing);
    const directory = workdir(mounted(context, fileSystem));
    prepareCommit(directory);
    const command = instar('commit', '-q', '-d', directory.file('top')).in(tools);
    const ground = { output: directory.path, input: '/nowhere', device: undefined };
    const fault = { call: 'clone_range', from: 1, times: 1, error: 'ENOSPC' } as const;
    const { finished, injected, counts } = await inject(tools, command, ground, fault);
    expect([finished.status, finished.stderr, injected]).toEqual([0, '', 1]);
    expect(counts.get('clone_range')).toBe(1);
    qemuImg('check', '-q', 'image').in(directory).must();
    qemuImg('compare', 'image', 'top').in(directory).must();
    expect(directory.names()).not.toContain(LOG);
  });

  it('an edit that a full file system has no room for is undone', { timeout: HOURS }, async (context) => {
    requireJudge(context, QEMU_IMG);
    const place = mounted(context, fileSystem);
    // The overlay is elsewhere, so that its content cannot be shared with the base.
    const [directory, elsewhere] = [workdir(place), workdir()];
    const [base, top] = [directory.file('base'), elsewhere.file('top')];
    directory.write('base', noise(96 * MIB));
    qemuImg('create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', top).must();
    qemuIo(top, 'write -q -P 9 10M 80M').must();
    const before = directory.read('base');
    const commit = instar('commit', '-q', '-d', '--allow-path', directory.path, top);
    // What is left is less than the edit overwrites.
    const left = 40 * MIB;
    for (let piece = 0; freeBytes(place) > left; piece += 1) {
      directory.write(`filler${piece}`, noise(Math.min(64 * MIB, freeBytes(place) - left + 4096)));
      spawnSync('sync', ['-f', place]);
    }
    const { status, stderr } = commit.run();
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^instar: commit: [^\n]*ENOSPC[^\n]*\n$/)]);
    for (const name of directory.names().filter((name) => name.startsWith('filler'))) directory.delete(name);
    spawnSync('sync', ['-f', place]);
    await info(base, { format: 'raw' });
    expect(directory.read('base').equals(before)).toBe(true);
    expect(directory.names()).not.toContain('base.instar-undo');
    commit.must();
    qemuImg('compare', '-f', 'raw', '-F', 'qcow2', base, top).must();
  });

  it('what is put back is put back once more where that was stopped or failed', { timeout: HOURS }, async (context) => {
    requireJudge(context, QEMU_IMG);
    requireJudge(context, STRACE);
    const tools = workdir();
    const missing = buildInjector(tools);
    if (missing !== undefined) skipLoudly(context, missing);
    const directory = workdir(mounted(context, fileSystem));
    const before = interruptedCommit(directory);
    const [half, log] = [directory.read('image'), directory.read(LOG)];
    const open = instar('info', directory.file('image')).in(tools);
    const ground = { output: directory.path, input: '/nowhere', device: undefined };
    const { counts } = await inject(tools, open, ground, undefined);
    expect(directory.read('image').equals(before)).toBe(true);
    // All whole blocks are cloned, and what is behind them is copied.
    expect(counts.get('clone_range')).toBe(1);
    expect(counts.get('pwrite64') ?? 0).toBeLessThanOrEqual(16);
    const calls = ['clone_range', 'pwrite64', 'ftruncate', 'fdatasync', 'fsync', 'unlinkat'];
    const met: string[] = [];
    for (const call of calls) {
      for (let from = 1; from <= (counts.get(call) ?? 0); from += 1) {
        for (const error of ['KILL', 'EIO', 'ENOSPC'] satisfies ErrorName[]) {
          lay(directory, { image: half, log });
          const { finished, injected } = await inject(tools, open, ground, { call, from, times: 1, error });
          expect([call, error, injected]).toEqual([call, error, 1]);
          met.push(`${call} ${error}`);
          if (call === 'clone_range' && error !== 'KILL') expect(finished.status).toBe(0);
          await info(directory.file('image'));
          expect(directory.read('image').equals(before), `${error} in ${call} ${from}`).toBe(true);
          expect(directory.names()).not.toContain(LOG);
        }
      }
    }
    expect(met).toContain('clone_range KILL');
    expect(met).toContain('fdatasync EIO');
  });

  it('an edit that is refused leaves each block of the image where it is', { timeout: HOURS }, (context) => {
    requireJudge(context, QEMU_IMG);
    requireJudge(context, FILEFRAG);
    const directory = workdir(mounted(context, fileSystem));
    qemuImg('create', '-q', '-f', 'qcow2', '-o', 'preallocation=falloc', 'image', '8M').in(directory).must();
    directory.settle();
    const extents = (): string => spawnSync('filefrag', ['-v', 'image'], { cwd: directory.path }).stdout.toString();
    const [before, content] = [extents(), directory.read('image')];
    expect(before).toContain('unwritten');
    expect(instar('snapshot', '-d', 'none', 'image').in(directory).run().status).toBe(1);
    expect(directory.read('image').equals(content)).toBe(true);
    expect(extents()).toBe(before);
  });

  it('random sequences of edits come to what qemu-img makes of them', { timeout: HOURS }, async (context) => {
    requireJudge(context, QEMU_IMG);
    const place = mounted(context, fileSystem);
    const problems: string[] = [];
    let edits = 0;
    for (let sequence = 0; sequence < Math.ceil(CASES / 10); sequence += 1) {
      const ran = await runSequence(workdir(place), SEED + sequence);
      problems.push(...ran.problems);
      edits += ran.edits;
    }
    expect(problems).toEqual([]);
    expect(edits).toBeGreaterThan(0);
  });
});

it('on btrfs an image without checksums and copies on write has a log without a clone', (context) => {
  requireJudge(context, QEMU_IMG);
  requireJudge(context, STRACE);
  requireJudge(context, FILEFRAG);
  const directory = workdir(mounted(context, BTRFS));
  prepareCommit(directory);
  const content = directory.read('image');
  directory.delete('image');
  directory.write('image', '');
  expect(spawnSync('chattr', ['+C', directory.file('image')]).status).toBe(0);
  directory.write('image', content);
  const { finished, events } = record(directory, instar('commit', '-q', '-d', directory.file('top')));
  expect([finished.status, finished.stderr]).toEqual([0, '']);
  expect(doneToLog(events).slice(0, 3)).toEqual(['create', '128 at 0', 'sync']);
  qemuImg('check', '-q', 'image').in(directory).must();
  qemuImg('compare', 'image', 'top').in(directory).must();
});
