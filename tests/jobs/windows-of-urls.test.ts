// One image behind a URL in windows: each reads the object that was planned with, or says that it is another one.
import { randomFillSync } from 'node:crypto';
import { convertJob, submit } from '@instar/jobs';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi, type TestContext } from 'vitest';
import { honest, serve, type Answer } from '../remote/server.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { startObjectStore, type ObjectStore } from '../support/object-store.js';
import { madeOnce } from '../support/made-once.js';
import { qemuImg } from '../support/qemu-img.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { bench, startServers, KINDS, type Bench } from './bench.js';
import { requireServer, type ServerKind } from './servers.js';

startServers();

const MIB = 1 << 20;
const SIZE = 12 * MIB;

let store: ObjectStore;

beforeAll(async () => {
  store = await startObjectStore();
});

afterAll(async () => {
  await store.stop();
});

const image = madeOnce((directory) => {
  directory.write('expected.raw', randomFillSync(new Uint8Array(SIZE)));
  qemuImg('convert', '-f', 'raw', '-c', '-O', 'qcow2', 'expected.raw', 'disk.qcow2').in(directory).must();
});

/** An image that is read for more than its head, whose disk is `expected.raw`, and an empty directory for outputs. */
async function setUp(
  context: TestContext,
  kind: ServerKind,
): Promise<Bench & { readonly images: Workdir; readonly out: Workdir }> {
  requireServer(context, kind);
  requireJudge(context, QEMU_IMG);
  const made = await bench(kind);
  return { ...made, images: image(workdir()), out: workdir() };
}

describe.each(KINDS)('an image behind https in windows, by %s,', (kind) => {
  it('becomes what qemu-img makes of it', async (context) => {
    const { queue, work, outcome, images, out, ended } = await setUp(context, kind);
    const server = await serve(images.read('disk.qcow2'));
    await work({ directories: [out.path], hosts: [`127.0.0.1:${server.port}`], concurrency: 2 });
    const job = convertJob({ input: server.url(), output: out.file('out.raw'), windows: 3 });
    expect(await outcome(await submit(queue, job))).toMatchObject({ state: 'done', result: { outputLength: SIZE } });
    expect(out.read('out.raw').equals(images.read('expected.raw'))).toBe(true);
    expect(out.names()).toEqual(['out.raw']);
    expect(ended.filter(({ kind }) => kind === 'window')).toHaveLength(3);
    // Only who looks at it for the first time takes what there is: all others say which object they mean.
    const [first, ...others] = server.requests;
    expect(first?.headers['if-range']).toBeUndefined();
    expect(new Set(others.map(({ headers }) => headers['if-range']))).toEqual(new Set(['"one"']));
  });

  it('becomes a compressed image, each window of which is read from there', async (context) => {
    const { queue, work, outcome, images, out } = await setUp(context, kind);
    const server = await serve(images.read('disk.qcow2'));
    await work({ directories: [out.path], hosts: [`127.0.0.1:${server.port}`], concurrency: 2 });
    const output = out.file('out.qcow2');
    const job = convertJob({ input: server.url(), output, outputFormat: 'qcow2', compress: true, windows: 3 });
    expect(await outcome(await submit(queue, job))).toMatchObject({ state: 'done' });
    expect(out.names()).toEqual(['out.qcow2']);
    qemuImg('check', '-f', 'qcow2', output).in(images).must();
    qemuImg('compare', '-f', 'raw', '-F', 'qcow2', 'expected.raw', output).in(images).must();
  });

  it.for([
    [
      'whose server sends the new one',
      (body: Uint8Array): Answer => ({ status: 200, headers: { etag: '"two"' }, body }),
    ],
    ['whose server sends ranges of the new one', (): Answer => ({ headers: { etag: '"two"' } })],
    [
      'whose server tells another length',
      (body: Uint8Array, range = ''): Answer => {
        const longer = honest(new Uint8Array(body.length + 1), range);
        return { ...longer, headers: { ...longer.headers, 'content-length': String(longer.body.length) } };
      },
    ],
  ] as const)(
    'that is changed after the plan is refused, and nothing is left: one %s',
    async ([, another], context) => {
      const { queue, work, outcome, images, out } = await setUp(context, kind);
      const bytes = images.read('disk.qcow2');
      let planned = false;
      const server = await serve(bytes, ({ range }) => (planned ? another(bytes, range) : undefined));
      await work({
        directories: [out.path],
        hosts: [`127.0.0.1:${server.port}`],
        onEnd: () => {
          planned = true;
        },
      });
      const job = convertJob({ input: server.url(), output: out.file('out.raw'), windows: 3 });
      const failed = await outcome(await submit(queue, job, { attempts: 3, backoffMs: 10 }));
      expect(failed).toMatchObject({ state: 'failed', error: { code: 'WINDOW_FAILED' } });
      expect(failed.error?.message).toBe(
        `a window came to nothing: ${JSON.stringify(server.url())} was changed while it was converted in windows`,
      );
      expect(out.names()).toEqual([]);
    },
  );

  it('of which its server does not say which one it is is not split', async (context) => {
    const { queue, work, outcome, images, out } = await setUp(context, kind);
    const server = await serve(images.read('disk.qcow2'), () => ({ headers: { etag: undefined } }));
    await work({ directories: [out.path], hosts: [`127.0.0.1:${server.port}`] });
    const job = convertJob({ input: server.url(), output: out.file('out.raw'), windows: 3 });
    const refused = await outcome(await submit(queue, job));
    expect(refused).toMatchObject({ state: 'refused', error: { code: 'INVALID_JOB' } });
    expect(refused.error?.message).toContain('gives neither ETag nor Last-Modified');
    expect(out.names()).toEqual([]);
  });

  it('on a host that the worker does not read from is refused', async (context) => {
    const { queue, work, outcome, images, out } = await setUp(context, kind);
    const server = await serve(images.read('disk.qcow2'));
    await work({ directories: [out.path] });
    const job = convertJob({ input: server.url(), output: out.file('out.raw'), windows: 3 });
    expect(await outcome(await submit(queue, job))).toMatchObject({ state: 'refused', error: { code: 'NOT_ALLOWED' } });
    expect(server.requests).toEqual([]);
  });
});

