// The service of docs/safe-uploads.md under load, with hostile images among the others. INSTAR_UPLOADS is another number of
// requests (500 is what a release wants).
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { readdirSync } from 'node:fs';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createUploadService } from '../../examples/upload-service/upload-service.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { Workdir } from '../support/workdir.js';

const REQUESTS = Number(process.env['INSTAR_UPLOADS'] ?? 40);
const AT_ONCE = 16;
const MIB = 1 << 20;

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

describe('the upload service', () => {
  const directory = new Workdir();
  let server: Awaited<ReturnType<typeof createUploadService>>;
  let url = '';
  const kept = (): readonly string[] => readdirSync(directory.file('kept')).filter((name) => name.endsWith('.qcow2'));
  const leftover = (): readonly string[] => readdirSync(directory.file('kept/incoming'));

  beforeAll(async () => {
    const limits = { uploadBytes: 4 * MIB, diskBytes: 64 * MIB, stepMs: 30_000, atOnce: 2 };
    server = await createUploadService(directory.file('kept'), limits);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/images`;
  });

  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    directory.remove();
  });

  async function post(image: Uint8Array<ArrayBuffer>): Promise<Answer> {
    const response = await fetch(url, { method: 'POST', body: image });
    return { status: response.status, body: (await response.json()) as Answer['body'] };
  }

  it('gives right answers to many at once, and leaves nothing behind', async (context) => {
    requireJudge(context, QEMU_IMG);
    directory.write('disk.raw', noise(MIB)).write('secret', 'secret');
    qemuImg('convert', '-O', 'qcow2', 'disk.raw', 'disk.qcow2').in(directory).must();
    qemuImg('create', '-q', '-f', 'qcow2', '-b', '/etc/passwd', '-F', 'raw', '-u', 'thief.qcow2', '1M')
      .in(directory)
      .must();
    qemuImg('create', '-q', '-f', 'qcow2', 'bomb.qcow2', '1T').in(directory).must();
    const cut = directory.read('disk.qcow2').subarray(0, MIB / 2);
    const kinds: readonly (readonly [image: Uint8Array<ArrayBuffer>, status: number, code: string | undefined])[] = [
      [new Uint8Array(directory.read('disk.qcow2')), 201, undefined],
      [new Uint8Array(directory.read('thief.qcow2')), 422, 'IMAGE_NOT_SAFE'],
      [new Uint8Array(cut), 422, 'IMAGE_NOT_SAFE'],
      [new Uint8Array(directory.read('bomb.qcow2')), 422, 'LIMIT_EXCEEDED'],
      [new Uint8Array(directory.read('disk.raw')), 201, undefined],
    ];
    let next = 0;
    let wanted = 0;
    const worker = async (): Promise<void> => {
      while (next < REQUESTS) {
        const [image, status, code] = kinds[next++ % kinds.length] ?? [];
        if (image === undefined) throw new RangeError('no image');
        if (status === 201) wanted += 1;
        const answer = await post(image);
        expect(answer).toMatchObject({ status, body: code === undefined ? { virtualSize: MIB } : { code } });
        expect(JSON.stringify(answer.body)).not.toContain(directory.path);
      }
    };
    await worker0(kinds[0]?.[0], post);
    global.gc?.();
    const before = process.memoryUsage().rss;
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * MIB);
    expect(kept()).toHaveLength(wanted + 1);
    expect(leftover()).toEqual([]);
    const [one = ''] = kept();
    qemuImg('check', `kept/${one}`).in(directory).must();
  });

  it('tells how far it is as events', async () => {
    const response = await fetch(url, {
      method: 'POST',
      body: new Uint8Array(noise(MIB)),
      headers: { accept: 'text/event-stream' },
    });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(await response.text()).toMatch(
      /event: done\ndata: \{"id":"[^"]+","format":"raw","virtualSize":1048576\}\n\n$/,
    );
  });

  it('ends an upload that is too long', async () => {
    const status = await new Promise<number | string>((resolve) => {
      const sent = request(url, { method: 'POST', agent: false }, (response) => {
        resolve(response.statusCode ?? 0);
        response.resume();
      });
      sent.on('error', (error) => {
        resolve(error.message);
      });
      for (let at = 0; at < 6; at += 1) sent.write(Buffer.alloc(MIB));
      sent.end();
    });
    expect([413, 'read ECONNRESET', 'write EPIPE', 'socket hang up', 'write ECONNRESET']).toContain(status);
    await expect.poll(leftover).toEqual([]);
  });

  it('stops working for who went away', async () => {
    const before = kept().length;
    const sent = request(url, { method: 'POST', agent: false });
    sent.on('error', () => undefined);
    sent.write(Buffer.alloc(MIB));
    await expect.poll(() => leftover().length, { timeout: 10_000 }).toBe(1);
    sent.destroy();
    await expect.poll(() => leftover().length, { timeout: 10_000 }).toBe(0);
    expect(kept()).toHaveLength(before);
  });
});

/** One before the others: what the first request loads is not growth. */
async function worker0(
  image: Uint8Array<ArrayBuffer> | undefined,
  post: (image: Uint8Array<ArrayBuffer>) => Promise<Answer>,
): Promise<void> {
  if (image !== undefined) expect((await post(image)).status).toBe(201);
}
