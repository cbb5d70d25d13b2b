import {
  describeSystemError,
  escapeText,
  hostFileError,
  HostFileError,
  type HostFileErrorCode,
  systemErrorName,
} from '@instar/host-files';
import type { EngineErrorCode } from './error-codes.js';
import { InstarError } from './instar-error.js';
import { shownName } from './remote/names.js';
import type { GuestLimits } from './session/context.js';

/** Where in a file an error was met. */
export interface ErrorLocation {
  /** Name of the field, as the format's specification has it. */
  readonly field: string;
  /** Byte offset in the file. */
  readonly offset: bigint;
  /** What was found there. */
  readonly value: bigint;
  /** What was expected. */
  readonly expected?: string;
}

/** The limit that was reached, by its name among the limits of a call; `exits` and `outputBytes` are set by this package. */
export type ErrorLimit = keyof GuestLimits | 'exits' | 'outputBytes';

/** What is known of an error besides its message. */
export interface EngineErrorDetails {
  /** Path of the file, as the user or the image named it. */
  readonly file?: string;
  readonly location?: ErrorLocation;
  readonly limit?: ErrorLimit | undefined;
  readonly cause?: unknown;
}

/**
 * An operation that was refused or failed. `message` is one line that may be shown as it is: control characters of
 * names are escaped. `code` is stable.
 */
export class EngineError extends InstarError {
  /** `AbortError` where the signal of the call was aborted, as of functions of Node.js; else `EngineError`. */
  override readonly name: 'EngineError' | 'AbortError';
  readonly code: EngineErrorCode;
  readonly reason: string;
  readonly file: string | undefined;
  readonly location: ErrorLocation | undefined;
  /** Of `GUEST_LIMIT` and `LIMIT_EXCEEDED`. */
  readonly limit: ErrorLimit | undefined;
  /** Whether it took longer than it was allowed to, or nothing was done for too long. */
  readonly timedOut: boolean;

  constructor(code: EngineErrorCode, what: string, details: EngineErrorDetails = {}) {
    const { location, limit, cause } = details;
    const file = details.file === undefined ? undefined : shownName(details.file);
    const reason = `${what}${location === undefined ? '' : place(location)}`;
    super(`${file === undefined ? '' : `${escapeText(file)}: `}${reason}`, cause === undefined ? undefined : { cause });
    this.name = code === 'ABORTED' ? 'AbortError' : 'EngineError';
    this.code = code;
    this.reason = reason;
    this.file = file;
    this.location = location;
    this.limit = limit;
    this.timedOut = limit === 'wallClockMs' || limit === 'noProgressMs';
  }
}

/** Numbers as people know them: a magic by its bytes. */
function readable(field: string, value: bigint): string {
  if (field !== 'magic') return String(value);
  const digits = value.toString(16);
  const bytes = digits.padStart(Math.max(8, digits.length + (digits.length % 2)), '0').match(/../g) ?? [];
  return bytes.join(' ');
}

function place({ field, offset, value, expected = '' }: ErrorLocation): string {
  const wanted = /^\d+$/.test(expected) ? readable(field, BigInt(expected)) : escapeText(expected);
  // Which formats were found the sentence says already; their numbers are nobody's business.
  if (field === 'format') return wanted === '' ? '' : ` (expected ${wanted})`;
  const rest = wanted === '' ? '' : `, expected ${wanted}`;
  return ` (${escapeText(field)} at offset ${offset} is ${readable(field, value)}${rest})`;
}

export { describeSystemError, systemErrorName };

/** An error of a file of the host as one of this package. */
export function fromHostFile(error: HostFileError): EngineError {
  return new EngineError(error.code, escapeText(error.problem), { file: error.file, cause: error.cause ?? error });
}

/** Whether a system error says that there is no room for what was to be written. */
export function isNoSpace(name: string): boolean {
  return name === 'ENOSPC' || name === 'EDQUOT' || name === 'EFBIG';
}

/** A system error of which only the name is known, to be the cause of another. */
export function systemError(name: string): Error {
  return Object.assign(new Error(describeSystemError(name)), { code: name });
}

/** Wraps a failed system call on a file. */
export function fileError(code: HostFileErrorCode, file: string, doing: string, error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  return fromHostFile(hostFileError(code, file, doing, error));
}

/** Calls something of the package of the host's files, and turns its errors into those of this package. */
export async function withEngineErrors<T>(action: () => Promise<T> | T): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw error instanceof HostFileError ? fromHostFile(error) : error;
  }
}
