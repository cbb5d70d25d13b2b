import type { Agent, request as httpRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { EngineError } from '../errors.js';
import { lookupFor, refusePrivateAddress, type Destination } from './hosts.js';
import { Transient } from './retry.js';
import { LEAST_PACE } from './source.js';

const AGENT = { keepAlive: true, maxSockets: 6 };

/** Connections of one input. The modules for them are loaded when they are needed: they cost milliseconds. */
export class Connections {
  readonly #agents = new Map<string, Agent>();
  #closed = false;

  /** How a request is sent, and the connections that it may use. */
  async to({ url, named }: Destination): Promise<{ readonly request: typeof httpRequest; readonly agent: Agent }> {
    const { protocol } = url;
    const { Agent, request } = protocol === 'https:' ? await import('node:https') : await import('node:http');
    // Where names are resolved in another way, connections are not shared with those that were not.
    const key = `${protocol} ${named ? '' : 'checked'}`;
    const known = this.#agents.get(key);
    const agent = known ?? new Agent(AGENT);
    if (this.#closed) agent.destroy();
    else this.#agents.set(key, agent);
    return { request, agent };
  }

  close(): void {
    this.#closed = true;
    for (const agent of this.#agents.values()) agent.destroy();
  }
}

/** What is asked, and how long for. */
export interface RangeRequest {
  readonly destination: Destination;
  readonly headers: Readonly<Record<string, string>>;
  readonly stallMs: number;
  readonly signal: AbortSignal;
}

/** The beginning of an answer; whoever has it reads or discards the rest. */
export interface RangeAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Exactly `length` bytes. @throws Transient where fewer come, EngineError where more do */
  body(length: number): Promise<Uint8Array>;
  discard(): void;
}

/** Sends a request and waits for the beginning of its answer. @throws Transient, EngineError `REMOTE_REFUSED` */
export async function ask(connections: Connections, request: RangeRequest, name: string): Promise<RangeAnswer> {
  const { destination, headers, stallMs, signal } = request;
  await refusePrivateAddress(destination);
  const { url } = destination;
  const lookup = await lookupFor(destination);
  const { request: send, agent } = await connections.to(destination);
  return new Promise((resolve, reject) => {
    const outgoing = send(url, {
      method: 'GET',
      headers: { 'accept-encoding': 'identity', 'user-agent': 'instar', ...headers },
      agent,
      timeout: stallMs,
      signal,
      ...(lookup === undefined ? {} : { lookup }),
    });
    // Once the answer has begun, its reader is told of a broken connection only.
    let stalled: Transient | undefined;
    const end = (why: string): void => {
      stalled = new Transient(why);
      outgoing.destroy(stalled);
    };
    outgoing.once('timeout', () => {
      end(`no byte came for ${stallMs} ms`);
    });
    // Bytes that come one by one keep a connection busy: what is waited for as a whole is bounded, too.
    let late = setTimeout(end, stallMs, `no answer began within ${stallMs} ms`);
    outgoing.once('close', () => {
      clearTimeout(late);
    });
    outgoing.once('error', (error) => {
      reject(failureOf(error));
    });
    outgoing.once('response', (incoming) => {
      clearTimeout(late);
      resolve({
        status: incoming.statusCode ?? 0,
        headers: incoming.headers,
        body: async (length) => {
          const most = stallMs + Math.ceil((length * 1000) / LEAST_PACE);
          late = setTimeout(end, most, `${length} bytes did not come within ${most} ms`);
          return bodyOf(incoming, length, name)
            .catch((error: unknown) => {
              throw stalled ?? error;
            })
            .finally(() => {
              clearTimeout(late);
            });
        },
        discard: () => {
          // Whatever it still sends is not waited for.
          incoming.on('error', () => undefined).destroy();
        },
      });
    });
    outgoing.end();
  });
}

/** A failed connection may be another time; a refusal stays one. */
function failureOf(error: Error): Error {
  if (error instanceof EngineError || error instanceof Transient) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  if (code === 'ENOTFOUND') return new Transient('its host is not known', 0, error);
  if (code === 'ECONNREFUSED') return new Transient('its host takes no connection', 0, error);
  if (code?.startsWith('HPE_') === true) return new Transient('its host answers with what is no HTTP', 0, error);
  if (code?.includes('CERT') === true || code?.includes('SIGNATURE') === true) {
    return new EngineError('READ_FAILED', `cannot be read: its host shows a certificate that is not valid (${code})`, {
      cause: error,
    });
  }
  return new Transient(`the connection broke${code === undefined ? '' : ` (${code})`}`, 0, error);
}

async function bodyOf(incoming: IncomingMessage, length: number, name: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let have = 0;
  try {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      if (chunk.length > length - have) {
        incoming.destroy();
        throw new EngineError('READ_FAILED', `cannot be read: more was sent than the ${length} bytes asked for`, {
          file: name,
        });
      }
      bytes.set(chunk, have);
      have += chunk.length;
    }
  } catch (error) {
    throw failureOf(error instanceof Error ? error : new Error(String(error)));
  }
  if (have < length) throw new Transient(`the answer ended after ${have} of ${length} bytes`);
  return bytes;
}
