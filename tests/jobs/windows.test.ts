// One image in windows, by several workers: the same bytes whatever happens to them.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  convertJob,
  idOf,
  openQueue,
  startWorker,
  submit,
  type JobQueue,
  type JobStatus,
  type Taking,
} from '@instar/jobs';
import { lockForReading } from '@instar/vmm-native';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { INSTAR } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { madeOnce } from '../support/made-once.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { Random } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { EVERY_KIND, until } from './bench.js';
import { requireServer, startServer, type QueueServer, type ServerKind } from './servers.js';

const MIB = 1 << 20;
const SIZE = 24 * MIB;
const LOCK_MS = 1500;
const ENDED: readonly JobStatus['state'][] = ['done', 'refused', 'failed', 'cancelled'];
/** Conversions of the campaign, in which workers are killed and stopped. */
const RUNS = Number(process.env['INSTAR_CHAOS'] ?? 3);

/** What is written in one run after the other. */
const KINDS_OF_RUNS = (process.env['INSTAR_CHAOS_OF'] ?? 'raw qcow2 compressed').split(' ');

const servers = new Map<ServerKind, QueueServer>();
let names = 0;

beforeAll(async () => {
  for (const kind of EVERY_KIND) {
    const server = await startServer(kind);
    if (server !== undefined) servers.set(kind, server);
  }
});

afterAll(async () => {
  for (const server of servers.values()) await server.stop();
});

/** A compressed image of data, zeros and holes over a base, and what its disk is, as qemu-img reads it. */
const makeImage = madeOnce((directory) => {
  const bytes = new Uint8Array(SIZE + 512);
  for (let at = 0; at < SIZE; at += 3 * MIB) randomFillSync(bytes, at, MIB + 4321);
  directory.write('disk.raw', bytes);
  qemuImg('convert', '-c', '-O', 'qcow2', 'disk.raw', 'disk.qcow2').in(directory).must();
  qemuIo('disk.qcow2', 'write -P 7 5M 300k', 'write -z 12M 1M').in(directory).must();
  qemuImg('convert', '-O', 'raw', 'disk.qcow2', 'expected.raw').in(directory).must();
});

async function open(
  kind: ServerKind,
): Promise<{ readonly queue: JobQueue; readonly url: string; readonly name: string }> {
  const [url, name] = [servers.get(kind)?.url ?? '', `windows${(names += 1)}`];
  const queue = await openQueue(url, name);
  onTestFinished(async () => queue.close());
  return { queue, url, name };
}

async function work(queue: JobQueue, directory: Workdir, concurrency = 3): Promise<Taking> {
  const taking = await startWorker(queue, {
    directories: [directory.path],
    sandbox: 'process',
    concurrency,
    lockMs: LOCK_MS,
  });
  onTestFinished(async () => taking.drain(0));
  return taking;
}

async function outcome(queue: JobQueue, id: string, most = 120_000): Promise<JobStatus> {
  for (const start = Date.now(); Date.now() - start < most;) {
    const status = await queue.status(id).catch(() => undefined);
    if (status !== undefined && ENDED.includes(status.state)) return status;
    await sleep(50);
  }
  throw new Error(`job ${id} does not end: ${JSON.stringify(await queue.status(id))}`);
}

function job(directory: Workdir, windows: number): ReturnType<typeof convertJob> {
  return convertJob({ input: directory.file('disk.qcow2'), output: directory.file('out.raw'), windows });
}

