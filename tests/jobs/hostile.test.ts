// What anybody who can write into a queue may leave there, and places that cannot be written: each is told in one line.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { Queue } from 'bullmq';
import { checksumJob, convertJob, inspectJob, submit } from '@instar/jobs';
import PgBoss from 'pg-boss';
import { describe, expect, it, onTestFinished } from 'vitest';
import { serve } from '../remote/server.js';
import { skipLoudly } from '../support/judge.js';
import { bench, KINDS, RAW, startServers } from './bench.js';
import { requireServer, type ServerKind } from './servers.js';

startServers();

/** Data that no job of ours has. */
const FORGED: readonly unknown[] = [null, 'x', 7, [1], {}, { job: null }, { job: [], spread: 'x', partOf: {} }];

/** Lays data into a queue, past the package. @returns the ids */
async function forge(kind: ServerKind, url: string, name: string): Promise<readonly string[]> {
  const ids = FORGED.map((_, index) => `00000000-0000-8000-8000-${String(index).padStart(12, '0')}`);
  if (kind === 'redis') {
    const { hostname: host, port } = new URL(url);
    const queue = new Queue(name, { connection: { host, port: Number(port) } });
    for (const [index, data] of FORGED.entries()) await queue.add('x', data, { jobId: ids[index] ?? '' });
    await queue.close();
    return ids;
  }
  const boss = new PgBoss({ connectionString: url, schedule: false, supervise: false });
  await boss.start();
  for (const [index, data] of FORGED.entries()) {
    // Its client takes text for JSON that is written already.
    await boss.send(name, JSON.stringify(data) as unknown as object, { id: ids[index] ?? '' });
  }
  await boss.stop({ graceful: false });
  return ids;
}

describe.each(KINDS)('in %s', (kind) => {
  it('what is not a job at all is refused, and the queue tells of it and of the others', async (context) => {
    requireServer(context, kind);
    const { queue, url, name, directory, work, outcome } = await bench(kind);
    const ids = await forge(kind, url, name);
    for (const id of ids) expect(await queue.status(id)).toMatchObject({ id, state: 'waiting' });
    await work();
    const ended = await Promise.all(ids.map(outcome));
    expect(ended.map(({ state, error }) => [state, error?.code])).toEqual(ids.map(() => ['refused', 'INVALID_JOB']));
    const good = await submit(queue, inspectJob({ input: directory.file('disk.raw') }));
    expect(await outcome(good)).toMatchObject({ state: 'done' });
    expect(await queue.failed(20)).toEqual([]);
  });

  it('a host that is allowed is its usual port, and no other that listens there', async (context) => {
    requireServer(context, kind);
    const { queue, work, outcome } = await bench(kind);
    const server = await serve(RAW);
    await work({ hosts: ['127.0.0.1', 'images.example:8443'] });
    const jobs = [server.url(), 'http://127.0.0.1:6379/x', 'https://images.example/x', 'https://images.example:443/x'];
    for (const input of jobs) {
      const id = await submit(queue, checksumJob({ input, inputFormat: 'raw' }));
      expect(await outcome(id), input).toMatchObject({ state: 'refused', error: { code: 'NOT_ALLOWED' } });
    }
    expect(server.requests).toEqual([]);
  });

  it('an output for which there is no room is named, and leaves nothing', async (context) => {
    requireServer(context, kind);
    const { queue, directory, work, outcome } = await bench(kind);
    const small = directory.file('small');
    mkdirSync(small);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small], { stdio: 'ignore' });
    } catch {
      skipLoudly(context, 'a small file system needs the right to mount one');
      return;
    }
    onTestFinished(() => void execFileSync('umount', ['-l', small]));
    await work();
    const input = directory.file('disk.qcow2');
    const tries = { attempts: 2, backoffMs: 20 };
    for (const windows of [1, 4]) {
      const output = `${small}/out${windows}.raw`;
      const failed = await outcome(await submit(queue, convertJob({ input, output, windows }), tries));
      expect(failed).toMatchObject({ state: 'failed' });
      expect(failed.error?.message).toContain('no space left on device');
      expect(failed.error?.message).toContain(`out${windows}.raw`);
      expect(failed.error?.message).not.toContain('/proc/');
      expect(execFileSync('ls', ['-A', small], { encoding: 'utf8' })).toBe('');
    }
    execFileSync('mount', ['-o', 'remount,ro', small]);
    for (const windows of [1, 4]) {
      const job = convertJob({ input, output: `${small}/read-only${windows}.raw`, windows });
      const failed = await outcome(await submit(queue, job, tries));
      expect(failed).toMatchObject({ state: 'failed', attempts: 2, error: { code: 'WRITE_FAILED' } });
      expect(failed.error?.message).toMatch(/read-only\d\.raw.*EROFS/);
    }
  });
});
