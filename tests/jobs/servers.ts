import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { openQueue } from '@instar/jobs';
import type { TestContext } from 'vitest';
import { judgeVersion, skipLoudly, type Judge } from '../support/judge.js';
import { Workdir } from '../support/workdir.js';

const REDIS: Judge = { program: 'redis-server', probe: ['--version'], package: 'redis-server' };
const POSTGRES_ROOT = '/usr/lib/postgresql';

/** A server of queues, as a process of its own. */
export interface QueueServer {
  readonly url: string;
  /** Ends it as a power cut does, and starts it anew with what it had written. */
  restart(): Promise<void>;
  /** Ends it so, and leaves it. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** Which client keeps jobs where: BullMQ in Redis, pg-boss, BullMQ in PostgreSQL. */
export type ServerKind = 'redis' | 'postgres' | 'bullmq+postgres';

function postgresPrograms(): string | undefined {
  const versions = existsSync(POSTGRES_ROOT) ? readdirSync(POSTGRES_ROOT).sort().reverse() : [];
  return versions.map((version) => `${POSTGRES_ROOT}/${version}/bin`).find((path) => existsSync(`${path}/initdb`));
}

/** Skips where the server is not installed; in CI that is a failure. */
export function requireServer(context: TestContext, kind: ServerKind): void {
  const there = kind === 'redis' ? judgeVersion(REDIS) !== undefined : postgresPrograms() !== undefined;
  if (!there) skipLoudly(context, `no ${kind} here (Debian: apt-get install redis-server postgresql)`);
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function untilReady(url: string): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      const queue = await openQueue(url, 'probe');
      await queue.close();
      return;
    } catch (error) {
      if (attempt > 100) throw error;
      await sleep(100);
    }
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once('exit', resolve));
}

/** Starts a server with a directory of its own; undefined where it is not installed. */
export async function startServer(kind: ServerKind): Promise<QueueServer | undefined> {
  const programs = postgresPrograms();
  if (kind === 'redis' ? judgeVersion(REDIS) === undefined : programs === undefined) return undefined;
  const directory = new Workdir();
  const port = await freePort();
  let start: () => ChildProcess;
  if (kind === 'redis') {
    const persistent = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''];
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory.path, ...persistent];
    start = () => spawn('redis-server', args, { stdio: 'ignore' });
  } else {
    // The server refuses to run as root.
    const root = process.getuid?.() === 0;
    const asUser = root ? ['runuser', '-u', 'postgres', '--'] : [];
    const number = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
    const data = directory.file('data');
    mkdirSync(data);
    if (root) {
      chownSync(directory.path, number('-u'), number('-g'));
      chownSync(data, number('-u'), number('-g'));
    }
    const run = (program: string, ...args: readonly string[]): [string, string[]] => {
      const [first = '', ...rest] = [...asUser, `${programs ?? ''}/${program}`, ...args];
      return [first, rest];
    };
    execFileSync(...run('initdb', '-D', data, '-A', 'trust', '-U', 'instar', '--no-sync', '-E', 'UTF8'), {
      stdio: 'ignore',
    });
    const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off'].flatMap((text) => [
      '-c',
      text,
    ]);
    start = () => spawn(...run('postgres', '-D', data, '-p', String(port), ...settings), { stdio: 'ignore' });
  }
  const url = kind === 'redis' ? `redis://127.0.0.1:${port}` : `${kind}://instar@127.0.0.1:${port}/postgres`;
  let child = start();
  await untilReady(url);
  return {
    url,
    restart: async () => {
      child.kill('SIGKILL');
      await ended(child);
      child = start();
      await untilReady(url);
    },
    kill: async () => {
      child.kill('SIGKILL');
      await ended(child);
    },
    stop: async () => {
      // To PostgreSQL that is a fast shutdown; runuser passes SIGTERM on, so it is that for both.
      child.kill('SIGTERM');
      await Promise.race([ended(child), sleep(5000)]);
      child.kill('SIGKILL');
      directory.remove();
    },
  };
}
