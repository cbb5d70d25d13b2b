/** Whether an error is, or comes from, a reader that went away. */
export function isLostReader(error: unknown): boolean {
  for (let current = error, depth = 0; current instanceof Error && depth < 8; current = current.cause, depth += 1) {
    if ('code' in current && current.code === 'EPIPE') return true;
  }
  return false;
}

/** Standard output could not be written, which is told once, when the program ends. */
export class OutputFailed extends Error {
  constructor(cause: Error) {
    super('standard output cannot be written', { cause });
  }
}
