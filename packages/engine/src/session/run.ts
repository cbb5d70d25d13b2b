import { sandboxHelperPath } from '@instar/convert-guest';
import {
  createControl,
  runGuest,
  runInPool,
  VmmError,
  type DumpReport,
  type RunAnswer,
  type RunControl,
  type RunOptions,
  type RunReport,
} from '@instar/vmm-native';
import { DumpMemory } from '../dump-memory.js';
import { attach } from '../dump-requests.js';
import { writeGuestDump } from '../dump-write.js';
import { EngineError } from '../errors.js';
import { explainLimit } from '../resource-limits.js';
import { guestImage } from '../sandbox.js';
import { checkSandbox } from '../sandbox-check.js';
import { takePrepared } from './ahead.js';
import type { GuestContext } from './context.js';
import { poolOf } from './pool.js';

/** What the first request of a guest needs. */
export type FirstRequest = Pick<RunOptions, 'chainConfig' | 'operationConfig' | 'devices' | 'limits' | 'ioThreads'>;

/** What a guest has left for a request: in between, or when it ended. */
export type GuestAnswer = RunAnswer | RunReport;

/** A guest that ended, however it did. */
export function isEnd(answer: GuestAnswer): answer is RunReport {
  return 'outcome' in answer;
}

const PROGRESS_INTERVAL_MS = 100;

/** A guest that was started. */
export class GuestRun {
  readonly control: RunControl;
  readonly #report: Promise<RunReport>;

  private constructor(control: RunControl, report: Promise<RunReport>) {
    this.control = control;
    this.#report = report;
    // Whoever waits for it is told; nobody may, where an answer came before.
    report.catch(() => undefined);
  }

  /**
   * Starts a guest in the sandbox of the operation, or in another where the environment refuses this one, and waits for
   * its first answer.
   * @param options.goesOn whether more requests may follow
   * @param options.secondProcessor whether the guest has work that two processors share
   */
  static async start(
    request: FirstRequest,
    { goesOn, secondProcessor }: { readonly goesOn: boolean; readonly secondProcessor: boolean },
    context: GuestContext,
    onProgress?: GuestContext['onProgress'],
  ): Promise<{ readonly run: GuestRun; readonly answer: GuestAnswer }> {
    throwIfAborted(context.signal);
    for (;;) {
      try {
        const control = createControl();
        const run = new GuestRun(
          control,
          keepingDumps({ ...request, secondProcessor, session: goesOn }, control, context),
        );
        const answer = await run.telling(onProgress, async () => (goesOn ? run.answer() : run.end()));
        if (!isEnd(answer) || answer.outcome !== 'sandbox-error') return { run, answer };
        // Whoever can make a guest fail so must not get another one in a weaker sandbox: first ours has to fail, too.
        const nothingDone = answer.statistics.commands === 0n;
        const problem = nothingDone ? await checkSandbox(context.sandbox.kind) : undefined;
        if (problem === undefined) throw new EngineError('SANDBOX_UNAVAILABLE', answer.message);
        context.sandbox.refuse(problem);
      } catch (error) {
        const limit = explainLimit(error, context.secrets?.keyMemory);
        if (limit !== undefined || !(error instanceof VmmError)) throw limit ?? error;
        if (error.code !== 'SANDBOX_UNAVAILABLE')
          throw new EngineError('GUEST_FAILED', error.message, { cause: error });
        context.sandbox.refuse(error.message);
      }
    }
  }

  /** The answer to the last request, from a guest that waits for more, or from its end. */
  async answer(): Promise<GuestAnswer> {
    // Where the run ends without another answer, its report says why.
    return Promise.race([this.control.answer().catch(async () => this.#report), this.#report]);
  }

  /** Tells how far the guest is, while `action` goes on. */
  async telling<T>(onProgress: GuestContext['onProgress'], action: () => Promise<T>): Promise<T> {
    const tell =
      onProgress &&
      setInterval(() => {
        const { done, total } = this.control.progress();
        onProgress(done, total);
      }, PROGRESS_INTERVAL_MS);
    try {
      return await action();
    } finally {
      clearInterval(tell);
    }
  }

  /** Waits for the end of the guest, which no further request reaches. */
  async end(): Promise<RunReport> {
    this.control.close();
    return this.#report;
  }
}

/** A run whose memory is dumped when it crashes and that was wanted. */
async function keepingDumps(
  request: FirstRequest & { readonly session: boolean; readonly secondProcessor: boolean },
  control: RunControl,
  context: GuestContext,
): Promise<RunReport> {
  const { signal, dumps, dumpOnCrash, trace } = context;
  const memory = dumpOnCrash && (await DumpMemory.create(dumpOnCrash.path));
  const onAbort = (): void => {
    control.cancel();
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  // It may have come while the memory for a dump was made, and comes but once.
  if (signal?.aborted === true) control.cancel();
  const detach = attach(dumps, control);
  const started = performance.now();
  try {
    const { secondProcessor, ...shared } = request;
    const plain =
      context.secrets === undefined && !memory && dumps === undefined && trace === undefined && !secondProcessor;
    const { kind } = context.sandbox;
    const pool = plain && context.isolation === 'pooled' ? poolOf(kind) : takePrepared(plain ? kind : undefined);
    const report =
      pool !== undefined
        ? await runInPool(pool, shared, control)
        : await runGuest(
            {
              ...request,
              ...context.secrets,
              image: guestImage(),
              helper: sandboxHelperPath(),
              sandbox: kind,
              ...(trace === undefined ? {} : { trace }),
              ...(memory === undefined && dumps === undefined ? {} : { dump: memory ? { fd: memory.fd } : {} }),
            },
            control,
          );
    context.onDetail?.({
      kind: 'guest',
      sandbox: context.sandbox.kind,
      outcome: report.outcome,
      elapsedMs: performance.now() - started,
      commands: report.statistics.commands,
    });
    if (memory !== undefined && report.dump !== undefined) await keepDump(report.dump, memory, context);
    return report;
  } finally {
    detach();
    await memory?.close();
    signal?.removeEventListener('abort', onAbort);
  }
}

/** Writes the dump of a crash. The crash is what the caller must hear of, so a failure of this is a warning. */
async function keepDump(report: DumpReport, memory: DumpMemory, context: GuestContext): Promise<void> {
  const { dumpOnCrash, onDump, onWarning, signal } = context;
  if (dumpOnCrash === undefined) return;
  try {
    onDump?.(await writeGuestDump(report, memory, dumpOnCrash, { signal }));
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    onWarning?.(error.message);
  }
}

/** @throws EngineError `ABORTED` */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new EngineError('ABORTED', 'aborted', { cause: signal.reason });
}
