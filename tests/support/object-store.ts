// A store of objects for tests: s3rver behind a server of our own, which does uploads in parts itself and counts what becomes of them.
// s3rver writes a part into the file of an earlier one while that is read, answers before it has written all, and makes an object
// of nothing where two complete an upload at once; S3 does none of that.
import { createHash, randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { Workdir } from './workdir.js';

/** What of s3rver is used; it has no types. */
interface S3Server {
  run(): Promise<AddressInfo>;
  close(): Promise<void>;
}
const S3rver = createRequire(import.meta.url)('s3rver') as new (options: object) => S3Server;

/** Parts that one answer lists: few, so that clients have to ask again. */
const PAGE = 2;

/** An upload in parts. */
export interface Upload {
  readonly id: string;
  readonly path: string;
  /** By their numbers; the last one of a number counts. */
  readonly parts: Map<number, { readonly size: number; readonly etag: string }>;
  state: 'open' | 'completed' | 'aborted';
}

/** An upload, with what was sent. */
interface KeptUpload extends Upload {
  readonly bodies: Map<number, Buffer>;
  readonly metadata: Readonly<Record<string, string>>;
  /** The last request that was begun with it: they are done one after the other. */
  turn: Promise<unknown>;
}

/** What a test does to a request: a status fails it, `lost` does it and loses the answer. */
export type Trouble = number | 'lost' | undefined;

/** A store, with one bucket. */
export interface ObjectStore {
  readonly url: string;
  /** What clients need to reach it. */
  readonly environment: Readonly<Record<string, string>>;
  readonly uploads: readonly Upload[];
  /** Requests, as `PUT /images/key?partNumber=1&uploadId=…`. */
  readonly asked: readonly string[];
  /** Asked before each request. */
  trouble: (request: string) => Trouble | Promise<Trouble>;
  /** Given each list of parts before it is told. */
  forge: (parts: Upload['parts']) => Upload['parts'];
  put(key: string, body: Uint8Array): Promise<void>;
  get(key: string): Promise<Buffer>;
  keys(): Promise<readonly string[]>;
  remove(key: string): Promise<void>;
  /** Forgets uploads, requests and troubles. */
  reset(): void;
  stop(): Promise<void>;
}

function failure(response: ServerResponse, status: number, code: string): void {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>test</Message></Error>`;
  response.writeHead(status, { 'content-type': 'application/xml' }).end(body);
}

async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of incoming as AsyncIterable<Buffer>) pieces.push(piece);
  return Buffer.concat(pieces);
}

function xml(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'content-type': 'application/xml' }).end(`<?xml version="1.0" encoding="UTF-8"?>${text}`);
}

/** Starts a store whose bucket is called `images`. */
export async function startObjectStore(): Promise<ObjectStore> {
  const directory = new Workdir();
  const settings = { port: 0, address: '127.0.0.1', silent: true, directory: directory.path };
  const server = new S3rver({ ...settings, configureBuckets: [{ name: 'images' }] });
  const inner = `http://127.0.0.1:${(await server.run()).port}`;
  const uploads = new Map<string, KeptUpload>();
  const asked: string[] = [];

  const onward = async (
    { method = '', url = '', headers }: IncomingMessage,
    body: Buffer,
  ): Promise<{ readonly status: number; readonly headers: IncomingMessage['headers']; readonly body: Buffer }> =>
    new Promise((resolve, reject) => {
      // The signature holds for the host that was asked, which s3rver is not told to compare.
      const request = httpRequest(`${inner}${url}`, { method, headers }, (answer) => {
        bodyOf(answer).then((bytes) => {
          resolve({ status: answer.statusCode ?? 500, headers: answer.headers, body: bytes });
        }, reject);
      });
      request.on('error', reject);
      request.end(body);
    });

  /** Makes the object of an upload, which is there as a whole when this has ended. */
  const complete = async (upload: KeptUpload, numbers: readonly number[]): Promise<void> => {
    const bytes = Buffer.concat(numbers.map((number) => upload.bodies.get(number) ?? Buffer.alloc(0)));
    const Key = decodeURIComponent(upload.path.replace('/images/', ''));
    await client.send(new PutObjectCommand({ Bucket: 'images', Key, Body: bytes, Metadata: { ...upload.metadata } }));
    for (let looks = 0; looks < 100 && !(await store.get(Key)).equals(bytes); looks += 1) await sleep(20);
    upload.state = 'completed';
    upload.bodies.clear();
  };

  /** Answers a request about an upload that was begun. */
  const answerUpload = async (
    { method = '' }: IncomingMessage,
    query: URLSearchParams,
    body: Buffer,
    response: ServerResponse,
    upload: KeptUpload | undefined,
  ): Promise<void> => {
    if (upload?.state !== 'open') {
      failure(response, 404, 'NoSuchUpload');
    } else if (method === 'DELETE') {
      upload.state = 'aborted';
      upload.bodies.clear();
      response.writeHead(204).end();
    } else if (method === 'PUT') {
      const number = Number(query.get('partNumber'));
      const etag = `"${createHash('md5').update(body).digest('hex')}"`;
      upload.parts.set(number, { size: body.length, etag });
      upload.bodies.set(number, body);
      response.writeHead(200, { etag }).end();
    } else if (method === 'GET') {
      const after = Number(query.get('part-number-marker') ?? 0);
      const rest = [...store.forge(upload.parts)].sort(([a], [b]) => a - b).filter(([number]) => number > after);
      const page = rest.slice(0, PAGE);
      const rows = page.map(
        ([number, { size, etag }]) =>
          `<Part><PartNumber>${number}</PartNumber><ETag>${etag.replaceAll('"', '&quot;')}</ETag><Size>${size}</Size></Part>`,
      );
      const more = `<IsTruncated>${rest.length > PAGE}</IsTruncated>`;
      const next = `<NextPartNumberMarker>${page.at(-1)?.[0] ?? 0}</NextPartNumberMarker>`;
      xml(response, `<ListPartsResult>${more}${next}${rows.join('')}</ListPartsResult>`);
    } else {
      const named = [...body.toString().matchAll(/<Part>.*?<\/Part>/gs)].map(([part]) => ({
        number: Number(/<PartNumber>(\d+)</.exec(part)?.[1]),
        etag: /<ETag>([^<]*)</.exec(part)?.[1]?.replaceAll('&quot;', '"'),
      }));
      if (named.length === 0 || named.some(({ number, etag }) => upload.parts.get(number)?.etag !== etag)) {
        failure(response, 400, 'InvalidPart');
        return;
      }
      // It may take a while, in which S3 sends spaces.
      response.writeHead(200, { 'content-type': 'application/xml' });
      response.write('<?xml version="1.0" encoding="UTF-8"?>');
      const spaces = setInterval(() => response.write(' '), 50);
      await complete(
        upload,
        named.map(({ number }) => number),
      ).finally(() => {
        clearInterval(spaces);
      });
      response.end('<CompleteMultipartUploadResult></CompleteMultipartUploadResult>');
    }
  };

  const answer = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url = '', headers } = incoming;
    asked.push(`${method} ${url}`);
    const body = await bodyOf(incoming);
    const trouble = await store.trouble(`${method} ${url}`);
    if (typeof trouble === 'number') {
      failure(response, trouble, trouble === 403 ? 'AccessDenied' : 'InternalError');
      return;
    }
    const { pathname, searchParams: query } = new URL(url, inner);
    if (trouble === 'lost') {
      // What becomes of it is done, and nobody hears of it.
      response.writeHead = () => response;
      response.write = () => true;
      response.end = () => response.destroy();
    }
    const id = query.get('uploadId');
    if (method === 'GET' && query.has('uploads')) {
      const open = [...uploads.values()].filter(({ state }) => state === 'open');
      const rows = open.map(({ id: UploadId }) => `<Upload><UploadId>${UploadId}</UploadId></Upload>`).join('');
      xml(response, `<ListMultipartUploadsResult>${rows}</ListMultipartUploadsResult>`);
    } else if (method === 'POST' && query.has('uploads')) {
      const named = Object.entries(headers).filter(([name]) => name.startsWith('x-amz-meta-'));
      const metadata = Object.fromEntries(named.map(([name, value]) => [name.slice(11), String(value)]));
      const begun = randomUUID();
      const more = { bodies: new Map<number, Buffer>(), metadata, turn: Promise.resolve() };
      uploads.set(begun, { id: begun, path: pathname, parts: new Map(), state: 'open', ...more });
      xml(response, `<InitiateMultipartUploadResult><UploadId>${begun}</UploadId></InitiateMultipartUploadResult>`);
    } else if (id === null) {
      const done = await onward(incoming, body);
      response.writeHead(done.status, done.headers).end(done.body);
    } else {
      const upload = uploads.get(id);
      const before = upload?.turn;
      const action = async (): Promise<void> => {
        await before?.catch(() => undefined);
        await answerUpload(incoming, query, body, response, upload);
      };
      const turn = action();
      if (upload !== undefined) upload.turn = turn;
      await turn;
    }
  };
  const front = createServer((incoming, response) => {
    response.on('error', () => undefined);
    answer(incoming, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(front.address() as AddressInfo).port}`;
  const credentials = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' };
  const common = { forcePathStyle: true, region: 'us-east-1', credentials } as const;
  const client = new S3Client({ ...common, endpoint: inner, requestChecksumCalculation: 'WHEN_REQUIRED' });
  const store: ObjectStore = {
    url,
    environment: { AWS_ENDPOINT_URL_S3: url, AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' },
    get uploads() {
      return [...uploads.values()];
    },
    asked,
    trouble: () => undefined,
    forge: (parts) => parts,
    put: async (Key, Body) => {
      await client.send(new PutObjectCommand({ Bucket: 'images', Key, Body }));
    },
    get: async (Key) => {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: 'images', Key }));
      return Buffer.from((await Body?.transformToByteArray()) ?? []);
    },
    keys: async () => {
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: 'images' }));
      return Contents.flatMap(({ Key }) => (Key === undefined ? [] : [Key]));
    },
    remove: async (Key) => {
      await client.send(new DeleteObjectCommand({ Bucket: 'images', Key }));
    },
    reset: () => {
      uploads.clear();
      asked.length = 0;
      store.trouble = () => undefined;
      store.forge = (parts) => parts;
    },
    stop: async () => {
      client.destroy();
      front.closeAllConnections();
      front.close();
      await server.close();
      directory.remove();
    },
  };
  return store;
}
