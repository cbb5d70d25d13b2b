import { describeSystemError, systemErrorName } from './system-errors.js';

/** What went wrong with a file of the host. */
export type HostFileErrorCode =
  /** An edit was interrupted, and what it has overwritten cannot be put back here. */
  | 'EDIT_INTERRUPTED'
  /** It is no file that can be used so: a directory, a stream, a name that names none. */
  | 'FILE_NOT_USABLE'
  /** Another process uses it. */
  | 'INPUT_IN_USE'
  | 'NO_SPACE'
  | 'OUTPUT_EXISTS'
  /** A name that the path policy does not allow. */
  | 'PATH_REFUSED'
  | 'READ_FAILED'
  | 'REFERENCE_MISSING'
  /** An output is also an input. */
  | 'SAME_FILE'
  | 'WRITE_FAILED';

/** Every error of this package. `message` is `problem` with the file's name in front, neither of them escaped. */
export class HostFileError extends Error {
  override readonly name = 'HostFileError';
  readonly code: HostFileErrorCode;
  /** What is wrong, without the name of the file. */
  readonly problem: string;
  /** The file, as the user or an image named it. */
  readonly file: string;

  constructor(code: HostFileErrorCode, problem: string, file: string, cause?: unknown) {
    super(`${file}: ${problem}`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.problem = problem;
    this.file = file;
  }
}

/** Why something failed, in words. */
export function reasonOf(error: unknown): string {
  const name = systemErrorName(error);
  if (name !== undefined) return describeSystemError(name);
  return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
}

/** Wraps a failed system call on a file. */
export function hostFileError(code: HostFileErrorCode, file: string, doing: string, error: unknown): HostFileError {
  if (error instanceof HostFileError) return error;
  const name = systemErrorName(error);
  const chosen = name === 'ENOSPC' || name === 'EDQUOT' || name === 'EFBIG' ? 'NO_SPACE' : code;
  return new HostFileError(chosen, `${doing}: ${reasonOf(error)}`, file, error);
}
