// Edits of an image and its external data file on file systems that share blocks: one undo log holds clones of both.
import { statSync, symlinkSync } from 'node:fs';
import { closePool, IMAGE_DIRECTORY_ONLY, info } from '@instar/engine';
import { afterAll, describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { BTRFS, mounted, XFS } from '../support/file-systems.js';
import { QEMU_IMG, requireJudge, STRACE } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { noise, Random } from '../support/random.js';
import { workdir } from '../support/workdir.js';
import type { Event } from './recording.js';
import { failInTurn } from './stopped.js';
import { failInBoth, recordBoth, stopBoth, STOPPED_EDITS } from './stopped-data-files.js';

/** Stops of a run on each file system; INSTAR_CASES=800 has each place of all edits. */
const CASES = Number(process.env['INSTAR_CASES'] ?? 24);
/** Stops from which on all edits are stopped. */
const THOROUGH = 300;
const SEED = Number(process.env['INSTAR_SEED'] ?? 20261128);
const HOURS = 3_600_000;

afterAll(closePool);

const ORDINARY = /^(commit of more|convert -n), raw|^rebase, mapped/;
const STOPPED = CASES < THOROUGH ? STOPPED_EDITS.filter(({ name }) => ORDINARY.test(name)) : STOPPED_EDITS;

/** Where clones of both files were written into the log. */
function clonesOf(events: readonly Event[], lengths: readonly number[]): number[] {
  return lengths.map((length) => {
    const clone = events.find(({ kind, file, ...rest }) => {
      return file === 'log' && kind === 'write' && 'bytes' in rest && rest.bytes.length === length;
    });
    return clone?.kind === 'write' ? clone.offset : 0;
  });
}

describe.for([BTRFS, XFS])('on $name', (fileSystem) => {
  it.for(STOPPED)(
    '$name, stopped behind each write and sync of both files',
    { timeout: HOURS },
    async (stopped, context) => {
      requireJudge(context, QEMU_IMG);
      requireJudge(context, STRACE);
      const recorded = recordBoth(stopped, workdir(mounted(context, fileSystem)));
      const { image, data } = recorded.before;
      const [first = 0, second = 0] = clonesOf(recorded.events, [image.length, data.length]);
      expect(first).toBe(65_536);
      expect(second).toBeGreaterThanOrEqual(first + image.length + 65_536);
      const each = Math.ceil(CASES / STOPPED.length);
      const { problems, old, finished } = await stopBoth(recorded, each, new Random(SEED));
      expect(problems).toEqual([]);
      expect(old).toBeGreaterThan(0);
      if (each > 2 * recorded.events.length) expect(finished).toBeGreaterThan(0);
    },
  );

  it('under a kill and a failure of the system in the calls themselves', { timeout: HOURS }, async (context) => {
    requireJudge(context, QEMU_IMG);
    const place = mounted(context, fileSystem);
    const random = new Random(SEED);
    const failures = await failInTurn(context, STOPPED, Math.ceil(CASES / 8), async (edit, tools) => {
      const directory = workdir(place);
      try {
        return await failInBoth(edit, tools, directory, random);
      } finally {
        directory.remove();
      }
    });
    expect(failures).toEqual({ problems: [], missed: 0 });
  });

  it('an image whose data file is on another file system has its own clone, and records of that', async (context) => {
    requireJudge(context, QEMU_IMG);
    requireJudge(context, STRACE);
    const [here, there] = [workdir(mounted(context, fileSystem)), workdir()];
    there.write('source', noise(700_000));
    symlinkSync(there.file('data'), here.file('data'));
    const create = ['-o', `data_file=${there.file('data')},data_file_raw=on,cluster_size=4k`, 'image', '1M'];
    qemuImg('create', '-q', '-f', 'qcow2', ...create)
      .in(here)
      .must();
    qemuIo('image', 'write -q -P 3 0 500k').in(here).must();
    expect(statSync(there.file('data')).dev).not.toBe(statSync(here.file('image')).dev);
    const before = [here.read('image'), there.read('data')] as const;
    const words = ['--allow-path', there.path, '-n', '-f', 'raw', '-O', 'qcow2', there.file('source'), 'image'];
    // Killed when the log would be removed: all is written by then.
    const killed = ['-f', '-qq', '-o', there.file('calls'), '-e', 'inject=unlinkat:error=EIO:signal=SIGKILL'];
    instar('convert', ...words)
      .under('strace', ...killed)
      .in(here)
      .run();
    const log = here.read('image.instar-undo');
    const places = [64, 72].map((at) => Number(log.readBigUInt64LE(at)));
    expect([log.readUInt32LE(8), ...places]).toEqual([3, 65_536, 0]);
    expect(there.read('data').equals(before[1])).toBe(false);
    const pathPolicy = { ...IMAGE_DIRECTORY_ONLY, allowedDirectories: [here.path, there.path] };
    await info(here.file('image'), { pathPolicy });
    expect(here.read('image').equals(before[0])).toBe(true);
    expect(there.read('data').equals(before[1])).toBe(true);
    expect(here.names()).not.toContain('image.instar-undo');
  });
});
