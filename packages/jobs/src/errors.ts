import { InstarError } from '@instar/engine';

/** Codes of a `JobsError`. They are stable. */
export type JobsErrorCode =
  /** What was submitted, or came out of the queue, is not a job. */
  | 'INVALID_JOB'
  /** A job names what the worker may not read or write. */
  | 'NOT_ALLOWED'
  /** The queue cannot be reached, or its client is not installed. */
  | 'QUEUE_UNAVAILABLE'
  /** An option is wrong. */
  | 'INVALID_OPTION'
  /** The input of a job in windows was changed before all of them were done. */
  | 'INPUT_CHANGED'
  /** A window of a job failed, or is not done. */
  | 'WINDOW_FAILED'
  /** The job was cancelled. */
  | 'CANCELLED';

/** Something about jobs was refused or failed. `message` is one line that holds no credential. */
export class JobsError extends InstarError {
  override readonly name = 'JobsError';
  readonly code: JobsErrorCode;
  readonly reason: string;

  constructor(code: JobsErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.reason = message;
  }
}
