// Images whose data lies in a file of its own get another size: beside qemu-img, stopped halfway, and where they must not.
import { linkSync, mkdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { closePool, EngineError, IMAGE_DIRECTORY_ONLY, info, resize, type PathPolicy } from '@instar/engine';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { buildInjector, inject, type ErrorName } from '../faults/inject.js';
import { instar, program } from '../support/command.js';
import { holdImage } from '../support/holder.js';
import { QEMU_IMG, requireJudge, skipLoudly, skipWithoutRight, STRACE } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { noise, Random } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { afterKill, afterPowerCut, lay, record } from './recording.js';

/** Stops of each edit; INSTAR_CASES=2000 has each place many times. */
const CASES = Number(process.env['INSTAR_CASES'] ?? 60);
const SEED = Number(process.env['INSTAR_SEED'] ?? 20261128);
const HOURS = 3_600_000;
const MIB = 1 << 20;
/** Calls that change a file or bring it to the disk. */
const CALLS = ['pwrite64', 'fdatasync', 'fsync', 'ftruncate', 'unlinkat', 'openat', 'fallocate'];

afterAll(closePool);

/** Its own directory is allowed by name. */
function allowing(directory: Workdir): { readonly pathPolicy: PathPolicy } {
  return { pathPolicy: { ...IMAGE_DIRECTORY_ONLY, allowedDirectories: [directory.path] } };
}

/** Kinds of images, by the options that make them. */
const KINDS = {
  mapped: 'data_file=data',
  raw: 'data_file=data,data_file_raw=on',
  'mapped, small clusters': 'data_file=data,cluster_size=4k',
  'raw, small clusters': 'data_file=data,data_file_raw=on,cluster_size=4k',
  'raw, subclusters': 'data_file=data,data_file_raw=on,extended_l2=on',
  'mapped, subclusters': 'data_file=data,extended_l2=on',
} as const;

/** An image of 1 MiB whose data lies in `data`. */
function make(directory: Workdir, options: string): void {
  qemuImg('create', '-q', '-f', 'qcow2', '-o', options, 'image', '1M').in(directory).must();
  directory.write('noise', noise(300_000));
  qemuIo('image', 'write -q -s noise 100k 200k', 'write -q -P 7 900k 124k').in(directory).must();
}

/** Whether qemu-img made the same of a data file; where what it adds has places, it makes whole clusters of that. */
function sameBut(ours: Buffer = Buffer.alloc(0), theirs: Buffer = Buffer.alloc(0)): boolean {
  const rest = theirs.subarray(ours.length);
  const fits = ours.length <= theirs.length && rest.length < 65536;
  return fits && theirs.subarray(0, ours.length).equals(ours) && rest.equals(Buffer.alloc(rest.length));
}

const SEQUENCES: readonly (readonly (readonly string[])[])[] = [
  [['+1M'], ['+512']],
  [['--shrink', '300k'], ['2M']],
  [['--shrink', '151552'], ['1M']],
  [
    ['--preallocation=metadata', '3M'],
    ['--preallocation=falloc', '4M'],
  ],
  [['--preallocation=full', '1500k'], ['--shrink', '1300k'], ['70M']],
  [['1M'], ['900k'], ['--preallocation=metadata', '--shrink', '900k'], ['1000001']],
];

describe('another size of a disk whose data lies in a file of its own', () => {
  it.for(Object.entries(KINDS).flatMap(([kind, options]) => SEQUENCES.map((steps) => ({ kind, options, steps }))))(
    '$kind: $steps as qemu-img does it',
    ({ options, steps }, context) => {
      requireJudge(context, QEMU_IMG);
      const [ours, theirs] = [workdir(), workdir()];
      for (const directory of [ours, theirs]) make(directory, options);
      ours.write('image', theirs.read('image')).write('data', theirs.read('data'));
      for (const step of steps) {
        const mine = instar('resize', '-q', '--allow-path', '.', ...step.slice(0, -1), 'image', step.at(-1) ?? '');
        const judged = qemuImg('resize', '-q', ...step.slice(0, -1), 'image', step.at(-1) ?? '');
        const { status } = mine.in(ours).run();
        expect(status, step.join(' ')).toBe(judged.in(theirs).run().status);
        expect(ours.names()).not.toContain('image.instar-undo');
        const [found, wanted] = [ours, theirs].map((directory) => {
          const text = qemuImg('info', '--output=json', 'image').in(directory).must().stdout;
          const said = JSON.parse(text) as Record<string, unknown>;
          const size = Number(said['virtual-size']);
          return { size, more: said['format-specific'], data: directory.read('data') };
        });
        expect(found?.data.length, step.join(' ')).toBe(found?.size);
        expect(sameBut(found?.data, wanted?.data), step.join(' ')).toBe(true);
        expect([found?.size, found?.more]).toEqual([wanted?.size, wanted?.more]);
        expect(qemuImg('check', 'image').in(ours).must().stdout).toContain('No errors');
      }
      const disks = [ours, theirs].map((directory) => {
        qemuImg('convert', '-f', 'qcow2', '-O', 'raw', 'image', 'disk').in(directory).must();
        return directory.read('disk');
      });
      expect(disks[0]?.equals(disks[1] ?? Buffer.alloc(0))).toBe(true);
      // What has a place is the file's.
      if (options.includes('raw=on')) expect(ours.read('data').equals(ours.read('disk'))).toBe(true);
    },
  );

  it.for(['mapped', 'raw'] as const)(
    '%s: of a data file of another length it makes what qemu-img does',
    (kind, context) => {
      requireJudge(context, QEMU_IMG);
      for (const length of [512 << 10, 3 * MIB]) {
        for (const step of [['2M'], ['--shrink', '300k'], ['--preallocation=metadata', '2M']]) {
          const [ours, theirs] = [workdir(), workdir()];
          for (const directory of [ours, theirs]) {
            make(directory, KINDS[kind]);
            directory.write('data', Buffer.concat([directory.read('data'), noise(2 * MIB)]).subarray(0, length));
          }
          const words = [...step.slice(0, -1), 'image', step.at(-1) ?? ''];
          instar('resize', '-q', '--allow-path', '.', ...words)
            .in(ours)
            .must();
          qemuImg('resize', '-q', ...words)
            .in(theirs)
            .must();
          expect(ours.read('data').equals(theirs.read('data')), `${length}, ${step.join(' ')}`).toBe(true);
        }
      }
    },
  );

  it.for(['mapped', 'raw'] as const)('%s: amend gives it another size as qemu-img does', (kind, context) => {
    requireJudge(context, QEMU_IMG);
    const [ours, theirs] = [workdir(), workdir()];
    for (const directory of [ours, theirs]) make(directory, KINDS[kind]);
    for (const size of ['3M', '300k']) {
      const refused = instar('amend', '-o', `size=${size}`, 'image').in(ours).run();
      expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('--allow-path')]);
      instar('amend', '--allow-path', '.', '-o', `size=${size}`, 'image').in(ours).must();
      qemuImg('amend', '-o', `size=${size}`, 'image').in(theirs).must();
      qemuImg('check', '-q', 'image').in(ours).must();
      qemuImg('convert', '-O', 'raw', 'image', 'disk').in(ours).must();
      qemuImg('convert', '-O', 'raw', 'image', 'disk').in(theirs).must();
      expect(ours.read('disk').equals(theirs.read('disk'))).toBe(true);
      expect(ours.read('data').length).toBe(ours.read('disk').length);
    }
    const both = instar('amend', '--allow-path', '.', '-o', 'size=1M,data_file=other', 'image').in(ours).run();
    expect([both.status, both.stderr]).toEqual([1, expect.stringContaining('amend the name of that alone')]);
  });

  it('over a backing file: what that has behind the old end does not show', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    directory.write('base', noise(3 * MIB));
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base', '-F', 'raw', '-o', 'data_file=data', 'image', '1M')
      .in(directory)
      .must();
    qemuIo('image', 'write -q -P 7 900k 124k').in(directory).must();
    instar('resize', '-q', '--allow-path', '.', 'image', '2M').in(directory).must();
    instar('resize', '-q', '--allow-path', '.', '--preallocation=metadata', 'image', '3M').in(directory).must();
    qemuImg('check', '-q', 'image').in(directory).must();
    qemuIo('image', 'read -q -P 7 900k 124k', 'read -q -P 0 1M 2M').in(directory).must();
    qemuImg('convert', '-O', 'raw', 'image', 'disk').in(directory).must();
    const begin = 900 << 10;
    expect(directory.read('disk').subarray(0, begin).equals(directory.read('base').subarray(0, begin))).toBe(true);
  });

  it('an encrypted one reads as zeros where it got larger', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('key', 'secret');
    const secret = ['--object', 'secret,id=k,file=key'];
    const luks = 'encrypt.format=luks,encrypt.key-secret=k,encrypt.iter-time=10';
    qemuImg('create', '-q', ...secret, '-f', 'qcow2', '-o', `data_file=data,${luks}`, 'image', '1M')
      .in(directory)
      .must();
    const words = ['--allow-path', '.', '--preallocation=metadata', 'image', '2M'];
    instar('resize', '-q', ...secret, ...words)
      .in(directory)
      .must();
    expect(statSync(directory.file('data')).size).toBe(2 * MIB);
    const named = 'driver=qcow2,encrypt.key-secret=k,file.filename=image';
    qemuImg('convert', ...secret, '--image-opts', named, '-O', 'raw', 'disk')
      .in(directory)
      .must();
    expect(directory.read('disk').subarray(MIB).equals(Buffer.alloc(MIB))).toBe(true);
  });
});

