// Stores that fail, and a network that is cut between workers and their queue: the same bytes each time, and nothing is left.
import { createHash, randomFillSync } from 'node:crypto';
import { spawn, type ChildProcess } from 'node:child_process';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { checksumJob, convertJob, submit } from '@instar/jobs';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { INSTAR } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { startObjectStore, type ObjectStore } from '../support/object-store.js';
import { qemuImg } from '../support/qemu-img.js';
import { Random } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { bench, startServers, until } from './bench.js';
import { cuttable } from './cut.js';
import { networkNamespace } from './namespace.js';
import { requireServer } from './servers.js';

startServers();

const MIB = 1 << 20;
/** Two parts of an upload, and some. */
const RAW = randomFillSync(new Uint8Array(36 * MIB));
const SUM = createHash('sha256').update(RAW).digest('hex');
/** Enough for each way of being cut off; INSTAR_CHAOS takes more. */
const RUNS = Number(process.env['INSTAR_CHAOS'] ?? 2);
const TIMEOUT_MS = 180_000 + RUNS * 60_000;
const SEED = Number(process.env['INSTAR_SEED'] ?? 1);
const STALL_MS = 400;
const LOCK_MS = 1500;

let store: ObjectStore;

beforeAll(async () => {
  store = await startObjectStore();
});

afterAll(async () => {
  await store.stop();
});

/** How a store answers a request. */
type Mood = 'well' | 500 | 503 | 'stalls' | 'breaks' | 'slow';

