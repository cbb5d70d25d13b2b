import type * as S3 from '@aws-sdk/client-s3';
import { EngineError } from '../errors.js';

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
 */
export function s3Client({ S3Client: Client }: S3Module): S3.S3Client {
  const { AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_DEFAULT_REGION } = process.env;
  const endpoint = AWS_ENDPOINT_URL_S3 ?? AWS_ENDPOINT_URL;
  const region = AWS_REGION ?? AWS_DEFAULT_REGION;
  return new Client({
    // Servers that are not Amazon's have one name for all buckets.
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    ...(region === undefined && endpoint !== undefined ? { region: 'us-east-1' } : {}),
    // Only where the service asks for one: other servers do not know the newer checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
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
