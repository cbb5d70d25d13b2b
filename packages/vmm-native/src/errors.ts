/** A run that could not start, or a system call on a file that failed. */
export class VmmError extends Error {
  override readonly name = 'VmmError';
  /**
   * Stable code: `UNSUPPORTED_PLATFORM`, `FOREIGN_ABI`, `BAD_GUEST_IMAGE`, `BAD_CONFIG`, `SANDBOX_UNAVAILABLE`, or the
   * name of a system error such as `ENOSPC`.
   */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Turns what the addon throws into a {@link VmmError}. */
export function toVmmError(error: unknown): VmmError {
  if (!(error instanceof Error)) return new VmmError('INTERNAL', String(error));
  // A rejected promise of the addon carries its code in front of the message, on a line of its own.
  const [first = '', ...rest] = error.message.split('\n');
  if (rest.length > 0 && /^[A-Z0-9_]+$/.test(first)) {
    return new VmmError(first, rest.join('\n'), { cause: error });
  }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'INTERNAL';
  return new VmmError(code, error.message, { cause: error });
}
