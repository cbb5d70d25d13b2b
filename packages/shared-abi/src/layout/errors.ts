/** What went wrong with a layout definition or with bytes read through one. */
export type LayoutErrorCode =
  'LAYOUT_OFFSET' | 'LAYOUT_SIZE' | 'LAYOUT_NAME' | 'LAYOUT_VALUE' | 'LAYOUT_RANGE' | 'LAYOUT_TRUNCATED';

/** Where in a layout an error was met, and what was found there. */
export interface LayoutErrorDetails {
  /** Path of the field, for instance `ChainConfig.devices[3].role`. */
  readonly path: string;
  /** Byte offset from the start of the outermost struct. */
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
