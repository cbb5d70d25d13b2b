// Objects of an S3 server (s3rver, which the test starts) as inputs and outputs.
import { randomFillSync } from 'node:crypto';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { instar, type CommandLine } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { startObjectStore, type ObjectStore } from '../support/object-store.js';
import { qemuImg } from '../support/qemu-img.js';
import { workdir } from '../support/workdir.js';

const MIB = 1 << 20;
const RAW = randomFillSync(new Uint8Array(40 * MIB));

let store: ObjectStore;

beforeAll(async () => {
  store = await startObjectStore();
});

afterAll(async () => {
  await store.stop();
});

function withStore(command: CommandLine, at = store.url): CommandLine {
  return command.environment({ ...store.environment, AWS_ENDPOINT_URL_S3: at });
}

describe('an object', () => {
  it('is read by ranges, whatever format it has', async (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('disk.raw', RAW);
    qemuImg('convert', '-O', 'qcow2', 'disk.raw', 'disk.qcow2').in(directory).must();
    await store.put('a folder/disk+1%41.qcow2', directory.read('disk.qcow2'));
    const name = 's3://images/a folder/disk+1%41.qcow2';
    const info = await withStore(instar('info', '--json', name)).start();
    expect(info.stderr).toBe('');
    expect(JSON.parse(info.stdout)).toMatchObject({ filename: name, format: 'qcow2', 'virtual-size': RAW.length });
    const copied = await withStore(instar('dd', `if=${name}`, 'of=-', 'bs=1M', 'skip=3', 'count=9')).start();
    expect(copied.stdoutBytes.equals(RAW.subarray(3 * MIB, 9 * MIB))).toBe(true);
  });

  it('is written in parts, and is there when it is complete', async (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('disk.raw', RAW);
    qemuImg('convert', '-O', 'qcow2', 'disk.raw', 'disk.qcow2').in(directory).must();
    for (const [key, command] of [
      ['dd.raw', instar('dd', 'if=disk.qcow2', 'of=s3://images/dd.raw', 'bs=1M')],
      ['convert.raw', instar('convert', 'disk.qcow2', 's3://images/convert.raw')],
    ] as const) {
      const done = await withStore(command.in(directory)).start();
      expect(done.stderr).toBe('');
      expect(done.status).toBe(0);
      expect((await store.get(key)).equals(RAW)).toBe(true);
    }
    const small = await withStore(
      instar('dd', 'if=disk.qcow2', 'of=s3://images/small.raw', 'count=3', 'osize=5000').in(directory),
    ).start();
    expect(small.stderr).toBe('');
    expect(
      (await store.get('small.raw')).equals(Buffer.concat([RAW.subarray(0, 1536), Buffer.alloc(5000 - 1536)])),
    ).toBe(true);
    const packed = await withStore(
      instar('convert', '-O', 'vmdk', '-o', 'subformat=streamOptimized', 'disk.qcow2', 's3://images/disk.vmdk').in(
        directory,
      ),
    ).start();
    expect(packed.stderr).toBe('');
    directory.write('disk.vmdk', await store.get('disk.vmdk'));
    expect(qemuImg('compare', 'disk.vmdk', 'disk.qcow2').in(directory).must().stdout).toContain('identical');
    // Three are longer than a part.
    expect(store.uploads.map(({ path, state }) => [path, state])).toEqual([
      ['/images/dd.raw', 'completed'],
      ['/images/convert.raw', 'completed'],
      ['/images/disk.vmdk', 'completed'],
    ]);
  });

  it('goes from object to object', async () => {
    await store.put('from.raw', RAW);
    const done = await withStore(instar('dd', '-f', 'raw', 'if=s3://images/from.raw', 'of=s3://images/to.raw')).start();
    expect(done.stderr).toBe('');
    expect((await store.get('to.raw')).equals(RAW)).toBe(true);
  });

  it.for([
    [['info', 's3://images/missing'], /there is no such object, or no such bucket$/],
    [['info', 's3://images/'], /names no object/],
    [['dd', 'if=disk.raw', 'of=s3://nowhere/x', '-f', 'raw'], /there is no such object, or no such bucket$/],
    [['dd', 'if=disk.raw', 'of=https://images.example/x', '-f', 'raw'], /is read only: an output is/],
    [['convert', '-O', 'qcow2', 'disk.raw', 's3://images/x'], /a stream is raw, simg or a streamOptimized vmdk/],
    [['convert', '-n', 'disk.raw', 's3://images/x'], /an object is written as a whole/],
    [['dd', 'if=disk.raw', 'of=s3://images/x', 'seek=1', '-f', 'raw'], /seek= needs a file/],
    [['dd', 'if=-', 'of=s3://images/x'], /saves it first/],
  ] as const)('%s fails in one line', async ([args, message]) => {
    const directory = workdir().write('disk.raw', RAW.subarray(0, MIB));
    const done = await withStore(instar(...args).in(directory)).start();
    expect(done.stderr).toMatch(/^instar: [^\n]+\n$/);
    expect(done.stderr.trimEnd()).toMatch(message);
    expect(done.stderr).not.toContain('S3RVER');
    expect(done.status).toBe(1);
    expect(await store.keys()).not.toContain('x');
  });
});

