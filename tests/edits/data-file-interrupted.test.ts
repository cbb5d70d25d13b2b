// What an interrupted edit of an image and its external data file has left: who puts both back, and logs that somebody made up.
import { chownSync, closeSync, copyFileSync, openSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { check, closePool, EngineError, IMAGE_DIRECTORY_ONLY, info, resize, type PathPolicy } from '@instar/engine';
import { listAttributes, setAttribute } from '@instar/vmm-native';
import { afterAll, describe, expect, it, type TestContext } from 'vitest';
import { buildInjector, inject } from '../faults/inject.js';
import { instar, program } from '../support/command.js';
import { crc32c } from '../support/crc32c.js';
import { holdImage } from '../support/holder.js';
import { QEMU_IMG, requireJudge, skipLoudly, skipWithoutRight, STRACE } from '../support/judge.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { CONTENT_EDITS, KINDS, ours } from './data-file-fixtures.js';
import { afterKill, lay, record } from './recording.js';

const LOG = 'image.instar-undo';
/** Bytes of the disk. */
const SIZE = (1n << 20n) + 512n;

afterAll(closePool);

function allowing(...directories: readonly Workdir[]): { readonly pathPolicy: PathPolicy } {
  return { pathPolicy: { ...IMAGE_DIRECTORY_ONLY, allowedDirectories: directories.map(({ path }) => path) } };
}

const [commit] = CONTENT_EDITS;

/** An image and its raw data file, in the middle of an edit of both: what they were, and what they are now. */
interface Interrupted {
  readonly directory: Workdir;
  readonly before: readonly Buffer[];
  readonly half: readonly Buffer[];
}

function both(directory: Workdir): readonly Buffer[] {
  return ['image', 'data'].map((name) => directory.read(name));
}

function interrupted(context: TestContext): Interrupted {
  requireJudge(context, QEMU_IMG);
  requireJudge(context, STRACE);
  const directory = workdir();
  if (commit === undefined) throw new Error('no edits');
  commit.prepare(directory, KINDS['raw, small clusters']);
  const [image = Buffer.alloc(0), data = Buffer.alloc(0)] = both(directory);
  const { events } = record(directory, ours(commit, directory).with('-d'));
  const last = events.map(({ file, kind }) => `${kind} ${file}`).lastIndexOf('write image');
  lay(directory, afterKill(image, events, last + 1, data));
  const half = both(directory);
  expect([image, data].map((bytes, index) => bytes.equals(half[index] ?? bytes))).toEqual([false, false]);
  return { directory, before: [image, data], half };
}

function equal(found: readonly Buffer[], wanted: readonly Buffer[]): boolean {
  return found.every((bytes, index) => bytes.equals(wanted[index] ?? Buffer.alloc(0)));
}

/** Code and message of a refusal. */
async function refusalOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  return error instanceof EngineError ? `${error.code}: ${error.message}` : `no refusal: ${String(error)}`;
}

/** Has the log say that another file is the second one. */
function plant(directory: Workdir, victim: string): void {
  const log = directory.read(LOG);
  const { dev, ino } = statSync(victim, { bigint: true });
  log.writeBigUInt64LE(dev, 40);
  log.writeBigUInt64LE(ino, 48);
  log.writeUInt32LE(crc32c(log.subarray(0, 124)), 124);
  directory.write(LOG, log);
}

