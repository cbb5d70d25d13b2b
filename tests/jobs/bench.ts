// A queue of its own for each test, in servers that are started once for a file of tests.
import { randomFillSync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  openQueue,
  startWorker,
  type EndedJob,
  type JobQueue,
  type JobStatus,
  type Rate,
  type Taking,
  type WorkerOptions,
} from '@instar/jobs';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { madeOnce } from '../support/made-once.js';
import { qemuImg } from '../support/qemu-img.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { startServer, type QueueServer, type ServerKind } from './servers.js';

const MIB = 1 << 20;
/** The disk of the image that each bench has. */
export const RAW = randomFillSync(new Uint8Array(3 * MIB));
export const KINDS: readonly ServerKind[] = ['redis', 'postgres'];
export const EVERY_KIND: readonly ServerKind[] = [...KINDS, 'bullmq+postgres'];
const ENDED: readonly JobStatus['state'][] = ['done', 'refused', 'failed', 'cancelled'];

const image = madeOnce((directory) => {
  directory.write('disk.raw', RAW);
  qemuImg('convert', '-c', '-O', 'qcow2', 'disk.raw', 'disk.qcow2').in(directory).must();
});

const servers = new Map<ServerKind, QueueServer>();
let names = 0;

/** Starts the servers of a file of tests, and ends them with it. */
export function startServers(kinds: readonly ServerKind[] = KINDS): void {
  beforeAll(async () => {
    for (const kind of kinds) {
      const server = await startServer(kind);
      if (server !== undefined) servers.set(kind, server);
    }
  });
  afterAll(async () => {
    for (const server of servers.values()) await server.stop();
  });
}

export interface Bench {
  readonly queue: JobQueue;
  readonly url: string;
  readonly name: string;
  readonly directory: Workdir;
  readonly ended: EndedJob[];
  readonly work: (
    options?: Partial<WorkerOptions> & {
      readonly concurrency?: number;
      readonly lockMs?: number;
      readonly rate?: Rate;
    },
  ) => Promise<Taking>;
  readonly outcome: (id: string) => Promise<JobStatus>;
}

/** A queue of its own in the server, and a directory with an image. */
export async function bench(kind: ServerKind): Promise<Bench> {
  const url = servers.get(kind)?.url ?? '';
  const name = `test${(names += 1)}`;
  const directory = image(workdir());
  const queue = await openQueue(url, name);
  const takings: Taking[] = [];
  const ended: EndedJob[] = [];
  onTestFinished(async () => {
    for (const taking of takings) await taking.drain(0);
    await queue.close();
  });
  return {
    queue,
    url,
    name,
    directory,
    ended,
    work: async (options = {}) => {
      const taking = await startWorker(queue, {
        directories: [directory.path],
        sandbox: 'process',
        onEnd: (job) => ended.push(job),
        ...options,
      });
      takings.push(taking);
      return taking;
    },
    outcome: async (id) => {
      for (;;) {
        const status = await queue.status(id);
        if (status === undefined) throw new Error(`no job ${id}`);
        if (ENDED.includes(status.state)) return status;
        await sleep(50);
      }
    },
  };
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await condition()); tries += 1) {
    if (tries > 600) throw new Error('it does not come to that');
    await sleep(50);
  }
}