/** A server in front of the store, in a mood for each request. */
async function moody(
  moodOf: (method: string) => Mood,
): Promise<{ readonly url: string; readonly moods: Set<Mood>; readonly asked: string[] }> {
  const moods = new Set<Mood>();
  const asked: string[] = [];
  const proxy = createServer((incoming, response) => {
    const { method = '', url = '', headers } = incoming;
    const mood = moodOf(method);
    moods.add(mood);
    asked.push(`${method} ${url}`);
    incoming.on('error', () => undefined);
    response.on('error', () => undefined);
    if (mood === 'stalls') {
      incoming.resume();
      return;
    }
    if (typeof mood === 'number') {
      incoming.resume();
      response.writeHead(mood).end();
      return;
    }
    const onward = httpRequest(`${store.url}${url}`, { method, headers }, (answer) => {
      answer.on('error', () => undefined);
      const pass = async (): Promise<void> => {
        if (mood === 'slow') await sleep(STALL_MS / 2);
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        if (mood === 'breaks') {
          response.flushHeaders();
          await sleep(5);
          response.destroy();
          return;
        }
        answer.pipe(response);
      };
      void pass();
    });
    onward.on('error', () => response.destroy());
    // Who does not want the rest leaves the store alone, too.
    response.once('close', () => onward.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return { url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, moods, asked };
}

function worker(
  url: string,
  name: string,
  directory: Workdir,
  environment: NodeJS.ProcessEnv = {},
  enter: readonly string[] = [],
): ChildProcess {
  const words = ['worker', '--name', name, '--directory', directory.path, '--allow-bucket', 'images'];
  const times = ['--stall-time', `${STALL_MS}ms`, '--lock-time', `${LOCK_MS}ms`, '--concurrency', '2'];
  const [program, ...rest]: readonly string[] = [
    ...enter,
    process.execPath,
    INSTAR,
    ...words,
    ...times,
    '--sandbox',
    'process',
  ];
  const child: ChildProcess = spawn(program ?? '', rest, {
    env: { ...process.env, INSTAR_QUEUE: url, ...environment },
    stdio: 'ignore',
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

async function sumOf(key: string): Promise<string> {
  return createHash('sha256')
    .update(await store.get(key))
    .digest('hex');
}

describe('a store that answers 500, 503, late, never or half', () => {
  it(
    `comes to the same bytes in each of ${RUNS} runs, and keeps no upload`,
    { timeout: TIMEOUT_MS },
    async (context) => {
      requireServer(context, 'redis');
      requireJudge(context, QEMU_IMG);
      const { queue, url, name, outcome } = await bench('redis');
      const directory = workdir().write('disk.raw', RAW);
      qemuImg('convert', '-O', 'qcow2', 'disk.raw', 'disk.qcow2').in(directory).must();
      await store.put('disk.qcow2', directory.read('disk.qcow2'));
      const random = new Random(SEED);
      const bad: readonly Mood[] = [500, 503, 'stalls', 'breaks', 'slow'];
      const {
        url: at,
        moods,
        asked,
      } = await moody(() => (random.below(100) < 25 ? (bad[random.below(bad.length)] ?? 500) : 'well'));
      worker(url, name, directory, {
        ...store.environment,
        AWS_ENDPOINT_URL_S3: at,
      });
      for (let run = 0; run < RUNS; run += 1) {
        const tries = { attempts: 30, backoffMs: 20, key: `run ${run}` };
        const [up, down] = [`s3://images/out${run}.raw`, directory.file('down.raw')];
        const jobs = [
          convertJob({ input: directory.file('disk.qcow2'), output: up }),
          convertJob({ input: 's3://images/disk.qcow2', output: down }),
          checksumJob({ input: 's3://images/disk.qcow2' }),
          convertJob({ input: 's3://images/disk.qcow2', output: `s3://images/windows${run}.raw`, windows: 3 }),
        ];
        const ids = await Promise.all(
          jobs.map(async (job, index) => submit(queue, job, { ...tries, key: `${run} ${index}` })),
        );
        const ended = await Promise.all(ids.map(outcome));
        expect(
          ended.map(({ state, error }) => [state, error]),
          `run ${run}`,
        ).toEqual(ids.map(() => ['done', undefined]));
        expect(ended[2], `run ${run}`).toMatchObject({ result: { checksum: SUM } });
        expect(await sumOf(`out${run}.raw`), `run ${run}`).toBe(SUM);
        expect(await sumOf(`windows${run}.raw`), `run ${run}`).toBe(SUM);
        expect(directory.digests()['down.raw'], `run ${run}`).toBe(directory.digests()['disk.raw']);
        directory.delete('down.raw');
        const made = ['disk.qcow2', `out${run}.raw`, `windows${run}.raw`];
        expect([...(await store.keys())].sort(), `run ${run}`).toEqual(made);
        for (const key of made.slice(1)) await store.remove(key);
      }
      expect(moods.size).toBeGreaterThan(3);
      expect(directory.names()).toEqual(['disk.qcow2', 'disk.raw']);
      // Of an upload whose number was lost on the way nobody knows: each that got a part was told its end.
      const of = (method: string): ReadonlySet<string> =>
        new Set(asked.flatMap((line) => new RegExp(`^${method} .*[?&]uploadId=([^&]+)`).exec(line)?.[1] ?? []));
      const ends = [...of('POST'), ...of('DELETE')];
      expect(of('PUT').size).toBeGreaterThanOrEqual(RUNS);
      for (const id of of('PUT')) expect(ends).toContain(id);
    },
  );

  it('for good, is given up with its reason: no job waits without end', async (context) => {
    requireServer(context, 'redis');
    const { queue, url, name, directory, outcome } = await bench('redis');
    await store.put('stuck.raw', RAW.subarray(0, MIB));
    let told = 0;
    // It tells what there is, and then no more.
    const { url: at } = await moody((method) => (method === 'HEAD' ? 'well' : ((told += 1), 'stalls')));
    worker(url, name, directory, {
      ...store.environment,
      AWS_ENDPOINT_URL_S3: at,
    });
    const tries = { attempts: 2, backoffMs: 20 };
    const reads = await submit(queue, checksumJob({ input: 's3://images/stuck.raw', inputFormat: 'raw' }), tries);
    const writes = await submit(
      queue,
      convertJob({ input: directory.file('disk.qcow2'), output: 's3://images/never' }),
      tries,
    );
    expect(await outcome(reads)).toMatchObject({ state: 'failed', attempts: 2, error: { code: 'READ_FAILED' } });
    expect(await outcome(writes)).toMatchObject({ state: 'failed', attempts: 2, error: { code: 'WRITE_FAILED' } });
    expect(told).toBeGreaterThan(2);
    expect(await store.keys()).not.toContain('never');
  });
});

describe('an object that workers write who are killed or stopped', () => {
  it(`is the same in each of ${RUNS} runs`, { timeout: TIMEOUT_MS }, async (context) => {
    requireServer(context, 'redis');
    requireJudge(context, QEMU_IMG);
    store.reset();
    const { queue, url, name, outcome } = await bench('redis');
    const directory = workdir().write('disk.raw', RAW);
    qemuImg('convert', '-c', '-O', 'qcow2', 'disk.raw', 'disk.qcow2').in(directory).must();
    const start = (): ChildProcess => worker(url, name, directory, store.environment);
    const workers = [start(), start()];
    const random = new Random(SEED);
    for (let run = 0; run < RUNS; run += 1) {
      const job = convertJob({ input: directory.file('disk.qcow2'), output: `s3://images/killed${run}`, windows: 3 });
      const id = await submit(queue, job, { attempts: 30, backoffMs: 50 });
      const progress = { over: false };
      const ended = outcome(id).finally(() => (progress.over = true));
      for (let blow = 0; blow < 3 && !progress.over; blow += 1) {
        await sleep(random.below(600));
        const which = random.below(workers.length);
        const victim = workers[which];
        if (random.below(100) < 60) {
          victim?.kill('SIGKILL');
          workers[which] = start();
        } else {
          victim?.kill('SIGSTOP');
          setTimeout(() => victim?.kill('SIGCONT'), LOCK_MS + random.below(2 * LOCK_MS));
        }
      }
      expect(await ended, `run ${run}`).toMatchObject({ state: 'done', result: { outputLength: RAW.length } });
      expect(await sumOf(`killed${run}`), `run ${run}`).toBe(SUM);
      await store.remove(`killed${run}`);
    }
    // Who was killed between an upload's beginning and the note of it leaves one without parts.
    const left = store.uploads.filter(({ state, parts }) => state === 'open' && parts.size > 0);
    expect(left).toEqual([]);
    expect(store.uploads.filter(({ state }) => state === 'completed')).toHaveLength(RUNS);
  });
});

describe('a network that is cut between workers and their queue', () => {
  it.for([
    ['redis', 'proxy'],
    ['postgres', 'proxy'],
    ['redis', 'namespace'],
    ['postgres', 'namespace'],
  ] as const)(`loses no job in ${RUNS} runs: %s, by a %s`, { timeout: TIMEOUT_MS }, async ([kind, means], context) => {
    requireServer(context, kind);
    requireJudge(context, QEMU_IMG);
    const { queue, url, name, outcome } = await bench(kind);
    const directory = workdir().write('disk.raw', RAW);
    qemuImg('convert', '-c', '-O', 'qcow2', 'disk.raw', 'disk.qcow2').in(directory).must();
    const port = Number(new URL(url).port);
    const cut = means === 'proxy' ? await cuttable(port) : await networkNamespace(context, port);
    if (cut === undefined) return;
    const through = new URL(url);
    through.port = String(cut.port);
    through.hostname = cut.host;
    worker(through.href, name, directory, {}, cut.enter);
    await until(() => cut.connections() > 0);
    worker(url, name, directory);
    const random = new Random(SEED);
    for (let run = 0; run < RUNS; run += 1) {
      const output = directory.file('out.raw');
      const tries = { attempts: 30, backoffMs: 50, expireMs: 30_000 };
      const ids = await Promise.all([
        submit(queue, convertJob({ input: directory.file('disk.qcow2'), output, windows: 8 }), tries),
        submit(queue, checksumJob({ input: directory.file('disk.qcow2') }), tries),
      ]);
      await sleep(random.below(300));
      if (run % 2 === 0) cut.pull();
      else cut.refuse();
      await sleep(random.below(2 * LOCK_MS));
      cut.mend();
      const ended = await Promise.all(ids.map(outcome));
      expect(
        ended.map(({ state, error }) => [state, error]),
        `run ${run}`,
      ).toEqual(ids.map(() => ['done', undefined]));
      expect(ended[1], `run ${run}`).toMatchObject({ result: { checksum: SUM } });
      await until(() => !directory.names().some((file) => file.startsWith('.')));
      expect(directory.names(), `run ${run}`).toEqual(['disk.qcow2', 'disk.raw', 'out.raw']);
      expect(directory.digests()['out.raw'], `run ${run}`).toBe(directory.digests()['disk.raw']);
      directory.delete('out.raw');
    }
    expect(await queue.counts()).toMatchObject({ waiting: 0, active: 0, failed: 0 });
  });
});