describe('a data file is not written to', () => {
  /** Resizes, which is refused and changes nothing. */
  async function refused(directory: Workdir, size: bigint, options = {}): Promise<string> {
    const kept = ['image', 'data', 'other'].filter((name) => directory.names().includes(name));
    const files = kept.filter((name) => statSync(directory.file(name)).isFile());
    const before = files.map((name) => directory.read(name));
    const caught: unknown = await resize(directory.file('image'), size, { shrink: true, ...options }).catch(
      (error: unknown) => error,
    );
    if (!(caught instanceof EngineError)) throw new Error(`was not refused: ${String(caught)}`);
    files.forEach((name, index) => {
      expect(directory.read(name).equals(before[index] ?? Buffer.alloc(0)), name).toBe(true);
    });
    expect(directory.names()).not.toContain('image.instar-undo');
    return `${caught.code}: ${caught.message}`;
  }

  it('where nobody but the image says that it may be', async (context) => {
    requireJudge(context, QEMU_IMG);
    const [directory, elsewhere] = [workdir(), workdir()];
    make(directory, KINDS.raw);
    for (const size of [2n << 20n, 512n << 10n]) {
      for (const options of [{}, allowing(elsewhere)]) {
        expect(await refused(directory, size, options)).toMatch(
          /^PATH_REFUSED: .*image: its external data file "data" would be written to, .* allow its directory with --allow-path/,
        );
      }
    }
    const { status, stderr } = instar('resize', 'image', '2M').in(directory).run();
    expect([status, stderr]).toEqual([1, expect.stringContaining('--allow-path')]);
  });

  it('where a link leads out of the directory that is allowed', async (context) => {
    requireJudge(context, QEMU_IMG);
    const [directory, elsewhere] = [workdir(), workdir()];
    make(directory, KINDS.raw);
    elsewhere.write('data', directory.read('data'));
    directory.delete('data');
    symlinkSync(elsewhere.file('data'), directory.file('data'));
    expect(await refused(directory, 2n << 20n, allowing(directory))).toMatch(/^PATH_REFUSED: /);
    expect(statSync(elsewhere.file('data')).size).toBe(MIB);
  });

  it('where it is missing, a directory, a pipe, or named by nobody', async (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    make(directory, KINDS.mapped);
    directory.delete('data');
    const allowed = allowing(directory);
    expect(await refused(directory, 2n << 20n, allowed)).toMatch(/^REFERENCE_MISSING: .*"data" cannot be found/);
    mkdirSync(directory.file('data'));
    expect(await refused(directory, 2n << 20n, allowed)).toMatch(/^PATH_REFUSED: .*is not a regular file/);
    rmSync(directory.file('data'), { recursive: true });
    program('mkfifo', 'data').in(directory).must();
    expect(await refused(directory, 2n << 20n, allowed)).toMatch(/^PATH_REFUSED: .*is not a regular file/);
    instar('amend', '-o', 'data_file=', 'image').in(directory).must();
    expect(await refused(directory, 2n << 20n, allowed)).toMatch(/^REFERENCE_MISSING: .*names none/);
  });

  it('where it is the image, its backing file or its undo log', async (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    make(directory, KINDS.mapped);
    const allowed = allowing(directory);
    directory.delete('data');
    linkSync(directory.file('image'), directory.file('data'));
    expect(await refused(directory, 2n << 20n, { ...allowed, undo: false })).toMatch(/^CHAIN_LOOP: .*"[^"]*data"/);
    directory.delete('data');
    instar('amend', '-q', '-o', 'data_file=image.instar-undo', 'image').in(directory).must();
    expect(await refused(directory, 512n << 10n, allowed)).toMatch(/^CHAIN_LOOP: .*its undo log/);
    instar('amend', '-q', '-o', 'data_file=other', 'image').in(directory).must();
    directory.write('other', noise(MIB));
    instar('rebase', '-q', '-u', '-b', './other', '-F', 'raw', 'image').in(directory).must();
    expect(await refused(directory, 512n << 10n, allowed)).toMatch(/^CHAIN_LOOP: .*"[^"]*other"/);
  });

  it('where another process uses it', async (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    make(directory, KINDS.raw);
    // The same data file under an image that somebody uses.
    directory.write('second', directory.read('image'));
    await holdImage(directory, 'second', 'data');
    expect(await refused(directory, 2n << 20n, allowing(directory))).toMatch(/^INPUT_IN_USE: .*data: another process/);
  });

  it('where it cannot be opened for that', async (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    make(directory, KINDS.raw);
    const locked = program('chattr', '+i', 'data').in(directory).run();
    if (locked.status !== 0) skipWithoutRight(context, 'making a file immutable needs root and a file system that can');
    try {
      const message = await refused(directory, 2n << 20n, allowing(directory));
      expect(message).toMatch(/^READ_FAILED: .*"data" cannot be opened for reading and writing: .*EPERM/);
    } finally {
      program('chattr', '-i', 'data').in(directory).must();
    }
  });

  it('where it is a block device that would need another length', async (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    make(directory, KINDS.mapped);
    const disk = directory.read('data');
    directory.write('disk', Buffer.concat([disk, Buffer.alloc(MIB)]));
    const attached = program('losetup', '--show', '-f', directory.file('disk')).run();
    if (attached.status !== 0) skipWithoutRight(context, 'no loop devices here');
    const device = attached.stdout.trim();
    onTestFinished(() => {
      program('losetup', '-d', device).run();
    });
    instar('amend', '-q', '-o', `data_file=${device}`, 'image').in(directory).must();
    const options = { pathPolicy: { ...IMAGE_DIRECTORY_ONLY, allowedDirectories: ['/dev'] } };
    expect(await refused(directory, 3n << 19n, options)).toMatch(
      /^FILE_NOT_USABLE: .*: is a block device of 2097152 bytes and would need 1572864/,
    );
    await resize(directory.file('image'), 2n << 20n, options);
    expect((await info(directory.file('image'))).virtualSize).toBe(2n << 20n);
    instar('convert', '--allow-path', '/dev', '-O', 'raw', 'image', 'copy').in(directory).must();
    expect(directory.read('copy').equals(Buffer.concat([disk, Buffer.alloc(MIB)]))).toBe(true);
  });

  it('where an edit of it was interrupted', async (context) => {
    requireJudge(context, QEMU_IMG);
    requireJudge(context, STRACE);
    const directory = workdir();
    make(directory, KINDS.raw);
    const other = workdir();
    other.write('image', directory.read('data'));
    const { events } = record(other, instar('resize', '-f', 'raw', '--shrink', other.file('image'), '70000'));
    const begun = events.map(({ file, kind }) => `${kind} ${file}`).indexOf('sync log');
    lay(other, afterKill(directory.read('data'), events, begun + 1));
    directory.write('data.instar-undo', other.read('image.instar-undo'));
    expect(await refused(directory, 2n << 20n, allowing(directory))).toMatch(/^EDIT_INTERRUPTED: .*data: /);
  });

  it('where the edit of the image fails: it has its old length again', async (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    make(directory, KINDS.raw);
    // The data file grows before the guest sees the refcounts.
    const bytes = directory.read('image');
    const block = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(48))));
    bytes.writeUInt16BE(0, block + 2);
    directory.write('image', bytes);
    expect(await refused(directory, 2n << 20n, allowing(directory))).toMatch(/^IMAGE_REPAIR_FIRST: /);
  });
});

