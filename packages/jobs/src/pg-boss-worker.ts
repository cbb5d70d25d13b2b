import type PgBoss from 'pg-boss';
import type { Json } from '@instar/engine';
import { JobsError } from './errors.js';
import { GIVE_BACK_MS, inTime } from './in-time.js';
import { parseOutcome } from './outcome.js';
import { DEFAULT_LOCK_MS, partIds, readRow, Rows, type Row, type StoredRow } from './pg-boss-rows.js';
import { FinalFailure, Spread, type Handler, type Taking, type TakingOptions } from './queue.js';
import { fieldsOf } from './stored.js';

/** Time between two looks for a job where there was none, and whether one was cancelled (ms). */
const LOOK_MS = 1000;
/** Time after which a job that waits for its parts looks at them by itself (ms); the last of them wakes it before. */
const PARTS_MS = 2000;
/** How long an attempt may take, unless a job says otherwise (ms). */
export const DEFAULT_EXPIRE_MS = 3_600_000;
/** States of a job of which more is to come. */
const UNENDED: readonly Row['state'][] = ['created', 'retry', 'active'];
/** How often the end of a job is told to a server that does not answer, a second apart. */
const TELLS = 20;

async function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Why an attempt is ended that is nobody's any more. */
class Lost extends Error {
  override readonly name = 'Lost';
}

/** Takes jobs of pg-boss, some at a time. */
export class PgBossWorker implements Taking {
  readonly #boss: PgBoss;
  readonly #rows: Rows;
  readonly #name: string;
  readonly #handler: Handler;
  readonly #lockMs: number;
  readonly #onError: TakingOptions['onError'];
  readonly #rate: TakingOptions['rate'];
  readonly #running = new Set<AbortController>();
  readonly #sleeping = new Set<() => void>();
  readonly #slots: Promise<unknown>;
  #leaving = false;
  /** Nothing more is told to the queue. */
  #given = false;

  constructor(boss: PgBoss, name: string, handler: Handler, options: TakingOptions) {
    const { concurrency, lockMs = DEFAULT_LOCK_MS, onError, rate } = options;
    this.#boss = boss;
    this.#rows = new Rows(boss, name);
    this.#name = name;
    this.#handler = handler;
    this.#lockMs = lockMs;
    this.#onError = onError;
    this.#rate = rate;
    this.#slots = Promise.all(Array.from({ length: concurrency }, async () => this.#serve()));
  }

