import { createHash } from 'node:crypto';
import type PgBoss from 'pg-boss';
import type { Outcome } from './queue.js';
import { fieldsOf, storedIn, type Stored } from './stored.js';

/** How long a worker may be silent before its job is anybody's, unless it says otherwise (ms). */
export const DEFAULT_LOCK_MS = 30_000;
/** How often a change of a row is tried again that was written anew in that moment. */
const TRIES = 5;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const TABLE = 'pgboss.job';
/** An attempt is known by when it began: another one begins a second later at least, and a `Date` has no microseconds. */
const MINE = `name = $1 and id = $2 and state = 'active' and abs(extract(epoch from started_on - $3::timestamptz)) < 0.1`;

/** A job as pg-boss has it. */
export type Row = PgBoss.JobWithMetadata;

/** What lies in a row of pg-boss: everything but its state is in its data. */
export interface StoredRow extends Partial<Stored> {
  readonly job: object;
  /** How long an attempt may take (ms). */
  readonly expireMs?: number;
}

/** What lies in a row, which anybody may have put there. */
export function readRow(data: unknown): ReturnType<typeof storedIn> & {
  readonly expireMs: number | undefined;
  readonly cancelled: boolean;
  readonly kept: unknown;
} {
  const { expireMs, cancelled, kept } = fieldsOf(data);
  const { job, partOf, ...stored } = storedIn({ data });
  return {
    ...stored,
    // Jobs of version 0.7 and before were stored as they are.
    job: job ?? data,
    ...(partOf !== undefined && UUID.test(partOf) ? { partOf } : {}),
    expireMs: typeof expireMs === 'number' && expireMs > 0 ? expireMs : undefined,
    cancelled: cancelled === true,
    kept,
  };
}

/** What became of the parts of a job. */
export interface Parts {
  /** Those that wait or go on. */
  readonly pending: readonly string[];
  /** What is stored of those that are done. */
  readonly outputs: readonly unknown[];
  /** What is stored of those that failed, and `undefined` of cancelled ones. */
  readonly failures: readonly unknown[];
}

/** Ids of the parts of a job: of this submission of it, and of no earlier one. */
export function partIds({ id, createdOn }: Pick<Row, 'id' | 'createdOn'>, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => {
    const digest = createHash('sha256').update(`part ${index} of ${id} of ${createdOn.getTime()}`).digest('hex');
    return digest.slice(0, 32).replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-8$3-8$4-$5');
  });
}

/**
 * The rows of a queue. pg-boss has no jobs that wait for others, and none that are given back without an attempt: those are changes of
 * one row each, which its own statements neither see half done nor take back.
 */
export class Rows {
  readonly #boss: PgBoss;
  readonly #name: string;

  constructor(boss: PgBoss, name: string) {
    this.#boss = boss;
    this.#name = name;
  }

  /** Runs a statement whose first parameter is the queue. */
  async run(text: string, ...values: readonly unknown[]): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const answer = (await this.#boss.getDb().executeSql(text, [this.#name, ...values])) as
      { readonly rows: readonly Readonly<Record<string, unknown>>[] } | undefined;
    // After the queue was closed it answers nothing.
    return answer?.rows ?? [];
  }

  /** Attempts that were begun within the last milliseconds. */
  async begunWithin(ms: number): Promise<number> {
    const text = `select count(*)::int as count from ${TABLE} where name = $1 and started_on > now() - $2 * interval '1 ms'`;
    return Number((await this.run(text, ms))[0]?.['count'] ?? 0);
  }

