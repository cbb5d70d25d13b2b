// What goes around an attempt sees it from beginning to end, as a span of a trace has to, and has no say in what becomes of the job.
import { AsyncLocalStorage } from 'node:async_hooks';
import { inspectJob, submit, type BegunJob, type EndedJob } from '@instar/jobs';
import { expect, it } from 'vitest';
import { bench, startServers } from './bench.js';
import { requireServer } from './servers.js';

startServers();

it('sees a job begin and end, in a context of its own', async (context) => {
  requireServer(context, 'redis');
  const { queue, directory, work, outcome } = await bench('redis');
  const span = new AsyncLocalStorage<string>();
  const seen: { begun: BegunJob; ended: EndedJob; within: string | undefined }[] = [];
  await work({
    concurrency: 4,
    around: async (begun, attempt) =>
      span.run(begun.id, async () => {
        const ended = await attempt();
        // A second call is no second attempt.
        expect(await attempt()).toBe(ended);
        seen.push({ begun, ended, within: span.getStore() });
      }),
  });
  const [good, gone] = await Promise.all([
    submit(queue, inspectJob({ input: directory.file('disk.raw') })),
    submit(queue, inspectJob({ input: directory.file('nowhere') }), { attempts: 1 }),
  ]);
  expect((await outcome(good)).state).toBe('done');
  expect((await outcome(gone)).state).toBe('failed');
  expect(seen).toHaveLength(2);
  for (const { begun, ended, within } of seen) {
    expect(within).toBe(begun.id);
    expect(begun).toEqual({ id: ended.id, kind: 'inspect', attempt: 1 });
    expect(ended.state).toBe(begun.id === good ? 'done' : 'failed');
  }
});

it('that throws, before or behind the attempt, keeps no job from being done once', async (context) => {
  requireServer(context, 'redis');
  const { queue, directory, work, outcome, ended } = await bench('redis');
  let calls = 0;
  await work({
    around: (_, attempt) => {
      calls += 1;
      if (calls === 1) throw new Error('no collector');
      return attempt().then(() => Promise.reject(new Error('no collector')));
    },
  });
  for (const key of ['first', 'second']) {
    const id = await submit(queue, inspectJob({ input: directory.file('disk.raw') }), { key });
    expect((await outcome(id)).state).toBe('done');
  }
  expect([calls, ended.length]).toEqual([2, 2]);
});
