import { JobsError } from './errors.js';
import type { JobQueue } from './queue.js';

const DEFAULT_NAME = 'instar';

/**
 * Opens a queue by its URL: `redis://` and `rediss://` (BullMQ), `postgres://` and `postgresql://` (pg-boss), `bullmq+postgres://`
 * and `bullmq+postgresql://` (BullMQ in PostgreSQL).
 * @param name several queues may lie in one server
 * @throws JobsError `INVALID_OPTION`, `QUEUE_UNAVAILABLE`
 */
export async function openQueue(url: string, name: string = DEFAULT_NAME): Promise<JobQueue> {
  if (!/^[\w-]{1,40}$/.test(name)) {
    throw new JobsError('INVALID_OPTION', 'the name of a queue has 1 to 40 letters, digits, _ and -');
  }
  const [scheme] = /^[a-z+]+(?=:\/\/)/.exec(url) ?? [];
  switch (scheme) {
    case 'redis':
    case 'rediss': {
      const { openBullQueue } = await import('./bullmq.js');
      return openBullQueue(url, name);
    }
    case 'bullmq+postgres':
    case 'bullmq+postgresql': {
      const { openBullQueue } = await import('./bullmq.js');
      return openBullQueue(url.slice('bullmq+'.length), name);
    }
    case 'postgres':
    case 'postgresql': {
      const { openPgBossQueue } = await import('./pg-boss.js');
      return openPgBossQueue(url, name);
    }
    default:
      throw new JobsError(
        'INVALID_OPTION',
        'a queue is redis://…, rediss://…, postgres://…, postgresql://… or bullmq+postgres://…',
      );
  }
}