describe.each(EVERY_KIND)('an image in windows, by %s,', (kind) => {
  it.for([2, 7, 100])('of which there are %i becomes what qemu-img makes of it', async (windows, context) => {
    requireServer(context, kind);
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    makeImage(directory);
    const { queue } = await open(kind);
    await work(queue, directory);
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    const done = await outcome(queue, await submit(queue, job(directory, windows)));
    delay.disable();
    // What tells the queue that a worker lives is never kept waiting by an image.
    expect(delay.max / 1e6).toBeLessThan(LOCK_MS / 2);
    expect(done).toMatchObject({ state: 'done', result: { outputLength: SIZE + 512 } });
    expect(directory.read('out.raw').equals(directory.read('expected.raw'))).toBe(true);
    expect(directory.names()).toEqual(['disk.qcow2', 'disk.raw', 'expected.raw', 'out.raw']);
  });

  it('tells how many of its windows are done', async (context) => {
    requireServer(context, kind);
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    makeImage(directory);
    const { queue } = await open(kind);
    const id = await submit(queue, job(directory, 60));
    await work(queue, directory, 1);
    const seen: number[] = [];
    let total: number | undefined;
    for (let ended = false; !ended;) {
      const { state, progress } = (await queue.status(id)) ?? {};
      ended = state !== undefined && ENDED.includes(state);
      if (!ended && state === 'active' && progress !== undefined) {
        seen.push(progress.done);
        total = progress.total;
      }
      await sleep(20);
    }
    expect(total).toBeGreaterThan(10);
    expect(new Set(seen).size).toBeGreaterThan(3);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(Math.max(...seen)).toBeLessThanOrEqual(total ?? 0);
  });

  it('that is changed meanwhile is refused, and nothing is left', async (context) => {
    requireServer(context, kind);
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    makeImage(directory);
    const { queue } = await open(kind);
    const id = await submit(queue, job(directory, 6), { attempts: 1 });
    // It takes the plan, and is gone before any window.
    const planner = await startWorker(queue, {
      directories: [directory.path],
      sandbox: 'process',
      onEnd: () => {
        utimesSync(directory.file('disk.qcow2'), 1, 1);
      },
    });
    expect(await outcome(queue, id)).toMatchObject({ state: 'failed', error: { code: 'WINDOW_FAILED' } });
    await planner.drain(1000);
    expect((await queue.status(id))?.error?.message).toContain('was changed while it was converted');
    expect(directory.names()).toEqual(['disk.qcow2', 'disk.raw', 'expected.raw']);
  });

  it('that is cancelled leaves nothing', async (context) => {
    requireServer(context, kind);
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    makeImage(directory);
    const { queue } = await open(kind);
    const id = await submit(queue, job(directory, 50));
    let cancelled: Promise<boolean> | undefined;
    const taking = await startWorker(queue, {
      directories: [directory.path],
      sandbox: 'process',
      onEnd: ({ kind }) => {
        if (kind === 'window') cancelled ??= queue.cancel(id);
      },
    });
    onTestFinished(async () => taking.drain(0));
    expect(await outcome(queue, id)).toMatchObject({ state: 'cancelled' });
    expect(await cancelled).toBe(true);
    for (let tries = 0; tries < 200 && directory.names().some((name) => name.endsWith('.part')); tries += 1)
      await sleep(50);
    expect(directory.names()).toEqual(['disk.qcow2', 'disk.raw', 'expected.raw']);
  });

  it('that failed after some of its windows were done is written as a whole when it is submitted again', async (context) => {
    requireServer(context, kind);
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    makeImage(directory);
    const { queue } = await open(kind);
    const { key, attempts } = { key: 'again', attempts: 1 };
    const id = await submit(queue, job(directory, 6), { key, attempts });
    let windows = 0;
    const first = await startWorker(queue, {
      directories: [directory.path],
      sandbox: 'process',
      onEnd: ({ kind, state }) => {
        if (kind === 'window' && state === 'done' && (windows += 1) === 2)
          utimesSync(directory.file('disk.qcow2'), 1, 1);
      },
    });
    expect(await outcome(queue, id)).toMatchObject({ state: 'failed' });
    await first.drain(1000);
    expect(windows).toBe(2);
    expect(await submit(queue, job(directory, 6), { key, attempts })).toBe(id);
    await work(queue, directory);
    expect(await outcome(queue, id)).toMatchObject({ state: 'done' });
    expect(directory.read('out.raw').equals(directory.read('expected.raw'))).toBe(true);
  });

  it.for([
    [
      'another name of a file',
      (file: string, other: string): void => {
        linkSync(other, file);
      },
    ],
    [
      'a link',
      (file: string, other: string): void => {
        symlinkSync(other, file);
      },
    ],
    ['a FIFO', (file: string): void => void execFileSync('mkfifo', [file])],
  ] as const)('is written into no part that somebody else has laid there: %s', async ([, lay], context) => {
    requireServer(context, kind);
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    makeImage(directory);
    directory.write('elsewhere.raw', 'kept');
    const wanted = job(directory, 3);
    const part = directory.file(`.out.raw.instar-${idOf(wanted)}.part`);
    lay(part, directory.file('elsewhere.raw'));
    const { queue } = await open(kind);
    await work(queue, directory);
    const id = await submit(queue, wanted, { attempts: 1 });
    const ended = await outcome(queue, id);
    expect(['refused', 'failed']).toContain(ended.state);
    expect(directory.read('elsewhere.raw').toString()).toBe('kept');
    expect(directory.names()).not.toContain('out.raw');
  });

  it.for([
    [
      'a link',
      (directory: Workdir) => {
        symlinkSync('elsewhere.raw', directory.file('out.raw'));
      },
    ],
    [
      'a file with two names',
      (directory: Workdir) => {
        linkSync(directory.file('elsewhere.raw'), directory.file('out.raw'));
      },
    ],
    [
      'a directory',
      (directory: Workdir) => {
        mkdirSync(directory.file('out.raw'));
      },
    ],
  ] as const)('does not take the place of %s', async ([, make], context) => {
    requireServer(context, kind);
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    makeImage(directory);
    directory.write('elsewhere.raw', 'kept');
    make(directory);
    const before = directory.names();
    const { queue } = await open(kind);
    await work(queue, directory);
    const refused = await outcome(queue, await submit(queue, job(directory, 3)));
    expect(refused).toMatchObject({ state: 'refused', error: { code: 'NOT_ALLOWED' } });
    expect(directory.names()).toEqual(before);
    expect(directory.read('elsewhere.raw').toString()).toBe('kept');
  });

  it('leaves the mode of a file whose place it takes', async (context) => {
    requireServer(context, kind);
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    makeImage(directory);
    directory.write('out.raw', 'earlier');
    chmodSync(directory.file('out.raw'), 0o640);
    const { queue } = await open(kind);
    await work(queue, directory);
    expect(await outcome(queue, await submit(queue, job(directory, 3)))).toMatchObject({ state: 'done' });
    expect(statSync(directory.file('out.raw')).mode & 0o777).toBe(0o640);
    expect(directory.read('out.raw').equals(directory.read('expected.raw'))).toBe(true);
  });

  it('gets its name when nobody writes it any more, however late they are', async (context) => {
    requireServer(context, kind);
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    makeImage(directory);
    const { queue } = await open(kind);
    const id = await submit(queue, job(directory, 3), { attempts: 20, backoffMs: 200 });
    let late: number | undefined;
    const taking = await startWorker(queue, {
      directories: [directory.path],
      sandbox: 'process',
      onEnd: ({ state }) => {
        if (state !== 'spread') return;
        // A worker that was taken for gone, and still has the output open.
        late = openSync(directory.file(directory.names().find((name) => name.endsWith('.part')) ?? ''), 'r');
        expect(lockForReading(late)).toBe(true);
      },
    });
    onTestFinished(async () => taking.drain(0));
    await sleep(1500);
    expect(directory.names()).not.toContain('out.raw');
    closeSync(late ?? -1);
    expect(await outcome(queue, id)).toMatchObject({ state: 'done' });
    expect(directory.read('out.raw').equals(directory.read('expected.raw'))).toBe(true);
  });
});

