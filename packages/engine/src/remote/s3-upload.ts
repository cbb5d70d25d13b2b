import { randomUUID } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';
import { RemoteDevice } from '@instar/vmm-native';
import type { OutputFile } from '@instar/host-files';
import { EngineError } from '../errors.js';
import { parseLocation } from './location.js';
import { inTime, isGone, loadS3, s3Client, s3Failure, TOKEN, type S3Module } from './s3-client.js';
import { DEFAULT_STALL_MS } from './source.js';

/** Bytes of a part, at least (S3 takes 5 MiB to 5 GiB, the last one less). */
const LEAST_PART = 16n << 20n;
/** Parts that an upload may have; S3 takes 10,000. */
const MOST_PARTS = 9_000n;
/** Parts that are sent at a time. */
const IN_FLIGHT = 3;

/** An output whose bytes are sent somewhere, in order. */
export type RemoteOutput = OutputFile & {
  /** For `DeviceOptions.remote`. */
  readonly remote: number;
  /** Why bytes could not be sent. */
  readonly failure: () => EngineError | undefined;
};

interface Part {
  readonly PartNumber: number;
  readonly ETag: string | undefined;
}

/**
 * An object of a bucket that is written from its beginning to its end, and is there when it is complete: a multipart upload,
 * which is aborted where anything fails.
 */
class Upload {
  readonly #module: S3Module;
  readonly #client: S3Client;
  readonly #object: { readonly Bucket: string; readonly Key: string };
  readonly #name: string;
  readonly #signal: AbortSignal | undefined;
  readonly #stallMs: number;
  readonly #partSize: number;
  readonly #parts: Part[] = [];
  /** Parts that were begun, by which the next one is numbered. */
  #begun = 0;
  readonly #sending = new Set<Promise<void>>();
  #id: string | undefined;
  /** Kept with the object, by which it is known again. */
  readonly #token = randomUUID();
  #pieces: Uint8Array[] = [];
  #gathered = 0;
  #taken = 0n;
  #failed: EngineError | undefined;

  constructor(
    module: S3Module,
    { bucket: Bucket, key: Key }: { readonly bucket: string; readonly key: string },
    most: bigint,
    signal: AbortSignal | undefined,
    stallMs: number,
  ) {
    this.#module = module;
    this.#stallMs = stallMs;
    this.#client = s3Client(module, stallMs);
    this.#object = { Bucket, Key };
    this.#name = `s3://${Bucket}/${Key}`;
    this.#signal = signal;
    const fitting = most / MOST_PARTS + 1n;
    this.#partSize = Number(fitting > LEAST_PART ? fitting : LEAST_PART);
  }

  /** Bytes that were taken. */
  get taken(): bigint {
    return this.#taken;
  }

  get failed(): EngineError | undefined {
    return this.#failed;
  }