/** Edits that are stopped, by what they are called with. */
const STOPPED: readonly { readonly name: string; readonly options: string; readonly words: readonly string[] }[] = [
  { name: 'mapped, grows', options: `${KINDS.mapped},cluster_size=512`, words: ['image', '2M'] },
  { name: 'raw, grows', options: `${KINDS.raw},cluster_size=4k`, words: ['image', '3M'] },
  { name: 'raw, shrinks', options: `${KINDS.raw},cluster_size=4k`, words: ['--shrink', 'image', '151552'] },
  { name: 'mapped, shrinks', options: `${KINDS.mapped},cluster_size=512`, words: ['--shrink', 'image', '300k'] },
];

/** Both files before an edit, and what it makes of them. */
interface Ends {
  readonly before: { readonly image: Buffer; readonly data: Buffer };
  readonly after: { readonly image: Buffer; readonly data: Buffer };
}

/** What is wrong with two files whose edit was stopped: the image is one of the two, and the data file has at least what that shows. */
function problemOf(directory: Workdir, { before, after }: Ends): string | undefined {
  if (directory.names().includes('image.instar-undo')) return 'its log is still there';
  const [image, data] = [directory.read('image'), directory.read('data')];
  const end = [before, after].find((one) => one.image.equals(image));
  if (end === undefined) return 'the image is neither what it was nor what it was to become';
  if (!data.subarray(0, end.data.length).equals(end.data)) return 'the data file has not what the image shows';
  const most = Math.max(before.data.length, after.data.length);
  return data.length > most ? `the data file has ${data.length} bytes` : undefined;
}

