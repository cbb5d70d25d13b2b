// An attempt that is another worker's by now says nothing of its job.
import { randomUUID } from 'node:crypto';
import { inspectJob } from '@instar/jobs';
import PgBoss from 'pg-boss';
import { expect, it, onTestFinished } from 'vitest';
import { bench, startServers, until } from './bench.js';
import { requireServer } from './servers.js';

startServers(['postgres']);

it.for(['done', 'failed'] as const)(
  'a worker of pg-boss that was taken for gone cannot end what another has begun with: %s',
  async (how, context) => {
    requireServer(context, 'postgres');
    const { queue, url, name, directory } = await bench('postgres');
    const boss = new PgBoss({ connectionString: url, schedule: false, supervise: false });
    await boss.start();
    onTestFinished(async () => boss.stop({ graceful: false }));
    const id = randomUUID();
    await queue.submit(id, inspectJob({ input: directory.file('disk.raw') }), { attempts: 1 });
    let late = false;
    const taking = await queue.take(
      async () => {
        // As if it had stood still, and another had the job for a second.
        const text = `update pgboss.job set started_on = now() - interval '1 s' where name = $1 and id = $2`;
        await boss.getDb().executeSql(text, [name, id]);
        late = true;
        if (how === 'failed') throw new Error('late');
        return { result: 'late' };
      },
      { concurrency: 1 },
    );
    await until(() => late);
    await taking.drain(1000);
    expect(await queue.status(id)).toMatchObject({ state: 'active', attempts: 0 });
  },
);
