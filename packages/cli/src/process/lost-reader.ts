/** Whether an error is, or comes from, a reader that went away. */
export function isLostReader(error: unknown): boolean {
  for (let current = error, depth = 0; current instanceof Error && depth < 8; current = current.cause, depth += 1) {
    if ('code' in current && current.code === 'EPIPE') return true;
  }
  return false;
}

/**
 * Whether an error is that of a write to a standard stream, which is told once, when the program ends: writes to files name
 * their file.
 */
export function isOfStandardStream(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && error.syscall === 'write' && !('path' in error);
}