  async byId(id: string): Promise<Row | undefined> {
    return (await this.#boss.getJobById<object>(this.#name, id, { includeArchive: true })) ?? undefined;
  }

  /**
   * Says that whoever began this attempt lives, and for how long it need not say so again.
   * @returns whether the job is still that worker's, and whether it, or the job that it is a part of, was cancelled
   */
  async renew(
    { id, startedOn, data }: Row,
    lockMs: number,
  ): Promise<{ readonly mine: boolean; readonly ends: boolean }> {
    const [row] = await this.run(
      `update ${TABLE} set expire_in = now() - started_on + $4 * interval '1 ms' where ${MINE}
       returning (data->'cancelled' is not null or exists (select 1 from ${TABLE} parent where parent.name = $1
         and parent.id = $5 and (parent.state = 'cancelled' or parent.data->'cancelled' is not null))) as ends`,
      id,
      startedOn,
      lockMs,
      readRow(data).partOf ?? null,
    );
    if (row !== undefined) return { mine: true, ends: row['ends'] === true };
    const now = await this.byId(id);
    return { mine: false, ends: now?.state === 'cancelled' };
  }

  /**
   * Gives a job back as if nobody had begun with it.
   * @param pauseMs before which nobody takes it
   * @returns whether it was this attempt's to give back
   */
  async giveBack({ id, startedOn }: Row, pauseMs: number, stored: Partial<Stored> = {}): Promise<boolean> {
    const rows = await this.run(
      `update ${TABLE} set state = 'retry', started_on = null, start_after = now() + $4 * interval '1 ms',
         data = data || $5::jsonb where ${MINE} returning 1`,
      id,
      startedOn,
      pauseMs,
      JSON.stringify(stored),
    );
    return rows.length > 0;
  }

  /** Ends an attempt: one that is another's by now says nothing of the job any more, which may have been submitted anew. */
  async complete({ id, startedOn }: Row, outcome: Outcome): Promise<void> {
    await this.run(
      `update ${TABLE} set state = 'completed', completed_on = now(), output = $4::jsonb where ${MINE}`,
      id,
      startedOn,
      JSON.stringify(outcome),
    );
  }

  /** Makes an attempt the last one: no other would come to more. */
  async makeLast({ id, startedOn }: Row): Promise<void> {
    await this.run(`update ${TABLE} set retry_limit = retry_count where ${MINE}`, id, startedOn);
  }

  /** Lets the job that waits for these parts go on, where this was the last of them. */
  async wake(id: string): Promise<void> {
    const parent = await this.byId(id);
    if (parent?.state !== 'retry') return;
    const { spread } = readRow(parent.data);
    if (spread === undefined || (await this.parts(parent, spread)).pending.length > 0) return;
    await this.run(`update ${TABLE} set start_after = now() where name = $1 and id = $2 and state = 'retry'`, id);
  }

  async parts(parent: Pick<Row, 'id' | 'createdOn'>, count: number): Promise<Parts> {
    const where = `name = $1 and id = any($2::uuid[])`;
    const rows = await this.run(
      `select id, state::text, output from ${TABLE} where ${where}
       union all select id, state::text, output from pgboss.archive where ${where}`,
      [...partIds(parent, count)],
    );
    const of = (...states: readonly string[]): typeof rows =>
      rows.filter(({ state }) => states.includes(String(state)));
    return {
      pending: of('created', 'retry', 'active').map(({ id }) => String(id)),
      outputs: of('completed').map(({ output }) => output),
      failures: of('failed', 'cancelled').map(({ output }) => output),
    };
  }

  /** Marks a job that goes on, or has gone on, as one that is to end: whoever takes it, or has it, clears up after it. */
  async markCancelled(id: string): Promise<void> {
    await this.#changed(
      id,
      `update ${TABLE} set data = data || '{"cancelled": true}', start_after = least(start_after, now())
       where name = $1 and id = $2 and state < 'completed' returning 1`,
    );
  }

  /** Keeps something in a job, once. */
  async keep(id: string, value: object): Promise<void> {
    await this.#changed(
      id,
      `update ${TABLE} set data = jsonb_build_object('kept', $3::jsonb) || data where name = $1 and id = $2 returning 1`,
      JSON.stringify(value),
    );
  }

  /** A row whose attempt fails is written anew, and a change that waits for that finds none. */
  async #changed(id: string, text: string, ...values: readonly unknown[]): Promise<void> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      if ((await this.run(text, id, ...values)).length > 0) return;
    }
  }
}
