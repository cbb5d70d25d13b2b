// A worker whose queue is away for good: it ends when it is told to.
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { INSTAR } from '../support/command.js';
import { workdir } from '../support/workdir.js';
import { EVERY_KIND, until } from './bench.js';
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
