// One image in windows into an object of S3, each window its parts: the same bytes whatever happens, and no upload is left.
import { randomFillSync, randomUUID } from 'node:crypto';
import { convertJob, submit, type JobStatus } from '@instar/jobs';
import { Queue } from 'bullmq';
import PgBoss from 'pg-boss';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi, type TestContext } from 'vitest';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { startObjectStore, type ObjectStore } from '../support/object-store.js';
import { madeOnce } from '../support/made-once.js';
import { qemuImg } from '../support/qemu-img.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { bench, KINDS, startServers, until, type Bench } from './bench.js';
import { requireServer, type ServerKind } from './servers.js';

startServers();

const MIB = 1 << 20;
/** Three parts of 16 MiB, and some bytes that are no whole sector. */
const SIZE = 52 * MIB + 100;
const LENGTH = 52 * MIB + 512;

let store: ObjectStore;

beforeAll(async () => {
  store = await startObjectStore();
});

afterAll(async () => {
  await store.stop();
});

beforeEach(() => {
  store.reset();
  for (const [name, value] of Object.entries(store.environment)) vi.stubEnv(name, value);
});

afterEach(() => {
  vi.unstubAllEnvs();
});

/** An image with data in each part, and what its disk is, as qemu-img reads it. */
const image = madeOnce((directory) => {
  const bytes = new Uint8Array(SIZE);
  for (let at = 0; at < SIZE - MIB; at += 5 * MIB) randomFillSync(bytes, at, MIB + 321);
  directory.write('disk.raw', bytes);
  qemuImg('convert', '-f', 'raw', '-c', '-O', 'qcow2', 'disk.raw', 'disk.qcow2').in(directory).must();
  qemuImg('convert', '-O', 'raw', 'disk.qcow2', 'expected.raw').in(directory).must();
  directory.delete('disk.raw');
});

async function setUp(context: TestContext, kind: ServerKind): Promise<Bench & { readonly images: Workdir }> {
  requireServer(context, kind);
  requireJudge(context, QEMU_IMG);
  const made = await bench(kind);
  return { ...made, images: image(workdir()) };
}

const allowed = (
  images: Workdir,
): { readonly directories: readonly string[]; readonly buckets: readonly string[] } => ({
  directories: [images.path],
  buckets: ['images'],
});

/** The windows that lie in a queue, as their jobs have them. */
async function windowsIn(kind: ServerKind, url: string, name: string): Promise<readonly object[]> {
  if (kind === 'redis') {
    const plain = new Queue<{ readonly job: object }>(name, { connection: { url } });
    const jobs = await plain.getJobs(['prioritized', 'active', 'wait', 'completed']);
    await plain.close();
    return jobs.filter((job) => job.name === 'window').map(({ data }) => data.job);
  }
  const boss = new PgBoss({ connectionString: url, schedule: false, supervise: false });
  await boss.start();
  const found = await boss
    .getDb()
    .executeSql(`select data->'job' as job from pgboss.job where name = $1 and data->'job'->>'kind' = 'window'`, [
      name,
    ]);
  await boss.stop({ graceful: false });
  return (found.rows as readonly { readonly job: object }[]).map(({ job }) => job);
}

function states(): readonly string[] {
  return store.uploads.map(({ state }) => state);
}

