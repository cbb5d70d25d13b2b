// A worker whose queue is away for good: it ends when it is told to.
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { INSTAR } from '../support/command.js';
import { workdir } from '../support/workdir.js';
import { checksumJob, openQueue, submit } from '@instar/jobs';
import { serve } from '../remote/server.js';
import { EVERY_KIND, until } from './bench.js';
import { cuttable } from './cut.js';
import { requireServer, startServer } from './servers.js';

it.for(EVERY_KIND)('a worker ends on SIGTERM where its queue is gone: %s', async (kind, context) => {
  requireServer(context, kind);
  const server = await startServer(kind);
  if (server === undefined) return;
  onTestFinished(async () => server.stop());
  const words = ['worker', '--directory', workdir().path, '--drain-time', '1s', '--concurrency', '2'];
  const child = spawn(process.execPath, [INSTAR, ...words], {
    env: { ...process.env, INSTAR_QUEUE: server.url },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let told = '';
  child.stderr.on('data', (text: Buffer) => (told += text.toString()));
  await until(() => told.includes('takes jobs'));
  await server.kill();
  await sleep(1500);
  const start = performance.now();
  child.kill('SIGTERM');
  const late = sleep(40_000).then(() => 'late');
  expect(await Promise.race([new Promise((resolve) => child.once('exit', resolve)), late]), told).toBe(0);
  // The time that jobs are given, and some for a server that might answer.
  expect(performance.now() - start).toBeLessThan(25_000);
});

it.for(EVERY_KIND)('and where a network has cut it off, with a job that goes on: %s', async (kind, context) => {
  requireServer(context, kind);
  const server = await startServer(kind);
  if (server === undefined) return;
  onTestFinished(async () => server.stop());
  const through = new URL(server.url);
  const cut = await cuttable(Number(through.port));
  through.port = String(cut.port);
  // Of it nothing comes but its head.
  const images = await serve(new Uint8Array(1 << 20), ({ number }) => (number > 0 ? { stall: true } : {}));
  const words = ['worker', '--allow-host', `127.0.0.1:${images.port}`, '--drain-time', '1s', '--stall-time', '5m'];
  const child = spawn(process.execPath, [INSTAR, ...words], {
    env: { ...process.env, INSTAR_QUEUE: through.href },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let told = '';
  child.stderr.on('data', (text: Buffer) => (told += text.toString()));
  await until(() => told.includes('takes jobs'));
  const queue = await openQueue(server.url);
  const id = await submit(queue, checksumJob({ input: images.url(), inputFormat: 'raw' }));
  await until(async () => (await queue.status(id))?.state === 'active');
  await queue.close();
  cut.pull();
  await sleep(500);
  const start = performance.now();
  child.kill('SIGTERM');
  const late = sleep(60_000).then(() => 'late');
  expect(await Promise.race([new Promise((resolve) => child.once('exit', resolve)), late]), told).toBe(0);
  // Less than the half minute that containers are given.
  expect(performance.now() - start).toBeLessThan(25_000);
});