describe('an image and its data file, whose edit was interrupted', () => {
  it('are put back by who opens the image and allows the directory of the data file', async (context) => {
    const openings = [
      (image: string, options: { readonly pathPolicy: PathPolicy }) => info(image, options),
      (image: string, options: { readonly pathPolicy: PathPolicy }) => check(image, options),
      // Its disk has that size already.
      (image: string, options: { readonly pathPolicy: PathPolicy }) => resize(image, SIZE, { ...options, undo: false }),
    ];
    for (const open of openings) {
      const { directory, before } = interrupted(context);
      await open(directory.file('image'), allowing(directory));
      expect(directory.names()).not.toContain(LOG);
      expect(equal(both(directory), before)).toBe(true);
    }
  });

  it('are left alone and refused by name where that directory is not allowed', async (context) => {
    const { directory, half } = interrupted(context);
    const elsewhere = workdir();
    const image = directory.file('image');
    const without = [() => info(image), () => check(image), () => resize(image, 2n << 20n)];
    for (const open of without) {
      expect(await refusalOf(open())).toMatch(/^EDIT_INTERRUPTED: .*image\.instar-undo.*--allow-path/);
      expect(equal(both(directory), half)).toBe(true);
    }
    const refused = await refusalOf(info(image, allowing(elsewhere)));
    expect(refused).toMatch(/^EDIT_INTERRUPTED: .*"data" would be written to, .*--allow-path/);
    expect(directory.names()).toContain(LOG);
    expect(both(directory)[1]?.equals(half[1] ?? Buffer.alloc(0))).toBe(true);
    const { status, stderr } = instar('info', 'image').in(directory).run();
    expect([status, stderr]).toEqual([1, expect.stringContaining('--allow-path')]);
    instar('info', '--allow-path', '.', 'image').in(directory).must();
    expect(directory.names()).not.toContain(LOG);
  });

  it('bear a mark each, by which who opens the data file alone finds the log', async (context) => {
    requireJudge(context, QEMU_IMG);
    const [tools, directory] = [workdir(), workdir()];
    const missing = buildInjector(tools);
    if (missing !== undefined) skipLoudly(context, missing);
    if (commit === undefined) throw new Error('no edits');
    commit.prepare(directory, KINDS.raw);
    const before = both(directory);
    const ground = { output: directory.path, input: '/nowhere', device: undefined };
    const kill = { call: 'unlinkat', from: 1, times: 1, error: 'KILL' } as const;
    const { injected } = await inject(tools, ours(commit, directory).with('-d'), ground, kill);
    expect(injected).toBe(1);
    expect(directory.names()).toContain(LOG);
    const after = both(directory);
    expect(equal(after, before)).toBe(false);
    const refused = await refusalOf(info(directory.file('data'), { format: 'raw', ...allowing(directory) }));
    expect(refused).toMatch(/^EDIT_INTERRUPTED: .*data: .*image\.instar-undo.*external data file of another/);
    expect(await refusalOf(resize(directory.file('data'), 3n << 20n, { format: 'raw' }))).toMatch(
      /^EDIT_INTERRUPTED: /,
    );
    expect(equal(both(directory), after)).toBe(true);
    await info(directory.file('image'), allowing(directory));
    expect(equal(both(directory), before)).toBe(true);
    const fd = openSync(directory.file('data'), 'r');
    expect(listAttributes(fd).map(({ name }) => name.toString())).not.toContain('user.instar.undo');
    closeSync(fd);
    await info(directory.file('data'), { format: 'raw' });
  });

  it('are not half of another edit: a mark that an earlier one has left does not count', async (context) => {
    const { directory } = interrupted(context);
    await info(directory.file('image'), allowing(directory));
    const fd = openSync(directory.file('data'), 'r+');
    setAttribute(fd, Buffer.from('user.instar.undo'), Buffer.from(directory.file(LOG)));
    closeSync(fd);
    // Its own log stands where the mark says, and is not that of the data file.
    await resize(directory.file('image'), 2n << 20n, allowing(directory));
    expect(statSync(directory.file('data')).size).toBe(2 << 20);
  });
});

