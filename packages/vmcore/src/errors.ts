/** What went wrong with a dump. */
export type VmcoreErrorCode =
  /** The file is no dump of a known format. */
  | 'NOT_A_DUMP'
  /** A dump of a known format that uses something which is not supported. */
  | 'UNSUPPORTED'
  /** The dump contradicts itself. */
  | 'BAD_DUMP'
  /** The file ends before what it promises. */
  | 'TRUNCATED'
  /** An index of the dump would take more memory than is allowed. */
  | 'TOO_LARGE'
  /** The dump has no memory at this physical address. */
  | 'NO_MEMORY'
  /** A virtual address that the page tables do not map. */
  | 'NOT_MAPPED'
  /** The memory existed, but was left out of the dump (filtered, or in another part of a split dump). */
  | 'PAGE_EXCLUDED'
  /** There is nothing to write. */
  | 'NOTHING_TO_DUMP'
  /** An output is also an input. */
  | 'SAME_FILE'
  /** An argument of a call contradicts itself. */
  | 'INVALID_ARGUMENT'
  /** An argument of a call, or an option, is unknown or of the wrong type. */
  | 'INVALID_OPTION'
  | 'READ_FAILED'
  | 'WRITE_FAILED'
  | 'ABORTED';

/** Where an error is, what was found there and what was expected. */
export interface VmcoreErrorDetails {
  readonly file?: string | undefined;
  /** Field of a structure, as its format names it. */
  readonly field?: string | undefined;
  /** Byte offset in the file, or physical address where the code is about memory. */
  readonly offset?: bigint | undefined;
  readonly found?: string | undefined;
  readonly expected?: string | undefined;
  readonly cause?: unknown;
  /** The option that is wrong, where the problem says all of it. */
  readonly option?: { readonly field: string; readonly found: string; readonly expected: string } | undefined;
}

function sentence(problem: string, { file, field, offset, found, expected }: VmcoreErrorDetails): string {
  const place = [
    ...(file === undefined ? [] : [file]),
    ...(field === undefined ? [] : [field]),
    ...(offset === undefined ? [] : [`at ${hex(offset)}`]),
  ].join(', ');
  const values = [
    ...(found === undefined ? [] : [`found ${found}`]),
    ...(expected === undefined ? [] : [`expected ${expected}`]),
  ].join(', ');
  return `${place === '' ? '' : `${place}: `}${problem}${values === '' ? '' : ` (${values})`}`;
}

/** A number as people write addresses. */
export function hex(value: bigint | number): string {
  return value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}

/** What errors of this project carry: `isInstarError()` of the engine looks for it. */
const MARK: unique symbol = Symbol.for('instar.error');

/** Every error of this package. Texts out of a dump are not in it. */
export class VmcoreError extends Error {
  override readonly name = 'VmcoreError';
  readonly [MARK] = true;
  readonly code: VmcoreErrorCode;
  /** The problem without its place. */
  readonly problem: string;
  readonly file: string | undefined;
  readonly field: string | undefined;
  readonly offset: bigint | undefined;
  readonly found: string | undefined;
  readonly expected: string | undefined;

  constructor(code: VmcoreErrorCode, problem: string, details: VmcoreErrorDetails = {}) {
    super(sentence(problem, details), details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.problem = problem;
    this.file = details.file;
    this.field = details.field ?? details.option?.field;
    this.offset = details.offset;
    this.found = details.found ?? details.option?.found;
    this.expected = details.expected ?? details.option?.expected;
  }

  /** Fields that are undefined are left out; the offset is a number where that is safe, else a string. */
  toJSON(): Readonly<Record<string, string | number>> {
    const { name, code, message, problem, file, field, offset, found, expected } = this;
    const number = offset === undefined ? undefined : Number(offset);
    const place = number === undefined || Number.isSafeInteger(number) ? number : String(offset);
    const all = { name, code, message, problem, file, field, offset: place, found, expected };
    return Object.fromEntries(
      Object.entries(all).filter((entry): entry is [string, string | number] => entry[1] !== undefined),
    );
  }
}

/** @throws VmcoreError `ABORTED` when the signal was given. */
export function checkAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new VmcoreError('ABORTED', 'cancelled', { cause: signal.reason });
}
