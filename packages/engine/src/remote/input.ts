import { RemoteDevice } from '@instar/vmm-native';
import { EngineError } from '../errors.js';
import type { InputFile } from '../input-file.js';
import { CachedSource } from './cached-source.js';
import { HttpSource } from './http-source.js';
import { parseLocation } from './location.js';
import { openS3Source } from './s3-source.js';
import type { RangeSource, RemoteAccess, RemoteVersion } from './source.js';

/** An input that is no file. */
export interface RemoteInput {
  /** For `DeviceOptions.remote`. */
  readonly number: number;
  /** Why it could last not be read. */
  readonly failure: () => EngineError | undefined;
  readonly close: () => void;
  /** Which bytes are read. */
  readonly version: RemoteVersion;
}

/** What opening needs of an operation. */
export interface RemoteContext {
  readonly remote?: RemoteAccess | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onWarning?: ((warning: string) => void) | undefined;
}

/**
 * Opens what a URL of https, http or s3 leads to, as a file that is read by ranges.
 * @throws EngineError
 */
export async function openRemote(name: string, context: RemoteContext): Promise<InputFile> {
  const { remote: access = {}, signal, onWarning } = context;
  const location = parseLocation(name);
  const { expected: known = {} } = access;
  const expected = Object.hasOwn(known, name) ? known[name] : undefined;
  const source: RangeSource =
    location.kind === 's3'
      ? await openS3Source(location, signal, access.stallMs, expected)
      : await HttpSource.open(location.url, access, onWarning, signal, expected);
  const cache = new CachedSource(source, access.cacheBytes);
  let failed: EngineError | undefined;
  const device = new RemoteDevice({
    read: async (offset, length) => {
      if (failed?.code === 'REMOTE_CHANGED') throw failed;
      try {
        return await cache.read(offset, length);
      } catch (error) {
        failed = error instanceof EngineError ? error : undefined;
        throw error;
      }
    },
  });
  return {
    fd: -1,
    path: source.name,
    size: source.size,
    allocated: source.size,
    identity: source.identity,
    remote: {
      number: device.number,
      failure: () => failed,
      version: source.version,
      close: () => {
        device.close();
        source.close();
      },
    },
  };
}
