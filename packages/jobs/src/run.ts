import { createHash } from 'node:crypto';
import {
  compare,
  convert,
  jsonOf,
  openImage,
  type GuestLimits,
  type Isolation,
  type OperationControl,
  type SandboxChoice,
} from '@instar/engine';
import { inspectImages } from './inspections.js';
import { outcomeOf } from './outcome.js';
import { parseAnyJob, type ChecksumJob, type CompareJob, type ConvertJob } from './payloads.js';
import { allowedInput, allowedOutput, engineAccess, type WorkerPolicy } from './policy.js';
import { Spread, type Handler, type Outcome, type TakenJob } from './queue.js';
import { kindOf } from './stored.js';
import { convertInWindows, writeOneWindow } from './windows.js';

/** How a worker does its jobs. */
export interface WorkerOptions extends WorkerPolicy {
  /** Which sandbox (default `auto`). */
  readonly sandbox?: SandboxChoice | undefined;
  /**
   * Whether guests run in sandboxes that were restored after another job (`pooled`, the default, as of the engine) or in new
   * ones (`fresh`, which takes an inspection some milliseconds longer).
   */
  readonly isolation?: Isolation | undefined;
  /** Bounds of each job. */
  readonly limits?: GuestLimits | undefined;
  /**
   * Runs around each attempt, as a span of a trace does: `attempt` does it, and tells how it ended; it never rejects. What this throws
   * is no fault of the job, which is done all the same, once.
   */
  readonly around?: ((job: BegunJob, attempt: () => Promise<EndedJob>) => Promise<unknown>) | undefined;
  /** Told of each job that ended in this worker. */
  readonly onEnd?: ((job: EndedJob) => void) | undefined;
}

/** A job that a worker begins with. */
export interface BegunJob {
  readonly id: string;
  readonly kind: string;
  /** From 1 on. */
  readonly attempt: number;
}

/** A job that ended in a worker. */
export interface EndedJob extends BegunJob {
  readonly state: 'done' | 'refused' | 'failed' | 'spread';
  readonly elapsedMs: number;
  /** Why it was not done. */
  readonly message?: string;
}

/** What a job runs with. */
export interface Running {
  readonly job: TakenJob;
  readonly policy: WorkerPolicy;
  readonly control: OperationControl;
}

function controlOf(job: TakenJob, { sandbox, isolation, limits }: WorkerOptions): OperationControl {
  return {
    signal: job.signal,
    sandbox,
    limits,
    isolation,
    onProgress: job.progress,
  };
}

async function runConvert(job: ConvertJob, { policy, control }: Running): Promise<unknown> {
  const { inputFormat: format, outputFormat, compress, compressionType } = job;
  const [input, output] = [await allowedInput(job.input, policy), await allowedOutput(job.output, policy)];
  const layout = compress === true ? { compress, compressionType } : {};
  return convert(input, output, { format, outputFormat, layout, ...engineAccess(policy), ...control });
}

async function runCompare(job: CompareJob, { policy, control }: Running): Promise<unknown> {
  const { firstFormat, secondFormat, strict } = job;
  const [first, second] = [await allowedInput(job.first, policy), await allowedInput(job.second, policy)];
  return compare(first, second, { firstFormat, secondFormat, strict, ...engineAccess(policy), ...control });
}

async function runChecksum({ input, inputFormat, algorithm }: ChecksumJob, running: Running): Promise<unknown> {
  const { policy, control } = running;
  const access = { ...engineAccess(policy), ...control };
  const image = await openImage(await allowedInput(input, policy), { format: inputFormat, ...access });
  try {
    const hash = createHash(algorithm);
    let done = 0n;
    for await (const bytes of image.createReadStream() as AsyncIterable<Uint8Array>) {
      hash.update(bytes);
      done += BigInt(bytes.length);
      running.job.progress(done, image.virtualSize);
    }
    return { algorithm, checksum: hash.digest('hex'), bytes: done };
  } finally {
    await image.close();
  }
}

async function run(running: Running): Promise<unknown> {
  const job = parseAnyJob(running.job.data);
  switch (job.kind) {
    case 'convert':
      return (job.windows ?? 1) > 1 ? convertInWindows(job, running) : runConvert(job, running);
    case 'inspect':
      return inspectImages(job, running);
    case 'compare':
      return runCompare(job, running);
    case 'checksum':
      return runChecksum(job, running);
    case 'window':
      return writeOneWindow(job, running);
  }
}

/** How an attempt ended, for whoever watches and for the queue. */
type Ended = { readonly told: EndedJob } & ({ readonly outcome: Outcome } | { readonly failure: unknown });

async function attempt(job: TakenJob, begun: BegunJob, options: WorkerOptions): Promise<Ended> {
  const started = performance.now();
  const told = (state: EndedJob['state'], message?: string): EndedJob => ({
    ...begun,
    state,
    elapsedMs: performance.now() - started,
    ...(message === undefined ? {} : { message }),
  });
  try {
    const result = await run({ job, policy: options, control: controlOf(job, options) });
    return { told: told('done'), outcome: { result: jsonOf(result) } };
  } catch (error) {
    if (error instanceof Spread) return { told: told('spread'), failure: error };
    try {
      const outcome = outcomeOf(error);
      return { told: told('refused', 'refused' in outcome ? outcome.refused.message : undefined), outcome };
    } catch (failure) {
      return { told: told('failed', failure instanceof Error ? failure.message : undefined), failure };
    }
  }
}

/** Does jobs of a queue with the engine. */
export function handlerOf(options: WorkerOptions): Handler {
  return async (job): Promise<Outcome> => {
    const begun = { id: job.id, kind: kindOf(job.data), attempt: job.attempt };
    let running: Promise<Ended> | undefined;
    const once = async (): Promise<Ended> => (running ??= attempt(job, begun, options));
    // Whoever watches has no say in what becomes of the job.
    const watched = async (): Promise<unknown> => options.around?.(begun, async () => (await once()).told);
    await watched().catch(() => undefined);
    const ended = await once();
    options.onEnd?.(ended.told);
    if ('failure' in ended) throw ended.failure;
    return ended.outcome;
  };
}
