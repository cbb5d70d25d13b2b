import type PgBoss from 'pg-boss';
import { JobsError } from './errors.js';
import { parseOutcome } from './outcome.js';
import {
  failureOf,
  FinalFailure,
  givesWay,
  type Counts,
  type Handler,
  type JobQueue,
  type JobState,
  type JobStatus,
  type Outcome,
  type QueuingOptions,
  type Taking,
  type TakingOptions,
} from './queue.js';

const DEFAULT_ATTEMPTS = 5;
const DEFAULT_BACKOFF_MS = 1000;
/** Time between two looks for a job, and whether one was cancelled (ms). */
const LOOK_MS = 1000;
/** How long a job may take, after which another worker takes it (ms): a worker that fell silent is not noticed before. */
const DEFAULT_EXPIRE_MS = 3_600_000;
const KEEP_DAYS = 30;

/** A queue in PostgreSQL. @throws JobsError `QUEUE_UNAVAILABLE` */
export async function openPgBossQueue(url: string, name: string): Promise<JobQueue> {
  let Boss: typeof PgBoss;
  try {
    ({ default: Boss } = await import('pg-boss'));
  } catch (error) {
    throw new JobsError('QUEUE_UNAVAILABLE', 'a queue in PostgreSQL needs a package: npm install pg-boss@10', error);
  }
  const boss = new Boss({
    connectionString: url,
    application_name: 'instar',
    schedule: false,
    maintenanceIntervalSeconds: 1,
  });
  const listeners = new Set<(error: Error) => void>();
  boss.on('error', (error) => {
    listeners.forEach((tell) => {
      tell(error);
    });
  });
  try {
    await boss.start();
    await boss.createQueue(name);
  } catch (error) {
    await boss.stop({ graceful: false }).catch(() => undefined);
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'Error';
    throw new JobsError('QUEUE_UNAVAILABLE', `the queue cannot be reached (${why})`, error);
  }
  return new PgBossQueue(boss, name, listeners);
}

class PgBossQueue implements JobQueue {
  readonly spreads = false;
  readonly #boss: PgBoss;
  readonly #name: string;
  readonly #listeners: Set<(error: Error) => void>;

  constructor(boss: PgBoss, name: string, listeners: Set<(error: Error) => void>) {
    this.#boss = boss;
    this.#name = name;
    this.#listeners = listeners;
  }