describe('a resize that is stopped leaves the image as it was or as it was to become, and a data file that is long enough', () => {
  it.for(STOPPED)(
    '$name: behind each write and sync of both files',
    { timeout: HOURS },
    async ({ options, words }, context) => {
      requireJudge(context, QEMU_IMG);
      requireJudge(context, STRACE);
      const directory = workdir();
      make(directory, options);
      const before = { image: directory.read('image'), data: directory.read('data') };
      const absolute = words.map((word) => (word === 'image' ? directory.file(word) : word));
      const { finished, events } = record(
        directory,
        instar('resize', '-q', '--allow-path', directory.path, ...absolute),
      );
      expect([finished.status, finished.stderr]).toEqual([0, '']);
      const after = { image: directory.read('image'), data: directory.read('data') };
      expect(after.data.length).not.toBe(before.data.length);
      const played = afterKill(before.image, events, events.length, before.data);
      expect(played.image?.equals(after.image)).toBe(true);
      expect(played.data?.equals(after.data)).toBe(true);
      const random = new Random(SEED);
      const problems: string[] = [];
      let [old, finishedOnes] = [0, 0];
      for (let stop = 0; stop < CASES; stop += 1) {
        const whole = CASES > 2 * events.length;
        const count = whole && stop <= events.length ? stop : random.below(events.length + 1);
        const cut = whole ? stop > events.length : random.chance(2);
        lay(
          directory,
          cut
            ? afterPowerCut(before.image, events, count, random, before.data)
            : afterKill(before.image, events, count, before.data),
        );
        await info(directory.file('image'));
        const problem = problemOf(directory, { before, after });
        if (problem !== undefined) problems.push(`${cut ? 'power cut' : 'kill'} behind event ${count}: ${problem}`);
        else if (directory.read('image').equals(before.image)) old += 1;
        else finishedOnes += 1;
      }
      expect(problems).toEqual([]);
      expect(old).toBeGreaterThan(0);
      if (CASES > 2 * events.length) expect(finishedOnes).toBeGreaterThan(0);
    },
  );

  it('under a kill and a failure of the system in the calls themselves', { timeout: HOURS }, async (context) => {
    requireJudge(context, QEMU_IMG);
    const tools = workdir();
    const missing = buildInjector(tools);
    if (missing !== undefined) skipLoudly(context, missing);
    const random = new Random(SEED);
    const problems: string[] = [];
    const runs = Math.ceil(CASES / 8);
    for (let run = 0; run < runs; run += 1) {
      const { name, options, words } = STOPPED[run % STOPPED.length] ?? { name: '', options: '', words: [] };
      const place = workdir();
      make(place, options);
      const before = { image: place.read('image'), data: place.read('data') };
      const absolute = words.map((word) => (word === 'image' ? place.file(word) : word));
      const command = instar('resize', '-q', '--allow-path', place.path, ...absolute).in(tools);
      const ground = { output: place.path, input: '/nowhere', device: undefined };
      const { counts } = await inject(tools, command, ground, undefined);
      const after = { image: place.read('image'), data: place.read('data') };
      expect(after.data.length).not.toBe(before.data.length);
      const calls = CALLS.filter((call) => (counts.get(call) ?? 0) > 0);
      const call = calls[random.below(calls.length)] ?? 'pwrite64';
      const from = random.between(1, counts.get(call) ?? 1);
      const error = random.pick<ErrorName>(['KILL', 'EIO', 'ENOSPC']);
      lay(place, { image: before.image, log: undefined, data: before.data });
      const { finished, injected } = await inject(tools, command, ground, { call, from, times: 1, error });
      const told = `${name}: ${error} in ${call} ${from}`;
      if (injected !== 1) problems.push(`${told}: was not met (${finished.stderr.trim()})`);
      const isLeft = place.names().includes('image.instar-undo');
      // Who was told of a failure has both files as they were, at once, or knows that the disk has its new size.
      if (error !== 'KILL' && finished.status !== 0 && !isLeft && !finished.stderr.includes('has its new size')) {
        const same = place.read('image').equals(before.image) && place.read('data').equals(before.data);
        if (!same) problems.push(`${told}: told of a failure, and the files are others`);
      }
      await info(place.file('image'));
      const problem = problemOf(place, { before, after });
      if (problem !== undefined) problems.push(`${told}: ${problem}`);
      qemuImg('check', '-q', 'image').in(place).must();
    }
    expect(problems).toEqual([]);
  });
});

