import { constants } from 'node:os';
import { binding } from './binding.js';
import { toVmmError } from './errors.js';
import type { RemoteDevice as NativeDevice, RemoteQuestion } from './generated/native.js';

/** Who answers in the place of a file. Both may be called again before an earlier call has ended. */
export interface RemoteCallbacks {
  /**
   * Bytes of an input. Whatever has not exactly `length` bytes is an error of that read.
   * @param offset first byte
   */
  readonly read?: (offset: bigint, length: number) => Promise<Uint8Array>;
  /** Takes bytes of a stream, in order; those that follow come when it has resolved. */
  readonly write?: (offset: bigint, bytes: Uint8Array) => Promise<void>;
  /** How long one call may take (ms, default 5 minutes); then it has failed with ETIMEDOUT. */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 300_000;

/** The error number of the system that stands for a failure: its own `errno`, or EIO. */
function errnoOf(error: unknown): number {
  const errno: unknown = typeof error === 'object' && error !== null && 'errno' in error ? error.errno : undefined;
  const known = typeof errno === 'number' && Number.isInteger(errno) && errno !== 0 && Math.abs(errno) < 4096;
  return known ? Math.abs(errno) : constants.errno.EIO;
}

/**
 * A device that is no file. It does not keep node alive. Whoever made it closes it when its runs have ended: until then it
 * holds its callbacks, and all that hangs on them. What a callback throws reaches the guest as an error of its read or write.
 */
export class RemoteDevice {
  readonly #native: NativeDevice;
  readonly #callbacks: RemoteCallbacks;

  constructor(callbacks: RemoteCallbacks) {
    this.#callbacks = callbacks;
    const ask = (question: RemoteQuestion): void => {
      this.#answer(question).then(
        (bytes) => {
          this.#native.answer(question.number, bytes);
        },
        (error: unknown) => {
          this.#native.fail(question.number, errnoOf(error));
        },
      );
    };
    try {
      this.#native = new (binding().RemoteDevice)(ask, callbacks.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    } catch (error) {
      throw toVmmError(error);
    }
  }

  /** For `DeviceOptions.remote`. */
  get number(): number {
    return this.#native.number;
  }

  /** Lets the callbacks go. A run that goes on gets no answer any more. */
  close(): void {
    this.#native.close();
  }

  async #answer({ offset, length, bytes }: RemoteQuestion): Promise<Uint8Array | undefined> {
    const { read, write } = this.#callbacks;
    if (length !== undefined) {
      if (read === undefined) throw new TypeError('this device has no read');
      const answer: unknown = await read(offset, Number(length));
      if (!(answer instanceof Uint8Array)) throw new TypeError('a read is answered with a Uint8Array');
      return answer;
    }
    if (write === undefined || bytes === undefined) throw new TypeError('this device has no write');
    await write(offset, bytes);
    return undefined;
  }
}
