// The board of the example, beside a queue: what it tells, and that nothing can be changed with it.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { checksumJob, inspectJob, submit } from '@instar/jobs';
import { expect, it, onTestFinished } from 'vitest';
import { ROOT } from '../support/command.js';
import { bench, startServers, until } from './bench.js';
import { requireServer } from './servers.js';

startServers();

it('shows jobs with their reasons and figures for Prometheus, and changes nothing', async (context) => {
  requireServer(context, 'redis');
  const { queue, url, name, directory, work, outcome } = await bench('redis');
  await work();
  const done = await submit(queue, checksumJob({ input: directory.file('disk.raw'), inputFormat: 'raw' }));
  const failed = await submit(queue, inspectJob({ input: directory.file('missing') }), { attempts: 1 });
  expect([(await outcome(done)).state, (await outcome(failed)).state]).toEqual(['done', 'failed']);

  const environment = { ...process.env, INSTAR_QUEUE: url, INSTAR_QUEUE_NAME: name, BOARD_PORT: '0' };
  const program = join(ROOT, 'examples/many-machines/board/board.mjs');
  const board = spawn(process.execPath, [program], { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void board.kill('SIGKILL'));
  let told = '';
  board.stdout.on('data', (text: Buffer) => (told += text.toString()));
  await until(() => told.includes('http://'));
  const at = /http:\/\/127\.0\.0\.1:\d+/.exec(told)?.[0] ?? '';

  expect(await (await fetch(at)).text()).toContain('<title>instar</title>');
  const figures = await fetch(`${at}/metrics`);
  expect(figures.headers.get('content-type')).toContain('text/plain');
  const lines = (await figures.text()).split('\n');
  expect(lines).toContain('instar_jobs{state="done"} 1');
  expect(lines).toContain('instar_jobs{state="failed"} 1');

  const listed = await fetch(`${at}/api/queues?activeQueue=${name}&status=failed&page=1&jobsPerPage=10`);
  const { queues } = (await listed.json()) as { readonly queues: readonly [{ readonly jobs: readonly object[] }] };
  expect(queues[0].jobs).toMatchObject([{ id: failed }]);
  expect(JSON.stringify(queues[0].jobs)).toContain('READ_FAILED');

  for (const action of ['clean/completed', 'retry/failed', 'pause', 'empty', 'obliterate']) {
    const method = 'PUT';
    const refused = await fetch(`${at}/api/queues/${name}/${action}`, { method });
    expect(refused.ok, action).toBe(false);
  }
  const { status } = await fetch(`${at}/api/queues/${name}/${failed}/retry/failed`, { method: 'PUT' });
  expect(status).toBeGreaterThanOrEqual(400);
  expect(await queue.counts()).toMatchObject({ waiting: 0, active: 0, done: 1, failed: 1 });

  board.kill('SIGTERM');
  expect(await new Promise((resolve) => board.once('exit', resolve))).toBe(0);
});
