import type { Json } from '@instar/engine';
import type * as BullMq from 'bullmq';
import {
  ANSWER_MS,
  CLOSE_MS,
  KEEP_DONE,
  KEEP_FAILED,
  postgresServer,
  redisServer,
  type BullServer,
} from './bullmq-servers.js';
import { JobsError } from './errors.js';
import { GIVE_BACK_MS, inTime } from './in-time.js';
import { parseOutcome } from './outcome.js';
import {
  failureOf,
  FinalFailure,
  givesWay,
  isEnded,
  Spread,
  type Counts,
  type Handler,
  type JobQueue,
  type JobState,
  type JobStatus,
  type QueuingOptions,
  type Taking,
  type TakingOptions,
} from './queue.js';
import { kindOf, storedIn, type Stored } from './stored.js';

/** A job as BullMQ has it. */
type QueuedJob = BullMq.Job<Stored>;

const DEFAULT_ATTEMPTS = 5;
const DEFAULT_BACKOFF_MS = 1000;
/** A lower number comes first, and none at all first of all. */
const MIDDLE_PRIORITY = 1001;
/** Time between two looks whether a job was cancelled (ms). */
const LOOK_MS = 1000;
const DEFAULT_LOCK_MS = 30_000;
/** How often a job may be taken over from workers that fell silent, before it is their fault no longer. */
const MOST_STALLS = 20;
const CANCELLED = 'CANCELLED: the job was cancelled';

function cancelled(): JobsError {
  return new JobsError('CANCELLED', 'the job was cancelled');
}

/** A queue of BullMQ, in Redis or in PostgreSQL. @throws JobsError `QUEUE_UNAVAILABLE` */
export async function openBullQueue(url: string, name: string): Promise<JobQueue> {
  const server = url.startsWith('redis') ? await redisServer(url, name) : await postgresServer(url, name);
  return new BullQueue(await import('bullmq'), server);
}

class BullQueue implements JobQueue {
  readonly #bull: typeof BullMq;
  readonly #server: BullServer;
  readonly #queue: BullMq.Queue<Stored>;

  constructor(bull: typeof BullMq, server: BullServer) {
    this.#bull = bull;
    this.#server = server;
    this.#queue = server.queue;
  }

