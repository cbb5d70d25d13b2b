import type * as S3 from '@aws-sdk/client-s3';
import { EngineError } from '../errors.js';
import { Transient } from './retry.js';
import { LEAST_PACE } from './source.js';

/** How often the client sends a request by its own rule. */
const ATTEMPTS_OF_CLIENT = 3;

/** The module of the client, which is loaded where an s3: name is used, and only there. */
export type S3Module = typeof S3;

/** @throws EngineError `REMOTE_REFUSED` where the client is not installed */
export async function loadS3(): Promise<S3Module> {
  try {
    return await import('@aws-sdk/client-s3');
  } catch (error) {
    throw new EngineError(
      'REMOTE_REFUSED',
      's3: names need the package @aws-sdk/client-s3, which is not installed: npm install @aws-sdk/client-s3',
      { cause: error },
    );
  }
}

/**
 * A client with the endpoint, the region and the credentials of its own environment (AWS_ENDPOINT_URL_S3, AWS_REGION,
 * AWS_PROFILE, …).
 * @param stallMs longest time in which nothing goes to or comes from a server; the client then asks anew, three times in all
 */
export function s3Client({ S3Client: Client }: S3Module, stallMs: number): S3.S3Client {
  const { AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_DEFAULT_REGION } = process.env;
  const endpoint = AWS_ENDPOINT_URL_S3 ?? AWS_ENDPOINT_URL;
  const region = AWS_REGION ?? AWS_DEFAULT_REGION;
  return new Client({
    // Servers that are not Amazon's have one name for all buckets.
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    ...(region === undefined && endpoint !== undefined ? { region: 'us-east-1' } : {}),
    requestHandler: { connectionTimeout: stallMs, socketTimeout: stallMs },
    // Only where the service asks for one: other servers do not know the newer checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
}

/**
 * Does something that sends or takes so many bytes, for as long as that may take a server that is slow: one that takes or gives a byte now
 * and then is not waited for without end.
 * @throws Transient where it takes longer
 */
export async function inTime<T>(
  bytes: number,
  stallMs: number,
  signal: AbortSignal | undefined,
  action: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const most = ATTEMPTS_OF_CLIENT * stallMs + Math.ceil((bytes * 1000) / LEAST_PACE);
  const abort = new AbortController();
  let late: Transient | undefined;
  const timer = setTimeout(() => {
    late = new Transient(`its server did not end an answer within ${most} ms`);
    abort.abort(late);
  }, most);
  const onAbort = (): void => {
    abort.abort(signal?.reason);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  try {
    return await action(abort.signal);
  } catch (error) {
    throw late ?? error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** What went wrong, in one line that holds nothing secret. */
export function s3Failure(error: unknown, name: string, signal: AbortSignal | undefined, doing: string): EngineError {
  if (error instanceof EngineError) return error;
  if (signal?.aborted === true) return new EngineError('ABORTED', 'aborted', { cause: error });
  const code = doing === 'read' ? 'READ_FAILED' : 'WRITE_FAILED';
  const kind = error instanceof Error ? error.name : 'Error';
  const status = statusOf(error);
  const why =
    {
      404: 'there is no such object, or no such bucket',
      403: 'its server does not allow it (403)',
      412: 'its server says that it was changed',
    }[status ?? 0] ??
    (kind === 'CredentialsProviderError'
      ? 'there are no credentials for it (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE)'
      : error instanceof Transient
        ? error.message
        : `${kind}${status === undefined ? '' : ` (${status})`}`);
  return new EngineError(code, `cannot be ${doing === 'read' ? 'read' : 'written'}: ${why}`, {
    file: name,
    cause: error,
  });
}

/** The status of an answer of the service. */
export function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return undefined;
  const { $metadata: metadata } = error;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}

/** The field of an object's metadata by which whoever began its upload knows it again. */
export const TOKEN = 'instar-upload';

/** Whether a store knows no such upload: it was completed or aborted. */
export function isGone(error: unknown): boolean {
  return error instanceof Error && error.name === 'NoSuchUpload';
}
