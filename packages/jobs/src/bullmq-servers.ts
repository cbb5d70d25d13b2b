import type * as BullMq from 'bullmq';
import { JobsError } from './errors.js';
import { inTime } from './in-time.js';
import type { Stored } from './stored.js';

/** How long a server may take to answer (ms). */
export const ANSWER_MS = 5000;
/** How long it may take to say goodbye to one (ms). */
export const CLOSE_MS = 2000;
/** How long what came of a job is kept (seconds). */
export const [KEEP_DONE, KEEP_FAILED] = [7 * 86_400, 30 * 86_400];
/** Notes that are removed at a time where they are old. */
const MOST_OLD = 1000;

/** What is known of a job besides what its worker writes: whoever was taken for gone would write something older over it. */
export interface Notes {
  /** Notes that a job is cancelled. */
  cancel(id: string): Promise<void>;
  /** Whether one of these jobs is cancelled. */
  isCancelled(ids: readonly string[]): Promise<boolean>;
  /** Keeps something for a job, once. */
  keep(id: string, text: string): Promise<void>;
  kept(id: string): Promise<string | undefined>;
  /** Forgets a job. */
  forget(id: string): Promise<void>;
}

/** What BullMQ is made with. */
export interface BullServer {
  readonly queue: BullMq.Queue<Stored>;
  readonly notes: Notes;
  /** A worker with connections of its own, and what closes those behind it. */
  worker(
    processor: BullMq.Processor<Stored>,
    options: Omit<BullMq.WorkerOptions, 'connection'>,
    onError: (error: Error) => void,
  ): { readonly worker: BullMq.Worker<Stored>; readonly close: () => void };
  close(): Promise<void>;
}

/** BullMQ in Redis. @throws JobsError `QUEUE_UNAVAILABLE` */
export async function redisServer(url: string, name: string): Promise<BullServer> {
  const [bull, redis] = await Promise.all([import('bullmq'), import('ioredis')]).catch((error: unknown) => {
    throw new JobsError('QUEUE_UNAVAILABLE', 'a queue in Redis needs two packages: npm install bullmq ioredis', error);
  });
  // Who asks is told soon that there is no server, and does not wait for one.
  const options = {
    maxRetriesPerRequest: 2,
    connectTimeout: ANSWER_MS,
    // A connection over which no answer comes is another one's place: where a network dropped it nobody says so.
    socketTimeout: ANSWER_MS,
    lazyConnect: true,
  };
  const connection = new redis.Redis(url, options);
  // Each call that fails says so itself.
  connection.on('error', () => undefined);
  try {
    await connection.connect();
  } catch (error) {
    connection.disconnect();
    throw new JobsError('QUEUE_UNAVAILABLE', 'the queue cannot be reached: there is no Redis at its address', error);
  }
  const queue = new bull.Queue<Stored>(name, { connection });
  queue.on('error', () => undefined);
  const markOf = (id: string): string => queue.toKey(`cancelled:${id}`);
  const keptOf = (id: string): string => queue.toKey(`kept:${id}`);
  return {
    queue,
    notes: {
      cancel: async (id) => {
        await connection.set(markOf(id), '1', 'EX', KEEP_FAILED);
      },
      isCancelled: async (ids) => (await connection.exists(...ids.map(markOf))) > 0,
      keep: async (id, text) => {
        await connection.set(keptOf(id), text, 'EX', KEEP_FAILED, 'NX');
      },
      kept: async (id) => (await connection.get(keptOf(id))) ?? undefined,
      forget: async (id) => {
        await connection.del(markOf(id), keptOf(id));
      },
    },
    worker: (processor, how, onError) => {
      const own = new redis.Redis(url, { maxRetriesPerRequest: null });
      own.on('error', onError);
      const worker = new bull.Worker<Stored>(name, processor, { ...how, connection: own });
      return {
        worker,
        close: () => {
          own.disconnect();
        },
      };
    },
    close: async () => {
      await inTime(queue.close(), CLOSE_MS);
      connection.disconnect();
    },
  };
}

/** BullMQ in PostgreSQL. Its tables are made where there are none. @throws JobsError `QUEUE_UNAVAILABLE` */
export async function postgresServer(url: string, name: string): Promise<BullServer> {
  const bull = await import('bullmq').catch((error: unknown) => {
    throw new JobsError('QUEUE_UNAVAILABLE', 'BullMQ in PostgreSQL needs two packages: npm install bullmq pg', error);
  });
  // The same classes, whose types tell of another connection.
  const { Queue, Worker } = bull.withBackend(bull.createPostgresBackend) as unknown as Pick<
    typeof BullMq,
    'Queue' | 'Worker'
  >;
  const postgres: BullMq.PostgresPoolConfig = {
    connectionString: url,
    migrate: true,
    connectionTimeoutMillis: ANSWER_MS,
    keepAlive: true,
  };
  const connection = postgres as unknown as BullMq.ConnectionOptions;
  const open = <T>(of: string): BullMq.Queue<T> => {
    const made = new Queue<T>(of, { connection });
    made.on('error', () => undefined);
    return made;
  };
  const queue = open<Stored>(name);
  // Jobs that nobody takes: one of an id that there is already stays as it is.
  const notes = open<{ readonly text: string }>(`${name}-notes`);
  try {
    await queue.waitUntilReady();
    await notes.waitUntilReady();
    await notes.clean(1000 * KEEP_FAILED, MOST_OLD, 'wait');
  } catch (error) {
    await Promise.allSettled([queue.close(), notes.close()]);
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'Error';
    throw new JobsError('QUEUE_UNAVAILABLE', `the queue cannot be reached (${why})`, error);
  }
  const markOf = (id: string): string => `cancelled-${id}`;
  const keptOf = (id: string): string => `kept-${id}`;
  const write = async (jobId: string, text: string): Promise<void> => {
    await notes.add('note', { text }, { jobId });
  };
  return {
    queue,
    notes: {
      cancel: async (id) => write(markOf(id), '1'),
      isCancelled: async (ids) => {
        const found = await Promise.all(ids.map(async (id) => notes.getJob(markOf(id))));
        return found.some((note) => note !== undefined);
      },
      keep: async (id, text) => write(keptOf(id), text),
      kept: async (id) => (await notes.getJob(keptOf(id)))?.data.text,
      forget: async (id) => {
        await notes.remove(markOf(id));
        await notes.remove(keptOf(id));
      },
    },
    worker: (processor, how) => ({
      worker: new Worker<Stored>(name, processor, { ...how, connection }),
      close: () => undefined,
    }),
    close: async () => {
      await inTime(Promise.all([queue.close(), notes.close()]), CLOSE_MS);
    },
  };
}
