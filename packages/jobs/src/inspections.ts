import { inspect, inspectEach, type Inspection, type OperationControl } from '@instar/engine';
import { AttemptFailed, verdictOf } from './outcome.js';
import type { InspectJob } from './payloads.js';
import { allowedInput, engineAccess, type WorkerPolicy } from './policy.js';
import type { JobFailure, TakenJob } from './queue.js';

/** What a look at images runs with. */
export interface InspectionRun {
  readonly job: TakenJob;
  readonly policy: WorkerPolicy;
  readonly control: OperationControl;
}

/** What came of one image of a job that looks at several. */
export type InspectedInput = {
  /** As the job names it. */
  readonly input: string;
} & (
  | { readonly result: Inspection }
  /** The image, or its name, is at fault. */
  | { readonly refused: JobFailure }
  /** It could not be read in any attempt. */
  | { readonly failed: JobFailure }
);

/** Looks at what a job names: one image, or several. */
export async function inspectImages(job: InspectJob, run: InspectionRun): Promise<unknown> {
  const { input, inputs = [], inputFormat: format } = job;
  if (input === undefined) return { images: await inspectSeveral(inputs, format, run) };
  const { policy, control } = run;
  const { pathPolicy: _, ...access } = engineAccess(policy);
  return inspect(await allowedInput(input, policy), { format, ...access, ...control });
}

/**
 * Looks at several images. One that is refused keeps none of the others back; where one fails that may be read another time, all are
 * looked at again by the next attempt, and the last attempt tells what came of each.
 * @throws AttemptFailed where there is another attempt, or none could be read
 */
async function inspectSeveral(
  inputs: readonly string[],
  format: InspectJob['inputFormat'],
  { job, policy, control }: InspectionRun,
): Promise<readonly InspectedInput[]> {
  const { pathPolicy: _, ...access } = engineAccess(policy);
  const found: InspectedInput[] = [];
  const open: number[] = [];
  const allowed = async function* (): AsyncGenerator<string> {
    for (const [index, input] of inputs.entries()) {
      try {
        const real = await allowedInput(input, policy);
        open.push(index);
        yield real;
      } catch (error) {
        found[index] = { input, ...verdictOf(error) };
      }
    }
  };
  let ended = 0;
  // What is read of one image is no progress of the job.
  const each = { ...control, onProgress: undefined };
  for await (const { value, error } of inspectEach(allowed(), { format, ...access, ...each })) {
    const index = open[ended] ?? 0;
    const input = inputs[index] ?? '';
    found[index] = { input, ...(value === undefined ? verdictOf(error) : { result: value }) };
    ended += 1;
    job.progress(BigInt(ended), BigInt(inputs.length));
  }
  const failures = found.flatMap((image) => ('failed' in image ? [image.failed] : []));
  const [first] = failures;
  if (first !== undefined && (!job.lastAttempt || failures.length === inputs.length)) {
    const message = `${failures.length} of ${inputs.length} images could not be read, the first: ${first.message}`;
    throw new AttemptFailed({ code: first.code, message });
  }
  return found;
}
