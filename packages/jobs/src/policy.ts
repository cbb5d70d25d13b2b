import { realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isRemoteName, shownName, type PathPolicy, type RemoteAccess } from '@instar/engine';
import { JobsError } from './errors.js';

/** What a worker may read and write for whoever can write into its queue. */
export interface WorkerPolicy {
  /** Directories below which inputs and outputs must lie, after all symbolic links. */
  readonly directories: readonly string[];
  /** Hosts of URLs that may be read: `host`, which is its usual port, or `host:port` (default: none). */
  readonly hosts?: readonly string[] | undefined;
  /** Buckets of S3 that may be read and written (default: none). */
  readonly buckets?: readonly string[] | undefined;
  /** Longest time in which a server of URLs or objects may send nothing (ms, default 30000). */
  readonly stallMs?: number | undefined;
  /** Whether images may draw in other files of their own directory (default: they may not). */
  readonly references?: boolean | undefined;
}

function refused(name: string, why: string): JobsError {
  return new JobsError('NOT_ALLOWED', `${JSON.stringify(shownName(name))} ${why}`);
}

function checkRemote(name: string, { hosts = [], buckets = [] }: WorkerPolicy): void {
  const bucket = /^s3:\/\/([^/]+)\//i.exec(name)?.[1];
  if (bucket !== undefined) {
    if (!buckets.includes(bucket)) throw refused(name, 'is in a bucket that this worker does not use (--allow-bucket)');
    return;
  }
  if (!URL.canParse(name)) throw refused(name, 'is no URL');
  const { hostname, port, protocol } = new URL(name);
  const number = port === '' ? (protocol === 'https:' ? '443' : '80') : port;
  const allowed = hosts.map((entry) => entry.toLowerCase());
  // A host alone is its usual port, as in redirects: who may read images of a host may not talk to all that listens there.
  if (!allowed.includes(`${hostname}:${number}`) && !(port === '' && allowed.includes(hostname))) {
    throw refused(name, 'is on a host, or a port of it, that this worker does not read from (--allow-host)');
  }
}

async function allowedBelow(path: string, name: string, { directories }: WorkerPolicy): Promise<void> {
  for (const directory of directories) {
    const real = await realpath(directory).catch(() => undefined);
    if (real !== undefined && (path === real || path.startsWith(real === '/' ? '/' : `${real}/`))) return;
  }
  throw refused(name, 'is in no directory that this worker uses (--directory)');
}

/** An input of a job, as it may be opened. @throws JobsError `NOT_ALLOWED` */
export async function allowedInput(name: string, policy: WorkerPolicy): Promise<string> {
  if (isRemoteName(name)) {
    checkRemote(name, policy);
    return name;
  }
  // Where there is nothing, it is the place that counts: a refusal must not tell what is elsewhere.
  const real = await realpath(name).catch(async () => realOfPlace(name, policy));
  await allowedBelow(real, name, policy);
  return real;
}

async function realOfPlace(name: string, policy: WorkerPolicy): Promise<string> {
  const directory = await realpath(dirname(name)).catch(() => undefined);
  if (directory === undefined) throw refused(name, 'is in no directory that this worker uses (--directory)');
  await allowedBelow(directory, name, policy);
  const leaf = basename(name);
  // The directory itself, or the one above it.
  if (leaf === '' || leaf === '.' || leaf === '..') throw refused(name, 'names no file in a directory');
  return join(directory, leaf);
}

/** An output of a job, whose directory must be there. @throws JobsError `NOT_ALLOWED` */
export async function allowedOutput(name: string, policy: WorkerPolicy): Promise<string> {
  if (!isRemoteName(name)) return realOfPlace(name, policy);
  checkRemote(name, policy);
  return name;
}

/** What the engine may do of it. */
export function engineAccess(policy: WorkerPolicy): {
  readonly pathPolicy: PathPolicy;
  readonly remote?: RemoteAccess;
} {
  const { references = false, hosts = [], buckets = [], directories, stallMs } = policy;
  return {
    pathPolicy: references
      ? { references: 'within-directories', allowedDirectories: directories }
      : { references: 'refuse', allowedDirectories: [] },
    ...(hosts.length + buckets.length === 0 ? {} : { remote: { allowedHosts: hosts, stallMs } }),
  };
}