describe.each(EVERY_KIND)('workers that are killed and stopped, and a queue that is started anew, with %s,', (kind) => {
  it(
    `come to the same bytes in each of ${RUNS} runs, and leave nothing`,
    { timeout: 60_000 + RUNS * 30_000 },
    async (context) => {
      requireServer(context, kind);
      requireJudge(context, QEMU_IMG);
      const source = new Random(Number(process.env['INSTAR_SEED'] ?? 1));
      const random = (): number => source.below(1000) / 1000;
      const directory = workdir();
      makeImage(directory);
      const images = new Map([['raw', directory.digests()['expected.raw']]]);
      const { queue, url, name } = await open(kind);
      const start = (): ChildProcess =>
        spawn(
          process.execPath,
          [
            ...[
              INSTAR,
              'worker',
              '--queue',
              url,
              '--name',
              name,
              '--directory',
              directory.path,
              '--sandbox',
              'process',
            ],
            ...['--lock-time', `${LOCK_MS}ms`, '--concurrency', '2'],
          ],
          { stdio: 'ignore' },
        );
      const workers = [start(), start()];
      onTestFinished(() => {
        for (const worker of workers) worker.kill('SIGKILL');
      });
      for (let run = 0; run < RUNS; run += 1) {
        const kindOfRun = KINDS_OF_RUNS[run % KINDS_OF_RUNS.length] ?? 'raw';
        const raw = kindOfRun === 'raw';
        const output = raw ? 'out.raw' : 'out.qcow2';
        const wanted = convertJob({
          ...job(directory, 12),
          output: directory.file(output),
          outputFormat: raw ? 'raw' : 'qcow2',
          ...(kindOfRun === 'compressed' ? { compress: true } : {}),
        });
        const id = await submit(queue, wanted, { key: `run ${run}`, attempts: 30, backoffMs: 50 });
        const ended = outcome(queue, id);
        const progress = { over: false };
        void ended.finally(() => (progress.over = true)).catch(() => undefined);
        for (let blow = 0; blow < 3 && !progress.over; blow += 1) {
          await sleep(random() * 250);
          const which = Math.floor(random() * workers.length);
          const victim = workers[which];
          const force = random();
          if (victim === undefined) continue;
          if (force < 0.5) {
            victim.kill('SIGKILL');
            workers[which] = start();
          } else if (force < 0.85) {
            victim.kill('SIGSTOP');
            setTimeout(() => victim.kill('SIGCONT'), LOCK_MS * 2 * random() + LOCK_MS);
          } else await servers.get(kind)?.restart();
        }
        const done = await ended;
        expect(done, `run ${run}`).toMatchObject({ state: 'done' });
        const { [output]: digest } = directory.digests();
        if (!images.has(kindOfRun)) {
          // The first one is judged, and all others are the same file.
          qemuImg('check', output).in(directory).must();
          qemuImg('compare', output, 'expected.raw').in(directory).must();
          images.set(kindOfRun, digest);
        }
        expect(digest, `run ${run}`).toBe(images.get(kindOfRun));
        directory.delete(output);
      }
      for (const worker of workers) worker.kill('SIGCONT');
      // What a worker has made that was taken for gone goes when it sees that the job has ended.
      await until(() => readdirSync(directory.path).length === 3);
      expect(readdirSync(directory.path).sort()).toEqual(['disk.qcow2', 'disk.raw', 'expected.raw']);
    },
  );
});
