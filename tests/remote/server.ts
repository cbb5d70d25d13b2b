import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** What a request is answered with; anything that is left out is as an honest server has it. */
export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly body?: Uint8Array;
  /** Bytes after which the connection breaks. */
  readonly breakAfter?: number;
  /** Sends the head and nothing more. */
  readonly stall?: boolean;
  /** Sends a byte in so many milliseconds. */
  readonly drip?: number;
}

/** One request. */
export interface Request {
  readonly number: number;
  readonly url: string;
  readonly range: string | undefined;
  readonly headers: IncomingMessage['headers'];
}

/** A server of one file, of which each test says how it misbehaves. */
export interface RangeServer {
  readonly port: number;
  readonly requests: readonly Request[];
  url(path?: string): string;
}

/** The honest answer (RFC 9110, 14). */
export function honest(
  content: Uint8Array,
  range: string | undefined,
  etag = '"one"',
): Required<Pick<Answer, 'status' | 'headers' | 'body'>> {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  if (first === undefined || last === undefined) return { status: 200, headers: { etag }, body: content };
  const [start, end] = [Number(first), Math.min(Number(last) + 1, content.length)];
  if (start >= content.length) {
    return { status: 416, headers: { 'content-range': `bytes */${content.length}` }, body: new Uint8Array(0) };
  }
  return {
    status: 206,
    headers: { etag, 'content-range': `bytes ${start}-${end - 1}/${content.length}` },
    body: content.subarray(start, end),
  };
}

/** Serves `content` on an address of this machine until the test has ended. */
export async function serve(
  content: Uint8Array,
  misbehave: (request: Request) => Answer | undefined = () => undefined,
  { tls, host = '127.0.0.1' }: { readonly tls?: ServerOptions; readonly host?: string } = {},
): Promise<RangeServer> {
  const requests: Request[] = [];
  const listener = (incoming: IncomingMessage, response: ServerResponse): void => {
    const { range } = incoming.headers;
    const request: Request = { number: requests.length, url: incoming.url ?? '', range, headers: incoming.headers };
    requests.push(request);
    const answer = { ...honest(content, range), ...misbehave(request) };
    const headers: Record<string, string | undefined> = {
      'content-length': String(answer.body.length),
      ...honest(content, range).headers,
      ...answer.headers,
    };
    const given = Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value] as const],
    );
    response.writeHead(answer.status, Object.fromEntries(given));
    if (answer.stall === true) response.flushHeaders();
    else if (answer.drip !== undefined) {
      let sent = 0;
      const timer = setInterval(() => {
        response.write(answer.body.subarray(sent, (sent += 1)));
        if (sent >= answer.body.length) response.end();
      }, answer.drip);
      response.once('close', () => {
        clearInterval(timer);
      });
    } else if (answer.breakAfter !== undefined) {
      response.write(answer.body.subarray(0, answer.breakAfter), () => incoming.socket.destroy());
    } else response.end(answer.body);
  };
  const server: Server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    port,
    requests,
    url: (path = '/disk') => `${tls === undefined ? 'http' : 'https'}://${host}:${port}${path}`,
  };
}
