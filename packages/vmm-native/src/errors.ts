import { errnoName } from './errno.js';

/** A run that could not start, a system call on a file that failed, or pages that could not be handled. */
export class VmmError extends Error {
  override readonly name: string = 'VmmError';
  /**
   * Stable code: `UNSUPPORTED_PLATFORM`, `FOREIGN_ABI`, `BAD_GUEST_IMAGE`, `BAD_CONFIG`, `SANDBOX_UNAVAILABLE`,
   * `BAD_ARGUMENT`, `BAD_PAGE`, or the name of a system error such as `ENOSPC`, with `SOURCE_` before it where reading
   * a stream failed.
   */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A stored page that does not decompress to exactly one page. Its code is `BAD_PAGE`. */
export class BadPageError extends VmmError {
  override readonly name: string = 'BadPageError';
  /** Index of the page in the batch. */
  readonly page: number;

  constructor(page: number, message: string, options?: ErrorOptions) {
    super('BAD_PAGE', message, options);
    this.page = page;
  }
}

/** The addon gives error numbers; programs and people know names. */
function nameOfCode(code: string): string {
  const number = /^(?:SOURCE_)?ERRNO_(\d+)$/.exec(code)?.[1];
  if (number === undefined) return code;
  const name = errnoName(Number(number));
  return code.startsWith('SOURCE_') ? `SOURCE_${name}` : name;
}

/** Turns what the addon throws into a {@link VmmError}. */
export function toVmmError(error: unknown): VmmError {
  if (!(error instanceof Error)) return new VmmError('INTERNAL', String(error));
  // A rejected promise of the addon carries its code in front of the message, on a line of its own.
  const [first = '', ...rest] = error.message.split('\n');
  if (rest.length > 0 && /^[A-Z0-9_]+$/.test(first)) {
    return new VmmError(nameOfCode(first), rest.join('\n'), { cause: error });
  }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'INTERNAL';
  return new VmmError(nameOfCode(code), error.message, { cause: error });
}
