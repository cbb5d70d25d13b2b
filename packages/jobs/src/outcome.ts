import { errorCodes, isInstarError, jsonOf, type EngineErrorCode } from '@instar/engine';
import * as v from 'valibot';
import { FinalFailure, failureText, type JobFailure, type Outcome } from './queue.js';

/** Something that may go better another time, as queues see it: its text has the code in front. */
export class AttemptFailed extends Error {
  override readonly name = 'AttemptFailed';

  constructor(failure: JobFailure, cause?: unknown) {
    super(failureText(failure), cause === undefined ? undefined : { cause });
  }
}

const OWN_REFUSALS: readonly string[] = ['INVALID_JOB', 'NOT_ALLOWED', 'INVALID_OPTION', 'INPUT_CHANGED'];

/** What an error means: a refusal where no attempt would change it, else a failure. */
export function verdictOf(error: unknown): { readonly refused: JobFailure } | { readonly failed: JobFailure } {
  if (!isInstarError(error)) {
    const message = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    return { failed: { code: 'INTERNAL', message } };
  }
  const failure = { code: error.code, message: error.message };
  const fault = errorCodes().get(error.code as EngineErrorCode)?.fault;
  // A limit is one of the worker, and the next may be faster.
  const final =
    OWN_REFUSALS.includes(error.code) ||
    ((fault === 'image' || fault === 'caller') && error.code !== 'ABORTED' && error.code !== 'GUEST_LIMIT');
  return final ? { refused: failure } : { failed: failure };
}

/** What an error makes of a job: it is refused, or the attempt failed, which is thrown. */
export function outcomeOf(error: unknown): Outcome {
  if (error instanceof FinalFailure || error instanceof AttemptFailed) throw error;
  const verdict = verdictOf(error);
  if ('refused' in verdict) return verdict;
  throw new AttemptFailed(verdict.failed, error);
}

const outcome = v.union([
  v.strictObject({ refused: v.strictObject({ code: v.string(), message: v.string() }) }),
  v.strictObject({ result: v.unknown() }),
]);

/** Reads an outcome that a queue has stored. */
export function parseOutcome(value: unknown): Outcome | undefined {
  const found = v.safeParse(outcome, value);
  if (!found.success) return undefined;
  return 'refused' in found.output ? found.output : { result: jsonOf(found.output.result) };
}
