import type { Json } from '@instar/engine';

/** What became of a job. */
export type JobState =
  /** Waits for a worker, or for another attempt. */
  | 'waiting'
  | 'active'
  /** Done; `result` has what it came to. */
  | 'done'
  /** Not done, and no attempt would change that: the image or the job is at fault. `error` says why. */
  | 'refused'
  /** Kept apart after its last attempt. `error` says why. */
  | 'failed'
  | 'cancelled';

/** Why a job did not come to what was asked. */
export interface JobFailure {
  readonly code: string;
  readonly message: string;
}

/** What a queue knows of a job. */
export interface JobStatus {
  readonly id: string;
  readonly kind: string;
  readonly state: JobState;
  /** Attempts that have begun and ended. */
  readonly attempts: number;
  /** Bytes done, and to be done (windows of one that is done in windows; images, where a job looks at several); of queues that keep it. */
  readonly progress?: { readonly done: number; readonly total: number };
  readonly result?: Json;
  readonly error?: JobFailure;
}

/** How a job is queued. */
export interface QueuingOptions {
  /** Higher comes first, −1000 to 1000 (default 0). */
  readonly priority?: number | undefined;
  /** How often it is tried before it is kept apart (default 5). */
  readonly attempts?: number | undefined;
  /** Pause before the second attempt (ms, default 1000); each is twice as long as the last. */
  readonly backoffMs?: number | undefined;
  /**
   * How long an attempt may take before it is ended and another one begins (ms, default an hour); of pg-boss only.
   */
  readonly expireMs?: number | undefined;
}

/** What a job came to. A queue stores it as it is. */
export type Outcome = { readonly result: Json } | { readonly refused: JobFailure };

/** A job that a worker has taken. */
export interface TakenJob {
  readonly id: string;
  /** As it lay in the queue: nobody has looked at it yet. */
  readonly data: unknown;
  /** From 1 on. */
  readonly attempt: number;
  /** No other follows a failure of this one. */
  readonly lastAttempt: boolean;
  /** Aborted when the job is cancelled, another worker has it, or the worker has to go. */
  readonly signal: AbortSignal;
  readonly progress: (done: bigint, total: bigint) => void;
  /** Whether its parts have been queued before, so that they have ended now. */
  readonly spread: boolean;
  /** Queues parts of it, which may run at once elsewhere, and gives the job back until all of them have ended, or one has failed. */
  readonly spreadTo: (parts: readonly object[]) => Promise<never>;
  /** Parts that came to nothing, with the reason; of a job that was spread. */
  readonly failedParts: () => Promise<readonly string[]>;
  /** What its parts came to, of those that were done. */
  readonly partResults: () => Promise<readonly Json[]>;
  /**
   * Keeps something for the attempts to come, once: what was kept before stays.
   * @returns what is kept now
   */
  readonly keep: (value: object) => Promise<unknown>;
  /** What an attempt has kept, which anybody may have written since. */
  readonly kept: () => Promise<unknown>;
  /** Whether the job has ended, as the queue knows it now: that of an attempt which was taken for gone may have. */
  readonly isOver: () => Promise<boolean>;
}

/** Does a job. What it throws makes for another attempt. */
export type Handler = (job: TakenJob) => Promise<Outcome>;

/** How jobs are taken. */
export interface TakingOptions {
  /** Jobs at a time. */
  readonly concurrency: number;
  /** Told of what goes wrong with the queue, which is tried again. */
  readonly onError?: ((error: Error) => void) | undefined;
  /** How long a worker may be silent before another takes its jobs over (ms). */
  readonly lockMs?: number | undefined;
  /**
   * Jobs that all workers of the queue begin within a time at most, where each of them says the same. pg-boss counts them before it
   * takes one, so that there may be as many more as look at once.
   */
  readonly rate?: Rate | undefined;
}

/** So many jobs in so many milliseconds. */
export interface Rate {
  readonly jobs: number;
  readonly ms: number;
}

/** A worker that takes jobs. */
export interface Taking {
  /** Takes no more, and waits for those that go on; those that are not done after `patienceMs` go back to the queue. */
  drain(patienceMs: number): Promise<void>;
}

/** Jobs in each state. */
export type Counts = Readonly<Record<'waiting' | 'active' | 'done' | 'failed', number>>;

/** A queue, whatever it is made of. */
export interface JobQueue {
  /**
   * Queues a job: one of this id that waits or goes on stays as it is, and so does one that is done, unless `anew`. One that
   * came to nothing begins anew.
   */
  submit(id: string, data: object, options: QueuingOptions & { readonly anew?: boolean }): Promise<void>;
  take(handler: Handler, options: TakingOptions): Promise<Taking>;
  status(id: string): Promise<JobStatus | undefined>;
  /** Ends a job, wherever it is. False where it had ended, or never was. */
  cancel(id: string): Promise<boolean>;
  counts(): Promise<Counts>;
  /** Jobs that are kept apart, the latest first. */
  failed(most: number): Promise<readonly JobStatus[]>;
  close(): Promise<void>;
}

/** Whether nothing more becomes of a job by itself. */
export function isEnded({ state }: Pick<JobStatus, 'state'>): boolean {
  return state !== 'waiting' && state !== 'active';
}

/** Whether a job that a queue knows gives its place to one of the same id. */
export function givesWay(status: JobStatus, anew = false): boolean {
  return status.state === 'done' ? anew : isEnded(status);
}

/** A failure as queues store it: one line, with its code in front. */
export function failureText({ code, message }: JobFailure): string {
  return `${code}: ${message}`;
}

/** The failure behind a stored line. */
export function failureOf(text: string): JobFailure {
  const [, code, message] = /^([A-Z][A-Z0-9_]*): (.*)$/s.exec(text) ?? [];
  return code === undefined || message === undefined ? { code: 'INTERNAL', message: text } : { code, message };
}

/** Thrown by `spreadTo`: the job waits for its parts. Whatever runs a job lets it through. */
export class Spread extends Error {
  override readonly name = 'Spread';
}

/** A failure after which there is no other attempt: the job is kept apart at once. */
export class FinalFailure extends Error {
  override readonly name = 'FinalFailure';

  constructor(failure: JobFailure) {
    super(failureText(failure));
  }
}
