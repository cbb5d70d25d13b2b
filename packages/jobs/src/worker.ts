import { closePool } from '@instar/engine';
import { JobsError } from './errors.js';
import { idOf, parseJob, type Job } from './payloads.js';
import type { JobQueue, QueuingOptions, Taking, TakingOptions } from './queue.js';
import { handlerOf, type WorkerOptions } from './run.js';

/** How a job is submitted. */
export interface SubmitOptions extends QueuingOptions {
  /**
   * Who submits a job of the same key again gets the same job, also when it is done. Without a key it is the same job only
   * until it has ended: what it was done with may be another by then, or what it made be gone.
   */
  readonly key?: string | undefined;
}

/**
 * Queues a job, once. One that was refused, failed or was cancelled begins anew; without a key one that is done as well.
 * @returns its id
 * @throws JobsError `INVALID_JOB`, `QUEUE_UNAVAILABLE`
 */
export async function submit(queue: JobQueue, job: Job, options: SubmitOptions = {}): Promise<string> {
  const checked = parseJob(job);
  const { key, ...queuing } = options;
  checkOptions(queuing);
  const id = idOf(key === undefined ? checked : `key ${key}`);
  await queue.submit(id, checked, { ...queuing, anew: key === undefined });
  return id;
}

function checkOptions({ priority = 0, attempts = 1, backoffMs = 0 }: QueuingOptions): void {
  const within = (value: number, least: number, most: number): boolean =>
    Number.isInteger(value) && value >= least && value <= most;
  if (!within(priority, -1000, 1000)) throw new JobsError('INVALID_OPTION', 'priority: an integer from -1000 to 1000');
  if (!within(attempts, 1, 100)) throw new JobsError('INVALID_OPTION', 'attempts: an integer from 1 to 100');
  if (!within(backoffMs, 0, 3_600_000)) throw new JobsError('INVALID_OPTION', 'backoffMs: milliseconds up to an hour');
}

function checkRate(rate: TakingOptions['rate']): void {
  const whole = (value: number): boolean => Number.isSafeInteger(value) && value > 0;
  if (rate === undefined || (whole(rate.jobs) && whole(rate.ms))) return;
  throw new JobsError('INVALID_OPTION', 'rate: whole numbers of jobs and milliseconds, 1 at least');
}

/**
 * Takes jobs of a queue and does them, until it is drained. Images are parsed in sandboxes, which run in threads of their own: the
 * event loop, which tells the queue that this worker lives, is never blocked by one.
 * @throws JobsError `INVALID_OPTION`, `QUEUE_UNAVAILABLE`
 */
export async function startWorker(queue: JobQueue, options: WorkerOptions & Partial<TakingOptions>): Promise<Taking> {
  const { concurrency = 1, onError, lockMs, rate, ...how } = options;
  checkRate(rate);
  const taking = await queue.take(handlerOf(how), { concurrency, onError, lockMs, rate });
  return {
    drain: async (patienceMs) => {
      await taking.drain(patienceMs);
      await closePool();
    },
  };
}