  async submit(id: string, data: object, options: QueuingOptions & { readonly anew?: boolean }): Promise<void> {
    await reaching(async () => {
      const known = await this.#queue.getJob(id);
      if (known !== undefined) {
        if (!givesWay(await this.#describe(known), options.anew)) return;
        await known.remove();
      }
      await this.#server.notes.forget(id);
      await this.#queue.add(kindOf(data), { job: data }, this.#options(id, options));
    });
  }

  async take(handler: Handler, options: TakingOptions): Promise<Taking> {
    const { concurrency, onError, lockMs = DEFAULT_LOCK_MS, rate } = options;
    let leaving = false;
    const running = new Map<string, AbortController>();
    const { worker, close } = this.#server.worker(
      // The third parameter has to be there: without it there is no signal.
      async (job, token, signal) => {
        const abort = new AbortController();
        const lost = (): void => {
          abort.abort(new Error('another worker has this job'));
        };
        signal?.addEventListener('abort', lost, { once: true });
        running.set(job.id ?? '', abort);
        try {
          return await this.#run(job, token ?? '', abort, handler);
        } catch (error) {
          if (
            leaving &&
            !(error instanceof this.#bull.UnrecoverableError) &&
            !(error instanceof this.#bull.WaitingChildrenError)
          ) {
            await job.moveToWait(token);
            throw new this.#bull.WaitingError();
          }
          throw error;
        } finally {
          running.delete(job.id ?? '');
        }
      },
      {
        concurrency,
        lockDuration: lockMs,
        stalledInterval: lockMs,
        maxStalledCount: MOST_STALLS,
        ...(rate === undefined ? {} : { limiter: { max: rate.jobs, duration: rate.ms } }),
      },
      (error) => onError?.(error),
    );
    worker.on('error', (error) => onError?.(error));
    worker.on('lockRenewalFailed', (ids) => {
      ids.forEach((id) => worker.cancelJob(id, 'the lock is lost'));
    });
    await worker.waitUntilReady();
    return {
      drain: async (patienceMs) => {
        const timer = setTimeout(() => {
          leaving = true;
          running.forEach((abort) => {
            abort.abort(new Error('the worker leaves'));
          });
        }, patienceMs);
        // A server that is away is not waited for: its jobs are then those of a worker that fell silent.
        await inTime(worker.close(), patienceMs + GIVE_BACK_MS);
        clearTimeout(timer);
        await inTime(worker.close(true), CLOSE_MS);
        close();
      },
    };
  }

  async status(id: string): Promise<JobStatus | undefined> {
    return reaching(async () => {
      const job = await this.#queue.getJob(id);
      return job && this.#describe(job);
    });
  }

  async cancel(id: string): Promise<boolean> {
    return reaching(async () => {
      const job = await this.#queue.getJob(id);
      if (job === undefined) return false;
      if (isEnded(await this.#describe(job))) return false;
      // Not in the job: whoever runs it writes there.
      await this.#server.notes.cancel(id);
      return true;
    });
  }

  async counts(): Promise<Counts> {
    return reaching(async () => {
      const found = await this.#queue.getJobCounts(
        ...(['wait', 'prioritized', 'delayed', 'active', 'waiting-children', 'completed', 'failed'] as const),
      );
      const of = (...states: string[]): number => states.reduce((sum, state) => sum + (found[state] ?? 0), 0);
      return {
        waiting: of('wait', 'prioritized', 'delayed'),
        active: of('active', 'waiting-children'),
        done: of('completed'),
        failed: of('failed'),
      };
    });
  }

  async failed(most: number): Promise<readonly JobStatus[]> {
    return reaching(async () => {
      const jobs = await this.#queue.getFailed(0, most - 1);
      return Promise.all(jobs.map(async (job) => this.#describe(job)));
    });
  }

  async close(): Promise<void> {
    await this.#server.close();
  }

  #options(jobId: string, { priority = 0, attempts, backoffMs }: QueuingOptions): BullMq.JobsOptions {
    return {
      jobId,
      priority: MIDDLE_PRIORITY - priority,
      attempts: attempts ?? DEFAULT_ATTEMPTS,
      backoff: { type: 'exponential', delay: backoffMs ?? DEFAULT_BACKOFF_MS, jitter: 0.5 },
      removeOnComplete: { age: KEEP_DONE },
      removeOnFail: { age: KEEP_FAILED },
    };
  }

  async #kept(id: string): Promise<unknown> {
    const text = await this.#server.notes.kept(id);
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  }

  async #isCancelled(job: Pick<QueuedJob, 'id' | 'data'>): Promise<boolean> {
    const { id = '' } = job;
    const { partOf = id } = storedIn(job);
    return this.#server.notes.isCancelled([id, partOf]);
  }

  async #run(job: QueuedJob, token: string, abort: AbortController, handler: Handler): Promise<unknown> {
    const look = async (): Promise<void> => {
      // Where the queue cannot be asked, it cannot be told of a cancellation either.
      if (await this.#isCancelled(job).catch(() => false)) abort.abort(cancelled());
    };
    await inTime(look(), ANSWER_MS);
    const { spread, job: data } = storedIn(job);
    if (spread !== undefined && !abort.signal.aborted) await this.#awaitParts(job, token);
    const timer = setInterval(() => void look(), LOOK_MS);
    let told = 0;
    try {
      return await handler({
        id: job.id ?? '',
        data,
        attempt: job.attemptsMade + 1,
        lastAttempt: job.attemptsMade + 1 >= (job.opts.attempts ?? 1),
        signal: abort.signal,
        progress: (done, total) => {
          if (Date.now() - told < LOOK_MS) return;
          told = Date.now();
          job.updateProgress({ done: Number(done), total: Number(total) }).catch(() => undefined);
        },
        spread: spread !== undefined,
        spreadTo: async (parts) => this.#spread(job, token, parts),
        failedParts: async () => reaching(async () => this.#failedParts(job)),
        partResults: async () => reaching(async () => partResults(job)),
        keep: async (value) =>
          reaching(async () => {
            const { id = '' } = job;
            // Not in the job: whoever was taken for gone would write an older one over it.
            await this.#server.notes.keep(id, JSON.stringify(value));
            return this.#kept(id);
          }),
        kept: async () => reaching(async () => this.#kept(job.id ?? '')),
        isOver: async () => {
          const status = await this.status(job.id ?? '');
          return status === undefined || isEnded(status);
        },
      });
    } catch (error) {
      const { reason } = abort.signal as { readonly reason: unknown };
      if (reason instanceof JobsError) throw new this.#bull.UnrecoverableError(CANCELLED);
      if (error instanceof Spread) throw new this.#bull.WaitingChildrenError();
      if (error instanceof FinalFailure) throw new this.#bull.UnrecoverableError(error.message);
      throw error;
    } finally {
      clearInterval(timer);
    }
  }

  async #spread(job: QueuedJob, token: string, parts: readonly object[]): Promise<never> {
    const { id: parent = '', opts } = job;
    await this.#queue.addBulk(
      parts.map((part, index) => ({
        name: kindOf(part),
        data: { job: part, partOf: parent },
        opts: {
          ...opts,
          jobId: `${parent}-${index}`,
          parent: { id: parent, queue: job.queueQualifiedName },
          // The job goes on at once, and ends the others.
          continueParentOnFailure: true,
        },
      })),
    );
    await job.updateData({ ...job.data, spread: parts.length });
    if (await job.moveToWaitingChildren(token)) throw new Spread();
    // They have all ended already: another attempt finds them so.
    await job.moveToWait(token);
    throw new this.#bull.WaitingError();
  }

  /** Whoever was killed between queuing the parts and waiting for them left that to the next attempt. */
  async #awaitParts(job: QueuedJob, token: string): Promise<void> {
    const failures = Object.keys(await job.getIgnoredChildrenFailures());
    if (failures.length === 0 && (await job.moveToWaitingChildren(token))) throw new this.#bull.WaitingChildrenError();
  }

  async #failedParts(job: QueuedJob): Promise<readonly string[]> {
    const failed = await job.getIgnoredChildrenFailures();
    const reasons = Object.values(failed);
    if (reasons.length > 0) {
      await job.removeUnprocessedChildren();
      return reasons;
    }
    const outcomes = Object.values(await job.getChildrenValues()).map(parseOutcome);
    const { spread = 0 } = storedIn(job);
    if (outcomes.length !== spread) return [`${outcomes.length} of ${spread} parts have ended`];
    return outcomes.flatMap((outcome) => {
      if (outcome === undefined) return ['a part left nothing'];
      return 'refused' in outcome ? [outcome.refused.message] : [];
    });
  }

  async #describe(given: QueuedJob): Promise<JobStatus> {
    const state = await given.getState();
    // It may have ended since it was read: what came of it is then not in what was read.
    const ended = state === 'completed' || state === 'failed';
    const job = (ended ? await this.#queue.getJob(given.id ?? '') : undefined) ?? given;
    const outcome = state === 'completed' ? parseOutcome(job.returnvalue) : undefined;
    const progress = await progressOf(job);
    const failed = job.failedReason as string | undefined;
    const found = stateOf(state, outcome !== undefined && 'refused' in outcome);
    const answered = found === 'done' || found === 'refused';
    const wasCancelled = failed === CANCELLED || (!answered && (await this.#isCancelled(job)));
    return {
      id: job.id ?? '',
      kind: job.name,
      state: wasCancelled ? 'cancelled' : found,
      attempts: job.attemptsMade,
      ...(progress === undefined ? {} : { progress }),
      ...(outcome !== undefined && 'result' in outcome ? { result: outcome.result } : {}),
      ...(outcome !== undefined && 'refused' in outcome ? { error: outcome.refused } : {}),
      ...(state === 'failed' || (failed !== undefined && state !== 'completed')
        ? { error: failureOf(failed ?? '') }
        : {}),
    };
  }
}

/** How far a job is: one in windows by those that have ended. */
async function progressOf(job: QueuedJob): Promise<JobStatus['progress']> {
  const { spread } = storedIn(job);
  if (spread !== undefined) {
    const { unprocessed = spread } = await job.getDependenciesCount({ unprocessed: true });
    return { done: Math.max(0, spread - unprocessed), total: spread };
  }
  const { progress } = job;
  if (typeof progress !== 'object' || !('done' in progress && 'total' in progress)) return undefined;
  return { done: Number(progress.done), total: Number(progress.total) };
}

async function partResults(job: QueuedJob): Promise<readonly Json[]> {
  const outcomes = Object.values(await job.getChildrenValues()).map(parseOutcome);
  return outcomes.flatMap((outcome) => (outcome !== undefined && 'result' in outcome ? [outcome.result] : []));
}

function stateOf(state: string, refused: boolean): JobState {
  if (state === 'completed') return refused ? 'refused' : 'done';
  if (state === 'failed') return 'failed';
  return state === 'active' || state === 'waiting-children' ? 'active' : 'waiting';
}

/** Says of a server that cannot be reached that it cannot, and nothing of how. */
async function reaching<T>(action: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new JobsError('QUEUE_UNAVAILABLE', 'the queue cannot be reached: its server does not answer'));
    }, 2 * ANSWER_MS);
  });
  try {
    return await Promise.race([action(), late]);
  } catch (error) {
    if (error instanceof JobsError) throw error;
    const why = error instanceof Error ? error.name : 'Error';
    throw new JobsError('QUEUE_UNAVAILABLE', `the queue cannot be reached (${why})`, error);
  } finally {
    clearTimeout(timer);
  }
}