describe.each(KINDS)('an object in windows, by %s,', (kind) => {
  it.for([false, true])('that is changed after the plan: %s', async (changed, context) => {
    const { queue, work, outcome, images, out } = await setUp(context, kind);
    for (const [name, value] of Object.entries(store.environment)) vi.stubEnv(name, value);
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    await store.put('disk.qcow2', images.read('disk.qcow2'));
    let replaced: (put: Promise<void>) => void = () => undefined;
    const planned = new Promise<void>((resolve) => {
      replaced = resolve;
    });
    let looks = 0;
    store.trouble = async (request) => {
      // What comes to an object begins with a look at it: the plan does so first. Windows may do so before the plan has ended.
      if (request.startsWith('HEAD ') && changed && (looks += 1) > 1) await planned;
      return undefined;
    };
    let put: Promise<void> | undefined;
    await work({
      directories: [out.path],
      buckets: ['images'],
      onEnd: () => {
        if (!changed) return;
        put ??= store.put('disk.qcow2', Buffer.concat([images.read('disk.qcow2').subarray(0, -1), Buffer.of(1)]));
        replaced(put);
      },
    });
    const job = convertJob({ input: 's3://images/disk.qcow2', output: out.file('out.raw'), windows: 3 });
    const ended = await outcome(await submit(queue, job, { attempts: 2, backoffMs: 10 }));
    expect(ended.state).toBe(changed ? 'failed' : 'done');
    if (changed) expect(ended.error?.message).toContain('"s3://images/disk.qcow2" was changed while it was converted');
    else expect(out.read('out.raw').equals(images.read('expected.raw'))).toBe(true);
    expect(out.names()).toEqual(changed ? [] : ['out.raw']);
  });
});
