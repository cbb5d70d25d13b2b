import type { IncomingHttpHeaders } from 'node:http';
import { MAX_SIZE } from '@instar/operands';
import { EngineError } from '../errors.js';
import { namedDestination, redirected, type Destination } from './hosts.js';
import { ask, Connections, type RangeAnswer } from './http-request.js';
import { shownUrl } from './names.js';
import { retrying, Transient } from './retry.js';
import { DEFAULT_STALL_MS, type RangeSource, type RemoteAccess, type RemoteVersion } from './source.js';

/** Redirects that one range follows. */
const MOST_REDIRECTS = 5;
/** Bytes of the first range: the head of an image is what is read first. */
const FIRST_BYTES = 65_536;
const DEFAULT_ATTEMPTS = 5;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];
const PASSING: readonly number[] = [408, 425, 429, 500, 502, 503, 504];

/** Where an answer says that its bytes lie (RFC 9110, 14.4). */
interface ContentRange {
  readonly start: bigint;
  readonly end: bigint;
  readonly size: bigint;
}

function contentRange({ 'content-range': text }: IncomingHttpHeaders): ContentRange | undefined {
  const [, start, end, size] = /^bytes (\d{1,19})-(\d{1,19})\/(\d{1,19})$/i.exec(text?.trim() ?? '') ?? [];
  if (start === undefined || end === undefined || size === undefined) return undefined;
  const found = { start: BigInt(start), end: BigInt(end), size: BigInt(size) };
  return found.start <= found.end && found.end < found.size && found.size <= MAX_SIZE ? found : undefined;
}

function retryAfter({ 'retry-after': text }: IncomingHttpHeaders): number {
  return /^\d{1,5}$/.test(text ?? '') ? Number(text) * 1000 : 0;
}

/** Whether a tag says that the bytes are the same, which a weak one does not (RFC 9110, 8.8.3). */
function isStrong(etag: string): boolean {
  return etag.startsWith('"');
}

/** Bytes behind a URL. */
export class HttpSource implements RangeSource {
  readonly name: string;
  readonly identity: string;
  readonly #first: URL;
  readonly #access: RemoteAccess;
  readonly #connections = new Connections();
  readonly #abort = new AbortController();
  #version: RemoteVersion | undefined;
  /** Where the last redirect led: a range begins there, and at the first URL again where that is refused. */
  #at: Destination;
  /** What the first answer held. */
  #head: Uint8Array = new Uint8Array(0);

  private constructor(url: URL, access: RemoteAccess, expected: RemoteVersion | undefined) {
    this.#first = url;
    this.#access = access;
    this.#version = expected;
    this.#at = namedDestination(url, access);
    this.name = shownUrl(url);
    this.identity = `url ${url.href}`;
  }

