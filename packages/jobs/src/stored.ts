/** What lies in an entry of a queue, besides what was asked. */
export interface Stored {
  readonly job: object;
  /** How many parts of it were queued. */
  readonly spread?: number;
  /** The job that this is a part of. */
  readonly partOf?: string;
}

/** Parts that a job has at most; more are nobody's that this package has queued. */
const MOST_PARTS = 1024;

/** The fields of an entry, which anybody may have put there. */
export function fieldsOf(data: unknown): Readonly<Record<string, unknown>> {
  return typeof data === 'object' && data !== null ? (data as Readonly<Record<string, unknown>>) : {};
}

/** What lies in a job, which anybody may have put there. */
export function storedIn({ data }: { readonly data: unknown }): { readonly job: unknown } & Omit<Stored, 'job'> {
  const { job, spread, partOf } = fieldsOf(data);
  return {
    job,
    ...(typeof spread === 'number' && Number.isInteger(spread) && spread > 0 && spread <= MOST_PARTS ? { spread } : {}),
    ...(typeof partOf === 'string' ? { partOf } : {}),
  };
}

/** What a job is called in the queue. */
export function kindOf(data: unknown): string {
  const { kind } = fieldsOf(data);
  return typeof kind === 'string' ? kind : 'unknown';
}