  /** Takes the bytes that follow; they may be changed afterwards. */
  async write(offset: bigint, bytes: Uint8Array): Promise<void> {
    if (this.#failed !== undefined) throw this.#failed;
    if (offset !== this.#taken) {
      throw new EngineError('WRITE_FAILED', `takes bytes in order: found offset ${offset}, expected ${this.#taken}`, {
        file: this.#name,
      });
    }
    this.#taken += BigInt(bytes.length);
    for (let at = 0; at < bytes.length;) {
      const piece = bytes.slice(at, at + this.#partSize - this.#gathered);
      this.#pieces.push(piece);
      this.#gathered += piece.length;
      at += piece.length;
      if (this.#gathered === this.#partSize) await this.#send();
    }
  }

  /** Sends what is left, and makes the object of the parts. */
  async complete(): Promise<void> {
    try {
      if (this.#failed !== undefined) throw this.#failed;
      if (this.#id === undefined) {
        const Body = this.#gather();
        const put = new this.#module.PutObjectCommand({ ...this.#object, Body });
        await this.#inTime(Body.length, async (abortSignal) => this.#client.send(put, { abortSignal }));
        return;
      }
      if (this.#gathered > 0) await this.#send();
      while (this.#sending.size > 0) await Promise.all(this.#sending);
      // It may have been set while the parts were waited for.
      const failed = this.failed;
      if (failed !== undefined) throw failed;
      const Parts = this.#parts.sort((one, other) => one.PartNumber - other.PartNumber);
      const upload = { ...this.#object, UploadId: this.#id, MultipartUpload: { Parts } };
      const complete = new this.#module.CompleteMultipartUploadCommand(upload);
      // What S3 makes of many parts takes it minutes.
      await this.#inTime(Number(this.#taken / 1024n), async (abortSignal) =>
        this.#client.send(complete, { abortSignal }),
      ).catch(async (error: unknown) => {
        // The client asks again where an answer is lost, and the store knows no such upload any more.
        if (!isGone(error) || !(await this.#hasBecomeObject())) throw error;
      });
      this.#id = undefined;
    } catch (error) {
      throw s3Failure(error, this.#name, this.#signal, 'written');
    }
  }

  async #hasBecomeObject(): Promise<boolean> {
    const head = new this.#module.HeadObjectCommand(this.#object);
    const { Metadata = {} } = await this.#inTime(0, async (abortSignal) => this.#client.send(head, { abortSignal }));
    return Metadata[TOKEN] === this.#token;
  }

  /** Takes back what was sent. Nobody hears of a failure: what made it necessary counts. */
  async abandon(): Promise<void> {
    this.#failed ??= new EngineError('ABORTED', 'aborted');
    await Promise.allSettled(this.#sending);
    const UploadId = this.#id;
    this.#id = undefined;
    if (UploadId !== undefined) {
      const upload = new this.#module.AbortMultipartUploadCommand({ ...this.#object, UploadId });
      // Also where the operation was aborted.
      await inTime(0, this.#stallMs, undefined, async (abortSignal) =>
        this.#client.send(upload, { abortSignal }),
      ).catch(() => undefined);
    }
    this.#client.destroy();
  }

  close(): void {
    this.#client.destroy();
  }

  #gather(): Uint8Array {
    const whole = Buffer.concat(this.#pieces, this.#gathered);
    this.#pieces = [];
    this.#gathered = 0;
    return whole;
  }

  async #send(): Promise<void> {
    const Body = this.#gather();
    const { Bucket, Key } = this.#object;
    const { CreateMultipartUploadCommand, UploadPartCommand } = this.#module;
    try {
      if (this.#id === undefined) {
        const begin = new CreateMultipartUploadCommand({ Bucket, Key, Metadata: { [TOKEN]: this.#token } });
        const begun = await this.#inTime(0, async (abortSignal) => this.#client.send(begin, { abortSignal }));
        this.#id = begun.UploadId;
      }
    } catch (error) {
      throw (this.#failed ??= s3Failure(error, this.#name, this.#signal, 'written'));
    }
    const PartNumber = (this.#begun += 1);
    const part = new UploadPartCommand({ Bucket, Key, UploadId: this.#id, PartNumber, Body });
    const sent: Promise<void> = this.#inTime(Body.length, async (abortSignal) =>
      this.#client.send(part, { abortSignal }),
    )
      .then(({ ETag }) => {
        this.#parts.push({ PartNumber, ETag });
      })
      .catch((error: unknown) => {
        this.#failed ??= s3Failure(error, this.#name, this.#signal, 'written');
      })
      .finally(() => this.#sending.delete(sent));
    this.#sending.add(sent);
    if (this.#sending.size >= IN_FLIGHT) await Promise.race(this.#sending);
    if (this.#failed !== undefined) throw this.#failed;
  }

  async #inTime<T>(bytes: number, action: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return inTime(bytes, this.#stallMs, this.#signal, action);
  }
}

/** @throws EngineError `INVALID_OPTION` for names of which nothing can be written */
export function checkRemoteOutput(name: string): void {
  if (parseLocation(name).kind === 's3') return;
  throw new EngineError(
    'INVALID_OPTION',
    'is read only: an output is a file, a stream or an object (s3://bucket/key)',
    {
      file: name,
    },
  );
}

/**
 * Begins an output that becomes an object.
 * @param options.exactLength bytes that it has, zeros behind those that are written
 * @param options.most most bytes that it may come to
 * @param options.fresh what is not written is no part of it
 * @throws EngineError
 */
export async function openUpload(
  name: string,
  {
    exactLength,
    most,
    fresh,
  }: { readonly exactLength: bigint | undefined; readonly most: bigint; readonly fresh: boolean },
  signal: AbortSignal | undefined,
  stallMs: number = DEFAULT_STALL_MS,
): Promise<RemoteOutput> {
  checkRemoteOutput(name);
  const location = parseLocation(name);
  if (location.kind !== 's3') throw new EngineError('INVALID_OPTION', 'is not an object', { file: name });
  const upload = new Upload(await loadS3(), location, most, signal, stallMs);
  const device = new RemoteDevice({ write: async (offset, bytes) => upload.write(offset, bytes) });
  return {
    fd: -1,
    remote: device.number,
    failure: () => upload.failed,
    start: 0n,
    room: undefined,
    fresh,
    sync: async () => Promise.resolve(),
    finish: async (length) => {
      const end = exactLength !== undefined && exactLength > length ? exactLength : length;
      const zeros = new Uint8Array(1 << 20);
      while (upload.taken < end) {
        const left = end - upload.taken;
        await upload.write(upload.taken, left < BigInt(zeros.length) ? zeros.subarray(0, Number(left)) : zeros);
      }
      await upload.complete();
      device.close();
      upload.close();
      return end;
    },
    abandon: async () => {
      device.close();
      await upload.abandon();
    },
  };
}
