import type PgBoss from 'pg-boss';
import { JobsError } from './errors.js';
import { parseOutcome } from './outcome.js';
import {
  failureOf,
  givesWay,
  isEnded,
  type Counts,
  type Handler,
  type JobQueue,
  type JobState,
  type JobStatus,
  type QueuingOptions,
  type Taking,
  type TakingOptions,
} from './queue.js';
import { DEFAULT_LOCK_MS, partIds, readRow, Rows, type Parts, type Row, type StoredRow } from './pg-boss-rows.js';
import { DEFAULT_EXPIRE_MS, PgBossWorker } from './pg-boss-worker.js';
import { fieldsOf, kindOf } from './stored.js';

const DEFAULT_ATTEMPTS = 5;
const DEFAULT_BACKOFF_MS = 1000;
const KEEP_DAYS = 30;
/** How long a server may take to answer (ms). */
const ANSWER_MS = 10_000;

/** A queue in PostgreSQL. @throws JobsError `QUEUE_UNAVAILABLE` */
export async function openPgBossQueue(url: string, name: string): Promise<JobQueue> {
  let Boss: typeof PgBoss;
  try {
    ({ default: Boss } = await import('pg-boss'));
  } catch (error) {
    throw new JobsError('QUEUE_UNAVAILABLE', 'a queue in PostgreSQL needs a package: npm install pg-boss@10', error);
  }
  const options: PgBoss.ConstructorOptions & Readonly<Record<string, unknown>> = {
    connectionString: url,
    application_name: 'instar',
    schedule: false,
    maintenanceIntervalSeconds: 1,
    // Of the client itself: where a network is cut nobody says so, and whoever asks would wait for ever.
    connectionTimeoutMillis: ANSWER_MS,
    query_timeout: ANSWER_MS,
    keepAlive: true,
  };
  const boss = new Boss(options);
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
  readonly #boss: PgBoss;
  readonly #rows: Rows;
  readonly #name: string;
  readonly #listeners: Set<(error: Error) => void>;

  constructor(boss: PgBoss, name: string, listeners: Set<(error: Error) => void>) {
    this.#boss = boss;
    this.#rows = new Rows(boss, name);
    this.#name = name;
    this.#listeners = listeners;
  }

  async submit(id: string, data: object, options: QueuingOptions & { readonly anew?: boolean }): Promise<void> {
    const { priority = 0, attempts = DEFAULT_ATTEMPTS, backoffMs = DEFAULT_BACKOFF_MS } = options;
    const { expireMs = DEFAULT_EXPIRE_MS } = options;
    const known = await this.#rows.byId(id);
    if (known !== undefined && givesWay(describe(known), options.anew)) {
      await this.#boss.deleteJob(this.#name, [id, ...partsOf(known)]);
    }
    // An id that there is already is left alone.
    await this.#boss.send(this.#name, { job: data, expireMs } satisfies StoredRow, {
      id,
      priority,
      retryLimit: attempts - 1,
      retryDelay: Math.max(1, Math.round(backoffMs / 1000)),
      retryBackoff: true,
      // Until a worker has taken it, and says itself for how long.
      expireInSeconds: Math.round(DEFAULT_LOCK_MS / 1000),
      retentionDays: KEEP_DAYS,
    });
  }

  async take(handler: Handler, options: TakingOptions): Promise<Taking> {
    if (options.onError !== undefined) this.#listeners.add(options.onError);
    return Promise.resolve(new PgBossWorker(this.#boss, this.#name, handler, options));
  }

  async status(id: string): Promise<JobStatus | undefined> {
    const job = await this.#rows.byId(id);
    if (job === undefined) return undefined;
    const { spread } = readRow(job.data);
    return describe(job, spread === undefined ? undefined : await this.#rows.parts(job, spread));
  }

  async cancel(id: string): Promise<boolean> {
    const known = await this.#rows.byId(id);
    if (known === undefined || isEnded(describe(known))) return false;
    // One that somebody has begun with may have left something, which another attempt takes away.
    if (known.state === 'created') await this.#boss.cancel(this.#name, id);
    else await this.#rows.markCancelled(id);
    const parts = partsOf(known);
    if (parts.length > 0) await this.#boss.cancel(this.#name, [...parts]);
    return true;
  }

  async counts(): Promise<Counts> {
    // A job that waits for its parts goes on.
    const rows = await this.#rows.run(
      `select case when state = 'retry' and data->'spread' is not null then 'active' else state::text end as state,
       count(*)::int as count from pgboss.job where name = $1 group by 1`,
    );
    const of = (...states: string[]): number =>
      rows.reduce((sum, row) => sum + (states.includes(String(row['state'])) ? Number(row['count']) : 0), 0);
    return { waiting: of('created', 'retry'), active: of('active'), done: of('completed'), failed: of('failed') };
  }

  async failed(most: number): Promise<readonly JobStatus[]> {
    const order = `order by completed_on desc limit ${Math.trunc(most)}`;
    const rows = await this.#rows.run(`select id::text from pgboss.job where name = $1 and state = 'failed' ${order}`);
    const jobs = await Promise.all(rows.map(async ({ id }) => this.status(String(id))));
    return jobs.filter((job) => job !== undefined);
  }

  async close(): Promise<void> {
    await this.#boss.stop({ graceful: false, close: true });
  }
}

function partsOf(job: Row): readonly string[] {
  const { spread } = readRow(job.data);
  return spread === undefined ? [] : partIds(job, spread);
}

const STATES: Readonly<Record<Row['state'], JobState>> = {
  created: 'waiting',
  retry: 'waiting',
  active: 'active',
  completed: 'done',
  cancelled: 'cancelled',
  failed: 'failed',
};

/** @param parts what became of its parts, of a job that was spread */
function describe(row: Row, parts?: Parts): JobStatus {
  const { id, data, state, retryCount } = row;
  const { job, spread, cancelled } = readRow(data);
  const output: unknown = row.output;
  const outcome = state === 'completed' ? parseOutcome(output) : undefined;
  const { message } = fieldsOf(output);
  const ended = state === 'completed' || state === 'failed';
  const known = state === 'retry' && spread !== undefined ? 'active' : STATES[state];
  return {
    id,
    kind: kindOf(job),
    state: outcome !== undefined && 'refused' in outcome ? 'refused' : cancelled && !ended ? 'cancelled' : known,
    attempts: retryCount + (ended ? 1 : 0),
    ...(spread === undefined || parts === undefined || ended
      ? {}
      : { progress: { done: spread - parts.pending.length, total: spread } }),
    ...(outcome !== undefined && 'result' in outcome ? { result: outcome.result } : {}),
    ...(outcome !== undefined && 'refused' in outcome ? { error: outcome.refused } : {}),
    ...(typeof message === 'string' && state !== 'completed' ? { error: failureOf(message) } : {}),
  };
}
