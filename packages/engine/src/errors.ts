import { errnoName } from '@instar/vmm-native';
import { escapeText } from './escape.js';

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

/** Codes of errors that do not come from an image's content. Codes of refused images begin with `IMAGE_`. */
export type EngineErrorCode =
  | `IMAGE_${string}`
  | 'ABORTED'
  | 'CHAIN_LOOP'
  | 'CHAIN_TOO_DEEP'
  | 'FILE_NOT_USABLE'
  | 'GUEST_FAILED'
  | 'GUEST_LIMIT'
  | 'GUEST_NOT_RUNNING'
  | 'INPUT_IN_USE'
  | 'INVALID_OPTION'
  | 'LIMIT_EXCEEDED'
  | 'NO_SPACE'
  | 'OUTPUT_EXISTS'
  | 'PATH_REFUSED'
  | 'READ_FAILED'
  | 'REFERENCE_MISSING'
  | 'SAME_FILE'
  | 'SANDBOX_UNAVAILABLE'
  | 'UNSUPPORTED_FORMAT'
  | 'UNSUPPORTED_PLATFORM'
  | 'WRITE_FAILED';

/** What is known of an error besides its message. */
export interface EngineErrorDetails {
  /** Path of the file, as the user or the image named it. */
  readonly file?: string;
  readonly location?: ErrorLocation;
  readonly cause?: unknown;
}

/**
 * An operation that was refused or failed. `message` is one line that may be shown as it is: control characters of
 * names are escaped. `code` is stable.
 */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly code: EngineErrorCode;
  readonly file: string | undefined;
  readonly location: ErrorLocation | undefined;

  constructor(code: EngineErrorCode, what: string, details: EngineErrorDetails = {}) {
    const { file, location, cause } = details;
    super(
      `${file === undefined ? '' : `${escapeText(file)}: `}${what}${location === undefined ? '' : place(location)}`,
      cause === undefined ? undefined : { cause },
    );
    this.code = code;
    this.file = file;
    this.location = location;
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

/** Short sentences for system errors that users meet. */
const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EBADF: 'the descriptor is closed, or open for the other direction only',
  EDQUOT: 'the disk quota is exhausted',
  EFBIG: 'the file would be larger than its file system or limit allows',
  EISDIR: 'is a directory',
  EIO: 'input/output error',
  ELOOP: 'too many symbolic links',
  EMEDIUMTYPE: 'the medium has the wrong type',
  EMFILE: 'too many open files of this process; raise ulimit -n (RLIMIT_NOFILE)',
  ENFILE: 'too many open files on this machine',
  ENOMEM: 'out of memory; a limit on the address space (ulimit -v, RLIMIT_AS) may be too low',
  ENAMETOOLONG: 'the name is too long',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on device',
  ENOTDIR: 'a part of the path is not a directory',
  ENXIO: 'no such device',
  EPERM: 'operation not permitted',
  EPIPE: 'the reader of the output is gone',
  EREMOTEIO: 'the remote end of the device failed',
  EROFS: 'the file system is read-only',
  ESTALE: 'the file is gone from its network file system',
  ETXTBSY: 'the file is being executed',
  EXDEV: 'the name leads out of its directory',
};

/** The name of a system error, where `error` is one. */
export function systemErrorName(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  if (/^E[A-Z0-9]+$/.test(error.code)) return error.code;
  // Node has no name for some, and says `Unknown system error -122`.
  return 'errno' in error && typeof error.errno === 'number' && error.errno < 0 ? errnoName(-error.errno) : undefined;
}

/** A sentence for a system error, with its name. */
export function describeSystemError(name: string): string {
  const sentence = SYSTEM_ERRORS[name];
  return sentence === undefined ? `system error ${name}` : `${sentence} (${name})`;
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
export function fileError(code: EngineErrorCode, file: string, doing: string, error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  const name = systemErrorName(error);
  const why = name === undefined ? (error instanceof Error ? error.message : String(error)) : describeSystemError(name);
  const chosen = name !== undefined && isNoSpace(name) ? 'NO_SPACE' : code;
  return new EngineError(chosen, `${doing}: ${why}`, { file, cause: error });
}
