import { EngineError } from '../errors.js';
import type { Location } from './location.js';
import { retrying, Transient } from './retry.js';
import { inTime, loadS3, s3Client, s3Failure, statusOf } from './s3-client.js';
import { DEFAULT_STALL_MS, type RangeSource, type RemoteVersion } from './source.js';

/** How often a range is asked for again whose bytes did not come; what the client itself tries again is not counted. */
const ATTEMPTS = 3;

/**
 * Opens an object of a bucket, by its version or its ETag.
 * @param expected which one it must be
 * @throws EngineError
 */
export async function openS3Source(
  { bucket: Bucket, key: Key }: Extract<Location, { kind: 's3' }>,
  signal: AbortSignal | undefined,
  stallMs: number = DEFAULT_STALL_MS,
  expected?: RemoteVersion,
): Promise<RangeSource> {
  const name = `s3://${Bucket}/${Key}`;
  const module = await loadS3();
  const client = s3Client(module, stallMs);
  const abort = new AbortController();
  const head = new module.HeadObjectCommand({ Bucket, Key, ...versionOf(expected?.versionId) });
  const asked = inTime(0, stallMs, signal, async (abortSignal) => client.send(head, { abortSignal }));
  const found = await asked.catch((error: unknown) => {
    client.destroy();
    throw s3Failure(error, name, signal, 'read');
  });
  const { ContentLength: size, ETag: etag, VersionId: versionId, LastModified: modified } = found;
  if (size === undefined || etag === undefined) {
    client.destroy();
    throw new EngineError('READ_FAILED', 'cannot be read: its server tells neither length nor ETag', { file: name });
  }
  if (expected !== undefined && (expected.etag !== etag || expected.size !== BigInt(size))) {
    client.destroy();
    throw changed(name, expected.etag === etag ? `its length was ${expected.size}, is ${size}` : '');
  }
  const rangeWithin = async (offset: bigint, length: number, abortSignal: AbortSignal): Promise<Uint8Array> => {
    const end = offset + BigInt(length) - 1n;
    const request = new module.GetObjectCommand({
      Bucket,
      Key,
      Range: `bytes=${offset}-${end}`,
      IfMatch: etag,
      ...versionOf(versionId),
    });
    try {
      const answer = await client.send(request, { abortSignal });
      const expected = `bytes ${offset}-${end}/${size}`;
      if (answer.ETag !== etag || answer.ContentRange !== expected) {
        throw changed(name, answer.ETag === etag ? `${answer.ContentRange ?? 'no range'} came, not ${expected}` : '');
      }
      // No more can come than an answer says that it has.
      if (answer.ContentLength !== length) throw new Transient(`${answer.ContentLength ?? 0} bytes come of ${length}`);
      const bytes = await answer.Body?.transformToByteArray().catch((error: unknown) => {
        throw new Transient('the connection broke', 0, error);
      });
      if (bytes?.length !== length)
        throw new Transient(`the answer ended after ${bytes?.length ?? 0} of ${length} bytes`);
      return bytes;
    } catch (error) {
      if (error instanceof Transient) throw error;
      if (statusOf(error) === 412) throw changed(name, '');
      throw s3Failure(error, name, abort.signal, 'read');
    }
  };
  const range = async (offset: bigint, length: number): Promise<Uint8Array> =>
    inTime(length, stallMs, abort.signal, async (within) => rangeWithin(offset, length, within));
  return {
    name,
    size: BigInt(size),
    identity: `object ${Bucket}/${Key}`,
    version: { size: BigInt(size), etag, modified: modified?.toUTCString(), versionId },
    read: async (offset, length) => retrying(name, ATTEMPTS, abort.signal, async () => range(offset, length)),
    close: () => {
      abort.abort();
      client.destroy();
    },
  };
}

/** The version of an object that a request asks for. A bucket that keeps none has the one that is called null. */
function versionOf(versionId: string | undefined): { readonly VersionId?: string } {
  return versionId === undefined || versionId === 'null' ? {} : { VersionId: versionId };
}

function changed(name: string, how: string): EngineError {
  const why = how === '' ? 'its ETag is another one' : how;
  return new EngineError('REMOTE_CHANGED', `was changed while it was read: ${why}`, { file: name });
}
