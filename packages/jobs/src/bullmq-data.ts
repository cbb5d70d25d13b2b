import type * as BullMq from 'bullmq';

/** What lies in a job of the queue, besides what was asked. */
export interface Stored {
  readonly job: object;
  /** How many parts of it were queued. */
  readonly spread?: number;
  /** The job that this is a part of. */
  readonly partOf?: string;
}

/** A job as BullMQ has it. */
export type QueuedJob = BullMq.Job<Stored>;

/** What lies in a job, which anybody may have put there. */
export function storedIn({ data }: { readonly data: unknown }): { readonly job: unknown } & Omit<Stored, 'job'> {
  const fields: Readonly<Record<string, unknown>> =
    typeof data === 'object' && data !== null ? (data as Readonly<Record<string, unknown>>) : {};
  const { job, spread, partOf } = fields;
  return {
    job,
    ...(typeof spread === 'number' ? { spread } : {}),
    ...(typeof partOf === 'string' ? { partOf } : {}),
  };
}

/** What a job is called in the queue. */
export function kindOf(data: object): string {
  return 'kind' in data && typeof data.kind === 'string' ? data.kind : 'unknown';
}