describe.each(KINDS)('an image in windows into an object, by %s,', (kind) => {
  it.for([2, 4, 50])('of which %i are asked for becomes what qemu-img makes of it', async (windows, context) => {
    const { queue, work, outcome, images, ended } = await setUp(context, kind);
    await work({ ...allowed(images), concurrency: 3 });
    const [input, output] = [images.file('disk.qcow2'), `s3://images/out${windows}.raw`];
    const done = await outcome(await submit(queue, convertJob({ input, output, windows })));
    expect(done).toMatchObject({ state: 'done', result: { outputLength: LENGTH } });
    expect((await store.get(`out${windows}.raw`)).equals(images.read('expected.raw'))).toBe(true);
    expect(states()).toEqual(['completed']);
    // No part is in two windows.
    expect(ended.filter(({ kind }) => kind === 'window')).toHaveLength(Math.min(windows, 4));
    expect(store.asked.filter((line) => line.startsWith('PUT ') && line.includes('partNumber='))).toHaveLength(4);
  });

  it('from an object is that object, or is refused', async (context) => {
    const { queue, work, outcome, images } = await setUp(context, kind);
    await store.put('disk.qcow2', images.read('disk.qcow2'));
    await work({ ...allowed(images), concurrency: 2 });
    const [input, output] = ['s3://images/disk.qcow2', 's3://images/copy.raw'];
    const id = await submit(queue, convertJob({ input, output, windows: 4 }));
    expect(await outcome(id)).toMatchObject({ state: 'done' });
    expect((await store.get('copy.raw')).equals(images.read('expected.raw'))).toBe(true);
  });

  it('is done twice at once without harm', async (context) => {
    const { queue, work, outcome, images, url, name } = await setUp(context, kind);
    const sends: string[] = [];
    // The first of two that send the first part is answered when the second has come.
    store.trouble = async (request) => {
      if (!request.startsWith('PUT ') || !request.includes('partNumber=1')) return undefined;
      sends.push(request);
      await until(() => sends.length > 1);
      return undefined;
    };
    await work({
      ...allowed(images),
      concurrency: 4,
      onEnd: (job) => {
        if (job.kind !== 'convert' || job.state !== 'spread') return;
        void windowsIn(kind, url, name).then(async (windows) => {
          for (const window of windows) await queue.submit(randomUUID(), window, {});
        });
      },
    });
    const output = 's3://images/twice.raw';
    const id = await submit(queue, convertJob({ input: images.file('disk.qcow2'), output, windows: 4 }));
    expect(await outcome(id)).toMatchObject({ state: 'done', result: { outputLength: LENGTH } });
    expect(sends.length).toBeGreaterThan(1);
    expect((await store.get('twice.raw')).equals(images.read('expected.raw'))).toBe(true);
    expect(states()).toEqual(['completed']);
  });

  it('is complete where the answer to its completion is lost', async (context) => {
    const { queue, work, outcome, images } = await setUp(context, kind);
    let lost = 0;
    store.trouble = (request) =>
      request.startsWith('POST ') && request.includes('uploadId=') && (lost += 1) === 1 ? 'lost' : undefined;
    await work(allowed(images));
    const output = 's3://images/lost.raw';
    const id = await submit(queue, convertJob({ input: images.file('disk.qcow2'), output, windows: 2 }));
    expect(await outcome(id)).toMatchObject({ state: 'done', result: { outputLength: LENGTH } });
    expect(lost).toBeGreaterThan(0);
    expect((await store.get('lost.raw')).equals(images.read('expected.raw'))).toBe(true);
  });

  it('takes of a part what was sent last, also where that came while it looked', async (context) => {
    const { queue, work, outcome, images } = await setUp(context, kind);
    let told = 0;
    store.forge = (parts) =>
      (told += 1) > 2 ? parts : new Map([...parts].map(([number, part]) => [number, { ...part, etag: '"older"' }]));
    await work(allowed(images));
    const output = 's3://images/late.raw';
    const id = await submit(queue, convertJob({ input: images.file('disk.qcow2'), output, windows: 2 }));
    expect(await outcome(id)).toMatchObject({ state: 'done' });
    expect(told).toBe(4);
    expect((await store.get('late.raw')).equals(images.read('expected.raw'))).toBe(true);
  });
});