describe('nobody is made to write into another file', () => {
  it('where the data file is missing, another one, or used by another process', async (context) => {
    const { directory, half, before } = interrupted(context);
    const image = directory.file('image');
    renameSync(directory.file('data'), directory.file('kept'));
    expect(await refusalOf(info(image, allowing(directory)))).toMatch(/^EDIT_INTERRUPTED: .*"data" cannot be found/);
    copyFileSync(directory.file('kept'), directory.file('data'));
    expect(await refusalOf(info(image, allowing(directory)))).toMatch(
      /^EDIT_INTERRUPTED: .*together with another file than "[^"]*data"/,
    );
    expect(directory.read('data').equals(half[1] ?? Buffer.alloc(0))).toBe(true);
    expect(directory.read('kept').equals(half[1] ?? Buffer.alloc(0))).toBe(true);
    renameSync(directory.file('kept'), directory.file('data'));
    directory.write('second', before[0] ?? Buffer.alloc(0));
    await holdImage(directory, 'second', 'data');
    expect(await refusalOf(info(image, allowing(directory)))).toMatch(/^EDIT_INTERRUPTED: .*another process uses/);
    expect(directory.read('data').equals(half[1] ?? Buffer.alloc(0))).toBe(true);
    expect(directory.names()).toContain(LOG);
  });

  it('where it cannot be written', async (context) => {
    const { directory, half, before } = interrupted(context);
    const locked = program('chattr', '+i', 'data').in(directory).run();
    if (locked.status !== 0) skipWithoutRight(context, 'making a file immutable needs root and a file system that can');
    try {
      const refused = await refusalOf(info(directory.file('image'), allowing(directory)));
      expect(refused).toMatch(/^EDIT_INTERRUPTED: .*"data" cannot be opened for reading and writing: .*EPERM/);
    } finally {
      program('chattr', '-i', 'data').in(directory).must();
    }
    expect(directory.read('data').equals(half[1] ?? Buffer.alloc(0))).toBe(true);
    await info(directory.file('image'), allowing(directory));
    expect(equal(both(directory), before)).toBe(true);
  });

  it('by a log that names another file than the image does', async (context) => {
    const { directory, half } = interrupted(context);
    const elsewhere = workdir().write('victim', noise(2_000_000));
    const victim = elsewhere.read('victim');
    plant(directory, elsewhere.file('victim'));
    const refused = await refusalOf(info(directory.file('image'), allowing(directory, elsewhere)));
    expect(refused).toMatch(/^EDIT_INTERRUPTED: .*together with another file than/);
    expect(elsewhere.read('victim').equals(victim)).toBe(true);
    expect(directory.read('data').equals(half[1] ?? Buffer.alloc(0))).toBe(true);
  });

  it('by a log and a name that is a link out of the directory that is allowed', async (context) => {
    const { directory } = interrupted(context);
    const elsewhere = workdir().write('victim', noise(2_000_000));
    const victim = elsewhere.read('victim');
    rmSync(directory.file('data'));
    symlinkSync(elsewhere.file('victim'), directory.file('data'));
    plant(directory, elsewhere.file('victim'));
    expect(await refusalOf(info(directory.file('image'), allowing(directory)))).toMatch(/^EDIT_INTERRUPTED: /);
    expect(elsewhere.read('victim').equals(victim)).toBe(true);
  });

  it('by a log that is a link', async (context) => {
    const { directory, half } = interrupted(context);
    renameSync(directory.file(LOG), directory.file('made-up'));
    symlinkSync('made-up', directory.file(LOG));
    expect(await refusalOf(info(directory.file('image'), allowing(directory)))).toMatch(/^EDIT_INTERRUPTED: .*ELOOP/);
    expect(equal(both(directory), half)).toBe(true);
  });

  it('by a log of a user who could have edited the image, but not the data file', async (context) => {
    if (process.geteuid?.() !== 0) skipWithoutRight(context, 'giving a file to another user needs root');
    const { directory, before, half } = interrupted(context);
    for (const name of ['image', LOG]) chownSync(directory.file(name), 12_345, 12_345);
    const refused = await refusalOf(info(directory.file('image'), allowing(directory)));
    expect(refused).toMatch(/^EDIT_INTERRUPTED: .*belongs to user 12345, who may have made it up/);
    expect(directory.read('data').equals(half[1] ?? Buffer.alloc(0))).toBe(true);
    chownSync(directory.file('data'), 12_345, 12_345);
    await info(directory.file('image'), allowing(directory));
    expect(equal(both(directory), before)).toBe(true);
  });
});