/** A server in front of the store, which fails where `fails` says so, and what it was asked. */
async function failing(
  fails: (method: string, url: string, count: number) => number | undefined,
): Promise<{ readonly url: string; readonly asked: string[] }> {
  const asked: string[] = [];
  const proxy = createServer((incoming, response) => {
    const { method = '', url = '', headers } = incoming;
    asked.push(`${method} ${url}`);
    const status = fails(method, url, asked.length);
    if (status !== undefined) {
      incoming.resume();
      response.writeHead(status).end();
      return;
    }
    // The signature holds for the host that was asked, which the store is not told to compare.
    const onward = httpRequest(`${store.url}${url}`, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return { url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, asked };
}

describe('a store that fails', () => {
  it('while parts are sent: the upload is aborted, and there is no object', async () => {
    const directory = workdir().write('disk.raw', RAW);
    const { url, asked } = await failing((method, path) =>
      method === 'PUT' && path.includes('partNumber=2') ? 403 : undefined,
    );
    const done = await withStore(
      instar('dd', '-f', 'raw', 'if=disk.raw', 'of=s3://images/broken.raw', 'bs=1M').in(directory),
      url,
    ).start();
    expect(done.stderr).toBe(
      'instar: dd: s3://images/broken.raw: cannot be written: its server does not allow it (403)\n',
    );
    expect(done.status).toBe(1);
    expect(asked.filter((line) => line.startsWith('DELETE ') && line.includes('uploadId='))).toHaveLength(1);
    expect(asked.some((line) => line.startsWith('POST ') && line.includes('uploadId='))).toBe(false);
    expect(store.uploads.filter(({ path }) => path === '/images/broken.raw').map(({ state }) => state)).toEqual([
      'aborted',
    ]);
    expect(await store.keys()).not.toContain('broken.raw');
  });

  it('for a moment: what it does then counts', async () => {
    const directory = workdir().write('disk.raw', RAW);
    let failures = 0;
    const { url } = await failing((method) => (method === 'PUT' && (failures += 1) <= 2 ? 503 : undefined));
    const done = await withStore(
      instar('dd', '-f', 'raw', 'if=disk.raw', 'of=s3://images/later.raw', 'bs=1M').in(directory),
      url,
    ).start();
    expect(done.stderr).toBe('');
    expect((await store.get('later.raw')).equals(RAW)).toBe(true);
  });

  it('to say that it has made the object of its parts: it is there, and nothing is said', async () => {
    const directory = workdir().write('disk.raw', RAW);
    let lost = 0;
    store.trouble = (request) =>
      request.startsWith('POST ') && request.includes('uploadId=') && (lost += 1) === 1 ? 'lost' : undefined;
    const done = await withStore(
      instar('dd', '-f', 'raw', 'if=disk.raw', 'of=s3://images/lost.raw', 'bs=1M').in(directory),
      store.url,
    ).start();
    store.trouble = () => undefined;
    expect([done.status, done.stderr]).toEqual([0, '']);
    expect(lost).toBeGreaterThan(1);
    expect((await store.get('lost.raw')).equals(RAW)).toBe(true);
  });

  it('because the object was changed: one line, and no output', async () => {
    const directory = workdir();
    await store.put('changing.raw', RAW);
    const { url } = await failing((method, _, count) => {
      if (method === 'GET' && count > 2) return 412;
      return undefined;
    });
    const done = await withStore(
      instar('dd', '-f', 'raw', 'if=s3://images/changing.raw', 'of=out.raw', 'bs=1M').in(directory),
      url,
    ).start();
    expect(done.stderr).toBe(
      'instar: dd: s3://images/changing.raw: was changed while it was read: its ETag is another one\n',
    );
    expect(done.status).toBe(1);
    expect(directory.names()).toEqual([]);
  });
});
