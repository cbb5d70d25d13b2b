// What anybody who can write into a queue may leave there, and places that cannot be written: each is told in one line.
import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { Queue } from 'bullmq';
import { checksumJob, convertJob, inspectJob, submit } from '@instar/jobs';
import PgBoss from 'pg-boss';
import { describe, expect, it, onTestFinished } from 'vitest';
import { serve } from '../remote/server.js';
import { holdImage } from '../support/holder.js';
import { QEMU_IMG, requireJudge, skipLoudly } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { bench, KINDS, RAW, startServers, until } from './bench.js';
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
    const asked = jobs.map(async (input) => {
      const id = await submit(queue, checksumJob({ input, inputFormat: 'raw' }));
      expect(await outcome(id), input).toMatchObject({ state: 'refused', error: { code: 'NOT_ALLOWED' } });
    });
    await Promise.all(asked);
    expect(server.requests).toEqual([]);
  });

  it.for(['raw', 'qcow2', 'compressed'])(
    'an output that the input reads, or that a machine uses, stays as it is: %s',
    async (output, context) => {
      requireServer(context, kind);
      requireJudge(context, QEMU_IMG);
      const { queue, directory, work, outcome } = await bench(kind);
      qemuImg('create', '-q', '-f', 'qcow2', '-b', 'disk.qcow2', '-F', 'qcow2', 'top.qcow2').in(directory).must();
      qemuImg('create', '-q', '-f', 'qcow2', 'used.qcow2', '8M').in(directory).must();
      await holdImage(directory, 'used.qcow2');
      const before = directory.digests();
      const inode = statSync(directory.file('used.qcow2')).ino;
      await work({ references: true, concurrency: 3 });
      const format = output === 'raw' ? 'raw' : 'qcow2';
      const made = { outputFormat: format, ...(output === 'compressed' ? { compress: true } : {}) } as const;
      for (const windows of [1, 4]) {
        for (const [name, code, state] of [
          ['disk.qcow2', 'SAME_FILE', 'refused'],
          ['top.qcow2', 'SAME_FILE', 'refused'],
          ['used.qcow2', 'INPUT_IN_USE', 'failed'],
        ] as const) {
          const job = { input: directory.file('top.qcow2'), output: directory.file(name), windows, ...made };
          const id = await submit(queue, convertJob(job), { attempts: 2, backoffMs: 20 });
          expect(await outcome(id), `${windows} ${name}`).toMatchObject({ state, error: { code } });
        }
      }
      expect(directory.digests()).toEqual(before);
      expect(statSync(directory.file('used.qcow2')).ino).toBe(inode);
    },
  );

  it('an output that a machine begins to use while its windows are written stays as it is', async (context) => {
    requireServer(context, kind);
    requireJudge(context, QEMU_IMG);
    const { queue, directory, work, outcome } = await bench(kind);
    const [input, output] = [directory.file('disk.qcow2'), directory.file('used.qcow2')];
    const id = await submit(queue, convertJob({ input, output, windows: 40 }), { attempts: 2, backoffMs: 20 });
    qemuImg('create', '-q', '-f', 'qcow2', 'used.qcow2', '8M').in(directory).must();
    const inode = statSync(output).ino;
    await work({ concurrency: 1 });
    await until(() => directory.names().some((name) => name.endsWith('.part')));
    await holdImage(directory, 'used.qcow2');
    expect(await outcome(id)).toMatchObject({ state: 'failed', error: { code: 'INPUT_IN_USE' } });
    expect(statSync(output).ino).toBe(inode);
    expect(directory.names()).toEqual(['disk.qcow2', 'disk.raw', 'used.qcow2']);
  });

  it('an output that is named by two dots is in no directory of a worker, nor is what would lie beside it', async (context) => {
    requireServer(context, kind);
    const { queue, directory, work, outcome } = await bench(kind);
    await work();
    const input = directory.file('disk.qcow2');
    const asked = [1, 4].flatMap((windows) =>
      [`${directory.path}/..`, `${directory.path}/.`].map(async (output) => {
        const id = await submit(queue, convertJob({ input, output, windows }));
        expect(await outcome(id), output).toMatchObject({ state: 'refused', error: { code: 'NOT_ALLOWED' } });
      }),
    );
    await Promise.all(asked);
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
    const asked = [1, 4].map(async (windows) => {
      const job = convertJob({ input, output: `${small}/read-only${windows}.raw`, windows });
      const failed = await outcome(await submit(queue, job, tries));
      expect(failed).toMatchObject({ state: 'failed', attempts: 2, error: { code: 'WRITE_FAILED' } });
      expect(failed.error?.message).toMatch(/read-only\d\.raw.*EROFS/);
    });
    await Promise.all(asked);
  });
});