  async submit(id: string, data: object, options: QueuingOptions & { readonly anew?: boolean }): Promise<void> {
    const { priority = 0, attempts = DEFAULT_ATTEMPTS, backoffMs = DEFAULT_BACKOFF_MS } = options;
    const { expireMs = DEFAULT_EXPIRE_MS } = options;
    const known = await this.status(id);
    if (known !== undefined && givesWay(known, options.anew)) await this.#boss.deleteJob(this.#name, id);
    // An id that there is already is left alone.
    await this.#boss.send(this.#name, data, {
      id,
      priority,
      retryLimit: attempts - 1,
      retryDelay: Math.max(1, Math.round(backoffMs / 1000)),
      retryBackoff: true,
      expireInSeconds: Math.max(1, Math.round(expireMs / 1000)),
      retentionDays: KEEP_DAYS,
    });
  }

  async take(handler: Handler, { concurrency, onError }: TakingOptions): Promise<Taking> {
    if (onError !== undefined) this.#listeners.add(onError);
    const running = new Set<AbortController>();
    const options = { includeMetadata: true, batchSize: 1, pollingIntervalSeconds: LOOK_MS / 1000 } as const;
    const workers = await Promise.all(
      Array.from({ length: concurrency }, async () =>
        this.#boss.work<object>(this.#name, options, async (jobs) => {
          const [job] = jobs;
          return job && this.#run(job, running, handler);
        }),
      ),
    );
    return {
      drain: async (patienceMs) => {
        const timer = setTimeout(() => {
          // They go back to the queue as attempts that failed.
          running.forEach((abort) => {
            abort.abort(new Error('the worker leaves'));
          });
        }, patienceMs);
        await Promise.all(workers.map(async (id) => this.#boss.offWork({ id })));
        while (running.size > 0) await new Promise((resolve) => setTimeout(resolve, 50));
        clearTimeout(timer);
      },
    };
  }

  async status(id: string): Promise<JobStatus | undefined> {
    const job = await this.#boss.getJobById<object>(this.#name, id, { includeArchive: true });
    return job === null ? undefined : describe(job);
  }

  async cancel(id: string): Promise<boolean> {
    const known = await this.status(id);
    if (known?.state !== 'waiting' && known?.state !== 'active') return false;
    await this.#boss.cancel(this.#name, id);
    return true;
  }

  async counts(): Promise<Counts> {
    const rows = await this.#rows(
      'select state::text, count(*)::int as count from pgboss.job where name = $1 group by state',
    );
    const of = (...states: string[]): number =>
      rows.reduce((sum, row) => sum + (states.includes(String(row['state'])) ? Number(row['count']) : 0), 0);
    return { waiting: of('created', 'retry'), active: of('active'), done: of('completed'), failed: of('failed') };
  }

  async failed(most: number): Promise<readonly JobStatus[]> {
    const order = `order by completed_on desc limit ${Math.trunc(most)}`;
    const rows = await this.#rows(`select id::text from pgboss.job where name = $1 and state = 'failed' ${order}`);
    const jobs = await Promise.all(rows.map(async ({ id }) => this.status(String(id))));
    return jobs.filter((job) => job !== undefined);
  }

  async close(): Promise<void> {
    await this.#boss.stop({ graceful: false, close: true });
  }

  async #rows(text: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const { rows } = await this.#boss.getDb().executeSql(text, [this.#name]);
    return rows as readonly Readonly<Record<string, unknown>>[];
  }

  async #run(
    job: PgBoss.JobWithMetadata,
    running: Set<AbortController>,
    handler: Handler,
  ): Promise<Outcome | undefined> {
    const abort = new AbortController();
    running.add(abort);
    const look = async (): Promise<void> => {
      const now = await this.#boss.getJobById(this.#name, job.id).catch(() => undefined);
      if (now?.state === 'cancelled') abort.abort(new JobsError('CANCELLED', 'the job was cancelled'));
    };
    const timer = setInterval(() => void look(), LOOK_MS);
    // Then the queue gives the job to somebody else.
    const expiry = setTimeout(() => {
      abort.abort(new Error('the job took too long'));
    }, job.expireInSeconds * 1000);
    try {
      return await handler({
        id: job.id,
        data: job.data,
        attempt: job.retryCount + 1,
        lastAttempt: job.retryCount >= job.retryLimit,
        signal: abort.signal,
        progress: () => undefined,
        spread: false,
        spreadTo: undefined,
        failedParts: async () => Promise.resolve([]),
        partResults: async () => Promise.resolve([]),
        keep: async (value) => Promise.resolve(value),
        kept: async () => Promise.resolve(undefined),
      });
    } catch (error) {
      // What cannot go better is done, as far as the queue knows.
      if (error instanceof FinalFailure) return { refused: failureOf(error.message) };
      throw new Error(error instanceof Error ? error.message : String(error), { cause: error });
    } finally {
      clearInterval(timer);
      clearTimeout(expiry);
      running.delete(abort);
    }
  }
}

const STATES: Readonly<Record<PgBoss.JobWithMetadata['state'], JobState>> = {
  created: 'waiting',
  retry: 'waiting',
  active: 'active',
  completed: 'done',
  cancelled: 'cancelled',
  failed: 'failed',
};

function describe(job: PgBoss.JobWithMetadata): JobStatus {
  const { id, data, state, retryCount } = job;
  // Anybody may have put anything there.
  const given: unknown = data;
  const output: unknown = job.output;
  const outcome = state === 'completed' ? parseOutcome(output) : undefined;
  const failed =
    typeof output === 'object' && output !== null && 'message' in output && state !== 'completed'
      ? String(output.message)
      : undefined;
  const known = typeof given === 'object' && given !== null && 'kind' in given ? given.kind : undefined;
  const kind = typeof known === 'string' ? known : 'unknown';
  return {
    id,
    kind,
    state: outcome !== undefined && 'refused' in outcome ? 'refused' : STATES[state],
    attempts: retryCount + (state === 'completed' || state === 'failed' ? 1 : 0),
    ...(outcome !== undefined && 'result' in outcome ? { result: outcome.result } : {}),
    ...(outcome !== undefined && 'refused' in outcome ? { error: outcome.refused } : {}),
    ...(failed === undefined ? {} : { error: failureOf(failed) }),
  };
}