describe.for(['raw', 'qcow2'] as const)('a data file that is a %s image two below its own', (format) => {
  it.for([
    ['image', '2M'],
    ['--shrink', 'image', '64k'],
  ])('gets no other length by resize (%s)', (words) => {
    const directory = workdir();
    qemuImg('create', '-q', '-f', format, 'data', '1M').in(directory).must();
    qemuIo('data', 'write -q -P 5 0 1M').in(directory).must();
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'data', '-F', format, 'middle').in(directory).must();
    const options = ['-o', 'data_file=other', '-b', 'middle', '-F', 'qcow2'];
    qemuImg('create', '-q', '-f', 'qcow2', ...options, 'image')
      .in(directory)
      .must();
    directory.write('other', directory.read('data'));
    const named = directory.read('image');
    const at = named.indexOf('other');
    // The extension's name has the same length as the other one, but for what pads it.
    named.fill(0, at, at + 5).write('data', at);
    named.writeUInt32BE(4, at - 4);
    directory.write('image', named);
    const before = directory.digests();
    const { status, stderr } = instar('resize', '--allow-path', directory.file('.'), ...words)
      .in(directory)
      .run();
    expect([status, stderr]).toEqual([1, expect.stringContaining('already part of its chain')]);
    expect(directory.digests()).toEqual(before);
  });
});