it.for([
  ['is begun for no disk that would be taken for an image, as long as nobody says what it is', undefined],
  ['is made of such a disk where somebody does', 'qcow2'],
] as const)('an upload %s', async ([, inputFormat], context) => {
  const { queue, work, outcome, images } = await setUp(context, 'postgres');
  // A disk that is itself an image.
  qemuImg('convert', '-f', 'raw', '-O', 'qcow2', 'disk.qcow2', 'nested.qcow2').in(images).must();
  await work(allowed(images));
  const job = { input: images.file('nested.qcow2'), output: 's3://images/nested.raw', windows: 2 };
  const ended = await outcome(
    await submit(queue, convertJob(inputFormat === undefined ? job : { ...job, inputFormat })),
  );
  if (inputFormat === undefined) {
    expect(ended).toMatchObject({ state: 'failed', attempts: 1, error: { code: 'OUTPUT_MISTAKABLE' } });
    expect(states()).toEqual([]);
    return;
  }
  expect(ended.state).toBe('done');
  const made = await store.get('nested.raw');
  const inner = images.read('disk.qcow2');
  expect(made.subarray(0, inner.length).equals(inner)).toBe(true);
  expect(made.subarray(inner.length).every((byte) => byte === 0)).toBe(true);
});

describe.each(KINDS)('an upload in windows that comes to nothing, by %s,', (kind) => {
  async function fails(context: TestContext, key: string, changes: (images: Workdir) => void): Promise<JobStatus> {
    const { queue, work, outcome, images } = await setUp(context, kind);
    changes(images);
    await work({ ...allowed(images), concurrency: 2 });
    const job = convertJob({ input: images.file('disk.qcow2'), output: `s3://images/${key}`, windows: 4 });
    const ended = await outcome(await submit(queue, job, { attempts: 2, backoffMs: 10 }));
    await until(() => !states().includes('open'));
    expect(states()).toEqual(['aborted']);
    expect(await store.keys()).not.toContain(key);
    return ended;
  }

  it('because a part is refused is aborted', async (context) => {
    const ended = await fails(context, 'refused.raw', () => {
      store.trouble = (request) => (request.startsWith('PUT ') && request.includes('partNumber=3') ? 403 : undefined);
    });
    expect(ended).toMatchObject({ state: 'failed', error: { code: 'WINDOW_FAILED' } });
    expect(ended.error?.message).toContain('its server does not allow it (403)');
  });

  it('because a part is missing in the end is aborted', async (context) => {
    const ended = await fails(context, 'missing.raw', () => {
      store.forge = (parts) => new Map([...parts].filter(([number]) => number !== 2));
    });
    expect(ended.error).toEqual({ code: 'WINDOW_FAILED', message: 'its upload has 3 parts, where 4 were sent' });
  });

  it('because a part is shorter than it was is aborted', async (context) => {
    const ended = await fails(context, 'short.raw', () => {
      store.forge = (parts) =>
        new Map([...parts].map(([number, part]) => [number, number === 4 ? { ...part, size: 5 } : part]));
    });
    expect(ended.error?.message).toBe(`part 4 of its upload has 5 bytes, not ${4 * MIB + 512}`);
  });

  it('because its input is changed is aborted', async (context) => {
    const ended = await fails(context, 'changed.raw', (images) => {
      store.trouble = (request) => {
        // After what was read of it, and before it is complete.
        if (request.startsWith('GET ') && request.includes('uploadId=')) images.write('disk.qcow2', 'another');
        return undefined;
      };
    });
    expect(ended).toMatchObject({ state: 'refused', error: { code: 'INPUT_CHANGED' } });
  });

  it('because it is cancelled is aborted', async (context) => {
    const { queue, work, outcome, images } = await setUp(context, kind);
    const output = 's3://images/cancelled.raw';
    const id = await submit(queue, convertJob({ input: images.file('disk.qcow2'), output, windows: 4 }));
    let cancelled: Promise<boolean> | undefined;
    store.trouble = async (request) => {
      if (request.startsWith('PUT ')) await (cancelled ??= queue.cancel(id));
      return undefined;
    };
    await work(allowed(images));
    expect(await outcome(id)).toMatchObject({ state: 'cancelled' });
    expect(await cancelled).toBe(true);
    await until(() => !states().includes('open'));
    expect(states()).toEqual(['aborted']);
    expect(await store.keys()).not.toContain('cancelled.raw');
  });
});
