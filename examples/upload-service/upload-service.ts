// A service that takes disk images from strangers, checks them, and keeps each as a qcow2 image. docs/safe-uploads.md explains
// it step by step; tests/examples/upload-service.test.ts loads it.
import { convert, errorCodes, inspect, isInstarError, type EngineErrorCode } from '@instar/engine';
import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Bounds of the service. */
export interface UploadLimits {
  /** Longest upload (bytes). */
  readonly uploadBytes: number;
  /** Largest disk (bytes). */
  readonly diskBytes: number;
  /** Longest time of one step (milliseconds). */
  readonly stepMs: number;
  /** Images that are looked at or converted at once; the others wait. */
  readonly atOnce: number;
}

/** An answer that is no success. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly reason: string,
  ) {
    super(reason);
  }
}

const STATUS = { image: 422, caller: 400, machine: 503, instar: 500 } as const;

/** What who sent the image is told: never a path of this machine. */
function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (!isInstarError(error)) return new Refusal(500, 'INTERNAL', 'something went wrong here');
  const help = errorCodes().get(error.code as EngineErrorCode);
  const status = STATUS[help?.fault ?? 'instar'];
  const mayBeTold = status === STATUS.image && 'reason' in error && typeof error.reason === 'string';
  return new Refusal(
    status,
    error.code,
    mayBeTold ? String(error.reason) : (help?.cause ?? 'something went wrong here'),
  );
}

/** Lets a few through at a time. */
class Gate {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  async through<T>(action: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free -= 1;
    try {
      return await action();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}

/** Counts bytes, and ends what is longer than allowed. */
function atMost(bytes: number): Transform {
  let seen = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      seen += chunk.length;
      if (seen > bytes) done(new Refusal(413, 'UPLOAD_TOO_LONG', `more than ${bytes} bytes`));
      else done(null, chunk);
    },
  });
}

/** Tells a browser how far it is: server-sent events, or one JSON document at the end where it did not ask for them. */
class Teller {
  readonly #response: ServerResponse;
  readonly #events: boolean;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#response = response;
    this.#events = request.headers.accept === 'text/event-stream';
    if (this.#events) response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  }

  progress(done: bigint, total: bigint): void {
    if (this.#events)
      this.#response.write(
        `event: progress\ndata: ${JSON.stringify({ done: Number(done), total: Number(total) })}\n\n`,
      );
  }

  end(event: 'done' | 'refused', status: number, document: object): void {
    const text = JSON.stringify(document);
    if (this.#events) this.#response.end(`event: ${event}\ndata: ${text}\n\n`);
    else this.#response.writeHead(status, { 'content-type': 'application/json' }).end(text);
  }
}

/** @param directory where images are kept as ID.qcow2, and uploads for as long as they are worked on */
export async function createUploadService(directory: string, limits: UploadLimits): Promise<Server> {
  const incoming = join(directory, 'incoming');
  await mkdir(incoming, { recursive: true });
  const gate = new Gate(limits.atOnce);

  const take = async (request: IncomingMessage, teller: Teller, signal: AbortSignal): Promise<object> => {
    const id = randomUUID();
    // A directory of its own: an image may name files beside it, and there are none.
    const folder = join(incoming, id);
    await mkdir(folder);
    const upload = join(folder, 'upload');
    try {
      await pipeline(request, atMost(limits.uploadBytes), createWriteStream(upload, { flags: 'wx' }), { signal });
      const how = { signal, limits: { wallClockMs: limits.stepMs, maxVirtualSize: limits.diskBytes } };
      return await gate.through(async () => {
        const { verdict, description } = await inspect(upload, how);
        if (!verdict.safe || description === undefined) {
          const failed = verdict.checks.filter(({ status }) => status !== 'pass').map(({ name }) => name);
          throw new Refusal(422, 'IMAGE_NOT_SAFE', failed.join(', '));
        }
        // As it was judged: nothing is guessed a second time.
        const kept = join(directory, `${id}.qcow2`);
        await convert(upload, kept, {
          ...how,
          format: description.format,
          outputFormat: 'qcow2',
          onProgress: (done, total) => {
            teller.progress(done, total);
          },
        });
        return { id, format: description.format, virtualSize: Number(description.virtualSize) };
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };

  return createServer((request, response) => {
    if (request.method !== 'POST' || request.url !== '/images') {
      response.writeHead(404).end();
      return;
    }
    const gone = new AbortController();
    // Closed before it was answered: who asked went away, and nothing goes on for nobody.
    response.on('close', () => {
      if (!response.writableFinished) gone.abort();
    });
    const teller = new Teller(request, response);
    take(request, teller, gone.signal).then(
      (image) => {
        teller.end('done', 201, image);
      },
      (error: unknown) => {
        if (gone.signal.aborted) return;
        const { status, code, reason } = refusalOf(error);
        teller.end('refused', status, { code, reason });
        // What is left of an upload that is too long is not waited for.
        if (!request.complete) request.destroy();
      },
    );
  });
}
