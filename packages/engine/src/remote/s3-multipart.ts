import { setTimeout as sleep } from 'node:timers/promises';
import type { S3Client } from '@aws-sdk/client-s3';
import { EngineError } from '../errors.js';
import { parseLocation } from './location.js';
import { inTime, isGone, loadS3, s3Client, s3Failure, statusOf, TOKEN, type S3Module } from './s3-client.js';
import { DEFAULT_STALL_MS } from './source.js';

/** How often an upload is aborted: a part that is under way may outlive the first time (API of S3, AbortMultipartUpload). */
const ABORTS = 3;
const ABORT_PAUSE_MS = 200;

/** A part that a store has. */
export interface UploadedPart {
  /** From 1 on. */
  readonly number: number;
  /** Bytes. */
  readonly size: number;
  /** Of what was sent last under this number. */
  readonly etag: string;
}

/** Where an object is and how it is reached. */
export interface ObjectAccess {
  /** `s3://bucket/key` */
  readonly name: string;
  readonly signal?: AbortSignal | undefined;
  /** Longest time in which the server may send nothing (ms, default 30000). */
  readonly stallMs?: number | undefined;
}

/**
 * An object that several programs write at once, each some of its parts: a multipart upload that one of them begins, whose number the
 * others are told. There is no object before it is completed.
 */
export class MultipartUpload {
  readonly #module: S3Module;
  readonly #client: S3Client;
  readonly #object: { readonly Bucket: string; readonly Key: string };
  readonly #access: ObjectAccess;
  /** Its number in the store. */
  readonly id: string;

  private constructor(module: S3Module, client: S3Client, access: ObjectAccess, id: string) {
    this.#module = module;
    this.#client = client;
    this.#access = access;
    this.#object = objectOf(access.name);
    this.id = id;
  }

  /**
   * Begins an upload.
   * @param token kept with the object: {@link hasBecomeObject} asks for it
   * @throws EngineError
   */
  static async begin(access: ObjectAccess, token: string): Promise<MultipartUpload> {
    const object = objectOf(access.name);
    const module = await loadS3();
    const client = s3Client(module, access.stallMs ?? DEFAULT_STALL_MS);
    const command = new module.CreateMultipartUploadCommand({ ...object, Metadata: { [TOKEN]: token } });
    try {
      const { UploadId } = await within(access, 0, async (abortSignal) => client.send(command, { abortSignal }));
      if (UploadId !== undefined) return new MultipartUpload(module, client, access, UploadId);
      throw new EngineError('WRITE_FAILED', 'cannot be written: its server gives an upload no number', {
        file: access.name,
      });
    } catch (error) {
      client.destroy();
      throw s3Failure(error, access.name, access.signal, 'written');
    }
  }

  /** Takes part in an upload that was begun. @throws EngineError `INVALID_OPTION`, `REMOTE_REFUSED` */
  static async join(access: ObjectAccess, id: string): Promise<MultipartUpload> {
    objectOf(access.name);
    const module = await loadS3();
    return new MultipartUpload(module, s3Client(module, access.stallMs ?? DEFAULT_STALL_MS), access, id);
  }

