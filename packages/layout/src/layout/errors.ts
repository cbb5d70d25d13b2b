/** What went wrong with a layout definition or with bytes read through one. */
export type LayoutErrorCode =
  /** A field is not where its description says. */
  | 'LAYOUT_OFFSET'
  /** A total is not what its description says. */
  | 'LAYOUT_SIZE'
  /** A name is no identifier, a keyword of a target language, unknown, or there twice. */
  | 'LAYOUT_NAME'
  /** A width that no integer has, or a count that no array has. */
  | 'LAYOUT_WIDTH'
  /** Two fields lie on the same bits. */
  | 'LAYOUT_OVERLAP'
  /** A type contains itself. */
  | 'LAYOUT_CYCLE'
  /** A type in a place that cannot hold it, or a language that cannot say it. */
  | 'LAYOUT_UNSUPPORTED'
  /** A constant field has another value, or a value is of the wrong type. */
  | 'LAYOUT_VALUE'
  /** A value does not fit its field. */
  | 'LAYOUT_RANGE'
  /** A tagged union's tag has no arm, or another one than the value. */
  | 'LAYOUT_TAG'
  /** The bytes end too early. */
  | 'LAYOUT_TRUNCATED';

/** Where in a layout an error was met, and what was found there. */
export interface LayoutErrorDetails {
  /** Path of the field, for instance `ChainConfig.devices[3].role`. */
  readonly path: string;
  /** Byte offset: from the start of the bytes when decoding, from the start of the struct when defining. */
  readonly offset: number;
  readonly found?: unknown;
  readonly expected?: unknown;
}

/** A wrong layout definition, a value that does not fit its field, or bytes that break a constant. */
export class LayoutError extends Error {
  override readonly name = 'LayoutError';
  readonly code: LayoutErrorCode;
  readonly path: string;
  readonly offset: number;
  readonly found: unknown;
  readonly expected: unknown;

  constructor(code: LayoutErrorCode, message: string, details: LayoutErrorDetails) {
    super(`${details.path} at byte ${details.offset}: ${message}`);
    this.code = code;
    this.path = details.path;
    this.offset = details.offset;
    this.found = details.found;
    this.expected = details.expected;
  }
}

/** The same by position: most errors are made here, and names of properties do not shrink. */
export function layoutError(
  code: LayoutErrorCode,
  message: string,
  path: string,
  offset: number,
  found?: unknown,
  expected?: unknown,
): LayoutError {
  return new LayoutError(code, message, { path, offset, found, expected });
}
