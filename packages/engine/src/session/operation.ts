import type { ValueOf } from '@instar/layout';
import { RESULT_STATUS, type ErrorRecord } from '@instar/shared-abi';
import { hostError, impossibleResult, recordError } from './outcome.js';
import type { GuestRequest, GuestSession, SessionAnswer } from './session.js';

/** What every operation's result begins with. */
export interface OperationResult {
  readonly magic: number;
  readonly status: number;
  readonly error: ValueOf<typeof ErrorRecord>;
}

/** An operation of the guest: its config, and how its result is read. */
export interface GuestOperation<T extends OperationResult> extends GuestRequest {
  readonly result: { decode(bytes: Uint8Array): T };
  readonly magic: number;
  /** Whether what could not be read is accounted for in the result; by default it never is. */
  readonly accountsForReads?: (result: T) => boolean;
}

/** @throws EngineError where it is no result */
export function decodeResult<T extends OperationResult>(
  { result, magic, subject }: Pick<GuestOperation<T>, 'result' | 'magic' | 'subject'>,
  answer: SessionAnswer,
  session: GuestSession,
): T {
  let decoded: T;
  try {
    decoded = result.decode(answer.result);
  } catch {
    throw impossibleResult(subject);
  }
  if (decoded.status === RESULT_STATUS.values.ERROR) {
    throw recordError(decoded.error, answer.failures, session.devices, subject);
  }
  if (decoded.status !== RESULT_STATUS.values.OK || decoded.magic !== magic) throw impossibleResult(subject);
  return decoded;
}

/**
 * Runs an operation that reads images and perhaps writes an output.
 * @throws EngineError where the image was refused, or a command on a device failed, whatever the guest says.
 */
export async function perform<T extends OperationResult>(
  session: GuestSession,
  operation: GuestOperation<T>,
): Promise<T> {
  const answer = await session.request(operation);
  const result = decodeResult(operation, answer, session);
  // "Done" is the guest's word; what was not written or not read is the host's knowledge.
  const accounted = operation.accountsForReads?.(result) ?? false;
  const failure = answer.failures.find(({ write }) => write) ?? (accounted ? undefined : answer.failures[0]);
  if (failure !== undefined) throw hostError(failure, session.devices, operation.subject);
  return result;
}