  /**
   * Sends a part. What was sent under its number before counts no longer.
   * @param number from 1 on
   * @throws EngineError `WRITE_FAILED`, `ABORTED`
   */
  async send(number: number, bytes: Uint8Array): Promise<void> {
    const part = { ...this.#object, UploadId: this.id, PartNumber: number, Body: bytes };
    const command = new this.#module.UploadPartCommand(part);
    try {
      await within(this.#access, bytes.length, async (abortSignal) => this.#client.send(command, { abortSignal }));
    } catch (error) {
      throw isGone(error) ? this.#ended(error) : this.#failure(error);
    }
  }

  /** The parts that the store has, by their numbers; undefined where the upload has ended. @throws EngineError */
  async parts(): Promise<readonly UploadedPart[] | undefined> {
    const found: UploadedPart[] = [];
    for (let PartNumberMarker: string | undefined; ;) {
      const page = { ...this.#object, UploadId: this.id, PartNumberMarker };
      const command = new this.#module.ListPartsCommand(page);
      try {
        const { Parts, IsTruncated, NextPartNumberMarker } = await within(this.#access, 0, async (abortSignal) =>
          this.#client.send(command, { abortSignal }),
        );
        for (const { PartNumber, Size, ETag } of Parts ?? []) {
          found.push({ number: PartNumber ?? 0, size: Size ?? -1, etag: ETag ?? '' });
        }
        // A server that says that there is more, and does not go on, is not asked for ever.
        if (IsTruncated !== true || !(Number(NextPartNumberMarker) > Number(PartNumberMarker ?? -1))) return found;
        PartNumberMarker = NextPartNumberMarker;
      } catch (error) {
        if (isGone(error)) return undefined;
        throw this.#failure(error);
      }
    }
  }

  /**
   * Makes the object of these parts.
   * @returns `done`; `changed` where a part was sent anew since they were listed; `gone` where the upload had ended
   * @throws EngineError
   */
  async complete(parts: readonly UploadedPart[]): Promise<'done' | 'changed' | 'gone'> {
    const Parts = parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag }));
    const upload = { ...this.#object, UploadId: this.id, MultipartUpload: { Parts } };
    const command = new this.#module.CompleteMultipartUploadCommand(upload);
    const bytes = parts.reduce((sum, { size }) => sum + size, 0);
    try {
      // What S3 makes of many parts takes it minutes.
      await within(this.#access, bytes / 1024, async (abortSignal) => this.#client.send(command, { abortSignal }));
      return 'done';
    } catch (error) {
      if (isGone(error)) return 'gone';
      if (error instanceof Error && error.name === 'InvalidPart') return 'changed';
      throw this.#failure(error);
    }
  }

  /** Whether the object is the one that was begun with this token. @throws EngineError */
  async hasBecomeObject(token: string): Promise<boolean> {
    const command = new this.#module.HeadObjectCommand(this.#object);
    try {
      const { Metadata = {} } = await within(this.#access, 0, async (abortSignal) =>
        this.#client.send(command, { abortSignal }),
      );
      return Metadata[TOKEN] === token;
    } catch (error) {
      if (statusOf(error) === 404) return false;
      throw this.#failure(error);
    }
  }

  /** Takes back all that was sent, also where the operation was aborted. @throws EngineError */
  async abort(): Promise<void> {
    const command = new this.#module.AbortMultipartUploadCommand({ ...this.#object, UploadId: this.id });
    const access = { ...this.#access, signal: undefined };
    for (let times = 0; times < ABORTS; times += 1) {
      if (times > 0) await sleep(ABORT_PAUSE_MS);
      try {
        await within(access, 0, async (abortSignal) => this.#client.send(command, { abortSignal }));
      } catch (error) {
        if (isGone(error)) return;
        throw s3Failure(error, access.name, undefined, 'written');
      }
    }
  }

  close(): void {
    this.#client.destroy();
  }

  #failure(error: unknown): EngineError {
    return s3Failure(error, this.#access.name, this.#access.signal, 'written');
  }

  #ended(cause: unknown): EngineError {
    return new EngineError('WRITE_FAILED', 'cannot be written: its upload has ended', {
      file: this.#access.name,
      cause,
    });
  }
}

function objectOf(name: string): { readonly Bucket: string; readonly Key: string } {
  const location = parseLocation(name);
  if (location.kind === 's3') return { Bucket: location.bucket, Key: location.key };
  throw new EngineError('INVALID_OPTION', 'is not an object (s3://bucket/key)', { file: name });
}

async function within<T>(
  { signal, stallMs = DEFAULT_STALL_MS }: ObjectAccess,
  bytes: number,
  action: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return inTime(bytes, stallMs, signal, action);
}