  /**
   * Asks for the first bytes, and keeps what says which bytes they are.
   * @param expected which they must be
   * @throws EngineError
   */
  static async open(
    url: URL,
    access: RemoteAccess,
    onWarning: ((warning: string) => void) | undefined,
    signal: AbortSignal | undefined,
    expected?: RemoteVersion,
  ): Promise<HttpSource> {
    const source = new HttpSource(url, access, expected);
    const onAbort = (): void => {
      source.close();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    try {
      source.#head = await source.#tryRange(0n, FIRST_BYTES);
      const { etag, modified } = source.#known();
      if (etag === undefined && modified === undefined) {
        onWarning?.(
          `${source.name}: its server gives neither ETag nor Last-Modified: a change of the same length goes unnoticed`,
        );
      }
      return source;
    } catch (error) {
      source.close();
      throw error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  get size(): bigint {
    return this.#known().size;
  }

  get version(): RemoteVersion {
    return this.#known();
  }

  async read(offset: bigint, length: number): Promise<Uint8Array> {
    const end = offset + BigInt(length);
    if (end <= BigInt(this.#head.length)) return this.#head.slice(Number(offset), Number(end));
    return this.#tryRange(offset, length);
  }

  close(): void {
    this.#abort.abort();
    this.#connections.close();
  }

  #known(): RemoteVersion {
    if (this.#version === undefined) throw new EngineError('READ_FAILED', 'is not open', { file: this.name });
    return this.#version;
  }

  async #tryRange(offset: bigint, length: number): Promise<Uint8Array> {
    const { attempts = DEFAULT_ATTEMPTS } = this.#access;
    try {
      return await retrying(this.name, attempts, this.#abort.signal, async () => this.#range(offset, length));
    } catch (error) {
      if (error instanceof EngineError && error.file === undefined && error.code !== 'ABORTED') {
        throw new EngineError(error.code, error.reason, { file: this.name, cause: error });
      }
      throw error;
    }
  }

  async #range(offset: bigint, length: number): Promise<Uint8Array> {
    const answer = await this.#follow(offset, length);
    try {
      return await this.#take(answer, offset, length);
    } catch (error) {
      answer.discard();
      // Where a redirect led may hold for a while only.
      if (error instanceof Transient) this.#at = namedDestination(this.#first, this.#access);
      throw error;
    }
  }

  async #follow(offset: bigint, length: number): Promise<RangeAnswer> {
    let destination = this.#at;
    for (let redirects = 0; ; redirects += 1) {
      const answer = await ask(
        this.#connections,
        {
          destination,
          headers: this.#headers(destination, offset, length),
          stallMs: this.#access.stallMs ?? DEFAULT_STALL_MS,
          signal: this.#abort.signal,
        },
        this.name,
      );
      const { location } = answer.headers;
      if (!REDIRECTS.includes(answer.status) || location === undefined) {
        this.#at = destination;
        return answer;
      }
      answer.discard();
      if (redirects >= MOST_REDIRECTS) {
        throw new EngineError('REMOTE_REFUSED', `redirects more than ${MOST_REDIRECTS} times`, { file: this.name });
      }
      destination = redirected(destination.url, location, this.#access, this.#first);
    }
  }

  #headers({ first }: Destination, offset: bigint, length: number): Record<string, string> {
    const { authorization } = this.#access;
    const { etag, modified } = this.#version ?? {};
    const condition = etag === undefined ? modified : isStrong(etag) ? etag : undefined;
    return {
      range: `bytes=${offset}-${offset + BigInt(length) - 1n}`,
      ...(first && authorization !== undefined ? { authorization } : {}),
      ...(condition === undefined ? {} : { 'if-range': condition }),
    };
  }

  async #take(answer: RangeAnswer, offset: bigint, length: number): Promise<Uint8Array> {
    const { status, headers } = answer;
    const known = this.#version !== undefined;
    if (status === 416 && !known && /^bytes \*\/0$/i.test(headers['content-range'] ?? '')) {
      this.#version = { etag: headers.etag, modified: headers['last-modified'], size: 0n };
      answer.discard();
      return new Uint8Array(0);
    }
    if (status === 412 || (known && (status === 200 || status === 416))) {
      throw this.#changed('its server says so');
    }
    if (status !== 206) throw this.#refusal(status, headers);
    const encoding = headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity') {
      throw this.#broken('its server packs what it sends, though that was not asked for');
    }
    const range = contentRange(headers);
    if (range === undefined) throw this.#broken('its server does not say which bytes it sends, and of how many');
    this.#compare({ etag: headers.etag, modified: headers['last-modified'], size: range.size });
    const asked = offset + BigInt(length);
    const end = asked < range.size ? asked : range.size;
    if (range.start !== offset || range.end !== end - 1n) {
      throw this.#broken(
        `its server sends bytes ${range.start}-${range.end}, not those that were asked for (${offset}-${end - 1n})`,
      );
    }
    return answer.body(Number(end - offset));
  }

  /** Keeps what the first answer says of the bytes, and compares the others with it. */
  #compare(found: RemoteVersion): void {
    const known = (this.#version ??= found);
    if (known.size !== found.size) throw this.#changed(`its length was ${known.size}, is ${found.size}`);
    if (known.etag !== found.etag) throw this.#changed('its ETag is another one');
    // An answer to If-Range may leave out what its ETag says already (RFC 9110, 15.3.7).
    if (found.modified === undefined && found.etag !== undefined) return;
    if (known.modified !== found.modified) throw this.#changed('its Last-Modified is another one');
  }

  #changed(how: string): EngineError {
    return new EngineError('REMOTE_CHANGED', `was changed while it was read: ${how}`, { file: this.name });
  }

  #broken(what: string): EngineError {
    return new EngineError('READ_FAILED', `cannot be read: ${what}`, { file: this.name });
  }

  #refusal(status: number, headers: IncomingHttpHeaders): Error {
    if (PASSING.includes(status)) return new Transient(`its server answers ${status}`, retryAfter(headers));
    if (status === 200) {
      return this.#broken(
        'its server gives no ranges; download it first, or have it read as a stream: curl … | instar convert - OUTPUT',
      );
    }
    const [why = `its server answers ${status}`] = [
      { 401: 'its server wants to know who asks (401)', 403: 'its server does not allow it (403)' }[status],
      { 404: 'there is no such thing (404)', 410: 'it is gone (410)' }[status],
    ].filter((text) => text !== undefined);
    return this.#broken(why);
  }
}
