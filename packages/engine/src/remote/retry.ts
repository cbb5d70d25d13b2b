import { setTimeout as sleep } from 'node:timers/promises';
import { EngineError } from '../errors.js';

/** Something that may go better another time. */
export class Transient extends Error {
  override readonly name = 'Transient';
  /** How long the other side wants to be left alone (ms). */
  readonly waitMs: number;

  constructor(message: string, waitMs = 0, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.waitMs = waitMs;
  }
}

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 30_000;

/**
 * Tries something again, each time after a longer while, as long as it fails with a {@link Transient}.
 * @throws EngineError `READ_FAILED` with the last reason; `ABORTED`
 */
export async function retrying<T>(
  name: string,
  attempts: number,
  signal: AbortSignal,
  action: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await action();
    } catch (error) {
      if (signal.aborted) throw new EngineError('ABORTED', 'aborted', { cause: error });
      if (!(error instanceof Transient)) throw error;
      if (attempt >= attempts) {
        const tried = attempts === 1 ? '' : ` (tried ${attempts} times)`;
        throw new EngineError('READ_FAILED', `cannot be read: ${error.message}${tried}`, { file: name, cause: error });
      }
      const own = FIRST_WAIT_MS * 2 ** (attempt - 1) * (0.5 + Math.random() / 2);
      const wait = Math.min(Math.max(own, error.waitMs), LONGEST_WAIT_MS);
      await sleep(wait, undefined, { signal }).catch(() => undefined);
    }
  }
}