  async drain(patienceMs: number): Promise<void> {
    this.#leaving = true;
    this.#wakeSlots();
    const timer = setTimeout(() => {
      this.#running.forEach((abort) => {
        abort.abort(new Error('the worker leaves'));
      });
    }, patienceMs);
    // A server that is away is not waited for: its jobs are then those of a worker that fell silent.
    await inTime(this.#slots, patienceMs + GIVE_BACK_MS);
    this.#given = true;
    clearTimeout(timer);
  }

  #wakeSlots(): void {
    this.#sleeping.forEach((wake) => {
      wake();
    });
  }

  /** One job after another. */
  async #serve(): Promise<void> {
    while (!this.#leaving) {
      const job = await this.#next();
      await (job === undefined ? this.#pause() : this.#attempt(job));
    }
  }

  /** Waits until it is time to look for a job, or something has become of another. */
  async #pause(): Promise<void> {
    if (this.#leaving) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#sleeping.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, LOOK_MS);
      this.#sleeping.add(wake);
    });
  }

  async #next(): Promise<Row | undefined> {
    const rate = this.#rate;
    try {
      if (rate !== undefined && (await this.#rows.begunWithin(rate.ms)) >= rate.jobs) return undefined;
      const [job] = await this.#boss.fetch<object>(this.#name, { includeMetadata: true, batchSize: 1 });
      return job;
    } catch (error) {
      this.#tell(error);
      return undefined;
    }
  }

  #tell(error: unknown): void {
    this.#onError?.(error instanceof Error ? error : new Error(String(error)));
  }

  /** Tells the queue what became of a job, also where its server is away for a while. */
  async #say(action: () => Promise<unknown>): Promise<void> {
    for (let tries = 0; tries < TELLS && !this.#given; tries += 1) {
      try {
        await action();
        return;
      } catch (error) {
        this.#tell(error);
      }
      await sleep(LOOK_MS);
    }
  }

  async #attempt(job: Row): Promise<void> {
    const abort = new AbortController();
    const look = async (): Promise<void> => {
      const { mine, ends } = await this.#rows.renew(job, this.#lockMs);
      if (ends) abort.abort(new JobsError('CANCELLED', 'the job was cancelled'));
      else if (!mine) abort.abort(new Lost('another worker has this job'));
    };
    const { expireMs = DEFAULT_EXPIRE_MS, partOf } = readRow(job.data);
    // Where the queue cannot be asked, it cannot be told of a cancellation either.
    const timer = setInterval(() => void look().catch(() => undefined), Math.min(LOOK_MS, this.#lockMs / 3));
    const expiry = setTimeout(() => {
      abort.abort(new Error('the job took too long'));
    }, expireMs);
    this.#running.add(abort);
    const cancelled = (): boolean => abort.signal.reason instanceof JobsError;
    const lost = (): boolean => abort.signal.reason instanceof Lost;
    try {
      await look().catch(() => undefined);
      if (lost() || (!cancelled() && (await this.#awaitsParts(job)))) return;
      const outcome = await this.#handler(this.#taken(job, abort.signal));
      await this.#say(async () => this.#rows.complete(job, outcome));
    } catch (error) {
      if (error instanceof Spread) return;
      await this.#say(async () => {
        if (cancelled()) await this.#boss.cancel(this.#name, job.id);
        else if (lost() || !(await this.#rows.renew(job, this.#lockMs)).mine) return;
        else if (this.#leaving && abort.signal.aborted) await this.#rows.giveBack(job, 0);
        else {
          if (error instanceof FinalFailure) await this.#rows.makeLast(job);
          await this.#boss.fail(this.#name, job.id, {
            message: error instanceof Error ? error.message : String(error),
          });
        }
      });
    } finally {
      clearInterval(timer);
      clearTimeout(expiry);
      this.#running.delete(abort);
      if (partOf !== undefined) await this.#rows.wake(partOf).catch(() => undefined);
      this.#wakeSlots();
    }
  }

  /** Whether parts of a job go on; it is given back then. The first one that comes to nothing ends the others. */
  async #awaitsParts(job: Row): Promise<boolean> {
    const { spread } = readRow(job.data);
    if (spread === undefined) return false;
    const { pending, outputs, failures } = await this.#rows.parts(job, spread);
    if (pending.length === 0) return false;
    if (failures.length > 0 || outputs.some(isRefusal)) {
      await this.#boss.cancel(this.#name, [...pending]);
      return false;
    }
    await this.#rows.giveBack(job, PARTS_MS);
    return true;
  }

  #taken(job: Row, signal: AbortSignal): Parameters<Handler>[0] {
    const { spread, job: data } = readRow(job.data);
    const { id, retryCount, retryLimit } = job;
    return {
      id,
      data,
      attempt: retryCount + 1,
      lastAttempt: retryCount >= retryLimit,
      signal,
      // It keeps none: a row that is written for each would be as many dead ones.
      progress: () => undefined,
      spread: spread !== undefined,
      spreadTo: async (parts) => this.#spread(job, parts),
      failedParts: async () => this.#failedParts(job, spread ?? 0),
      partResults: async () => {
        const { outputs } = await this.#rows.parts(job, spread ?? 0);
        return outputs.map(parseOutcome).flatMap((outcome): readonly Json[] => {
          return outcome !== undefined && 'result' in outcome ? [outcome.result] : [];
        });
      },
      keep: async (value) => {
        await this.#rows.keep(id, value);
        return this.#kept(id);
      },
      kept: async () => this.#kept(id),
      isOver: async () => {
        const row = await this.#rows.byId(id);
        return row === undefined || !UNENDED.includes(row.state);
      },
    };
  }

  async #kept(id: string): Promise<unknown> {
    const row = await this.#rows.byId(id);
    return row && readRow(row.data).kept;
  }

  async #spread(job: Row, parts: readonly object[]): Promise<never> {
    const { id: partOf, priority, retryLimit, retryDelay, retryBackoff, keepUntil } = job;
    const ids = partIds(job, parts.length);
    const { expireMs } = readRow(job.data);
    // One statement: all of them, or none. Those that there are stay: an attempt was killed behind this.
    await this.#boss.insert(
      parts.map((part, index) => ({
        id: ids[index] ?? '',
        name: this.#name,
        data: { job: part, partOf, ...(expireMs === undefined ? {} : { expireMs }) } satisfies StoredRow,
        priority,
        retryLimit,
        retryDelay,
        retryBackoff,
        keepUntil,
        expireInSeconds: Math.round(DEFAULT_LOCK_MS / 1000),
      })),
    );
    if (!(await this.#rows.giveBack(job, PARTS_MS, { spread: parts.length }))) {
      throw new Lost('another worker has this job');
    }
    this.#wakeSlots();
    throw new Spread();
  }

  async #failedParts(job: Row, spread: number): Promise<readonly string[]> {
    const { outputs, failures } = await this.#rows.parts(job, spread);
    const reasons = failures.map((output) => {
      const { message } = fieldsOf(output);
      return typeof message === 'string' ? message : 'it was cancelled';
    });
    const refusals = outputs.map(parseOutcome).flatMap((outcome) => {
      if (outcome === undefined) return ['a part left nothing'];
      return 'refused' in outcome ? [outcome.refused.message] : [];
    });
    // What was cancelled was so because of another.
    const found = [...refusals, ...reasons.filter((reason) => reason !== 'it was cancelled'), ...reasons];
    if (found.length > 0 || outputs.length === spread) return found;
    return [`${outputs.length} of ${spread} parts have ended`];
  }
}

function isRefusal(output: unknown): boolean {
  const outcome = parseOutcome(output);
  return outcome === undefined || 'refused' in outcome;
}
