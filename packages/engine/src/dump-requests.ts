import { VmmError, type DumpReport, type RunControl } from '@instar/vmm-native';
import { DumpMemory } from './dump-memory.js';
import type { DumpTarget, WrittenDump } from './dump-target.js';
import { checkDumpControl, checkDumpTarget } from './options/dump.js';
import { writeGuestDump, type DumpWriteControl } from './dump-write.js';
import { EngineError } from './errors.js';

/** A guest needs some time to begin, and an operation some between two guests. */
const ATTEMPTS = 50;
const PAUSE_MS = 20;

/** The run that goes on, for each handle. */
const running = new WeakMap<DumpRequests, RunControl>();

/** Connects a handle with a run. Returns what disconnects it. */
export function attach(requests: DumpRequests | undefined, control: RunControl): () => void {
  if (requests === undefined) return () => undefined;
  running.set(requests, control);
  return () => {
    running.delete(requests);
  };
}

/**
 * A handle by which dumps are taken of an operation's guest while it goes on. Give it to the operation, and keep it. An
 * operation that can be dumped is a little slower in the process sandbox.
 */
export class DumpRequests {
  /**
   * Halts the guest, copies its memory, lets it go on, and writes the dump. It holds data of the images.
   * @throws EngineError `GUEST_NOT_RUNNING` when no operation with this handle runs a guest; else as a write of a file.
   */
  async dump(target: DumpTarget | string, control: DumpWriteControl = {}): Promise<WrittenDump> {
    const { signal } = checkDumpControl(control);
    const where = checkDumpTarget(target);
    const memory = await DumpMemory.create(where.path);
    try {
      const report = await this.#take(memory, signal);
      return await writeGuestDump(report, memory, where, control);
    } finally {
      await memory.close();
    }
  }

  async #take(memory: DumpMemory, signal: AbortSignal | undefined): Promise<DumpReport> {
    for (let attempt = 1; ; attempt += 1) {
      if (signal?.aborted === true) throw new EngineError('ABORTED', 'aborted', { cause: signal.reason });
      const run = running.get(this);
      try {
        if (run !== undefined) return await run.requestDump(memory.fd);
      } catch (error) {
        if (!(error instanceof Error) || !error.message.startsWith('NOT_RUNNING')) {
          throw error instanceof VmmError ? new EngineError('GUEST_FAILED', error.message, { cause: error }) : error;
        }
      }
      if (attempt === ATTEMPTS) throw new EngineError('GUEST_NOT_RUNNING', 'no guest is running that could be dumped');
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
