import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JobQueue } from './queue.js';
import type { EndedJob } from './run.js';

/** Figures that are served. */
export interface ServedMetrics {
  readonly url: string;
  close(): Promise<void>;
}

/** Figures of a worker and its queue, in the text format of Prometheus. */
export interface Metrics {
  count(job: EndedJob): void;
  text(queue: JobQueue): Promise<string>;
  /** Serves them on this machine. @param port 0: any that is free */
  serve(port: number, queue: JobQueue): Promise<ServedMetrics>;
}

/** Label values, as the format wants them. */
function label(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

/** Figures that begin at nothing. */
export function createMetrics(): Metrics {
  const ended = new Map<string, { count: number; seconds: number }>();
  const text = async (queue: JobQueue): Promise<string> => {
    const counts = Object.entries(await queue.counts());
    const rows = [...ended];
    return [
      '# HELP instar_jobs Jobs of the queue by state.',
      '# TYPE instar_jobs gauge',
      ...counts.map(([state, count]) => `instar_jobs{state="${state}"} ${count}`),
      '# HELP instar_worker_jobs_seconds Time of jobs that ended in this worker.',
      '# TYPE instar_worker_jobs_seconds summary',
      ...rows.flatMap(([labels, { count, seconds }]) => [
        `instar_worker_jobs_seconds_sum{${labels}} ${seconds}`,
        `instar_worker_jobs_seconds_count{${labels}} ${count}`,
      ]),
      '',
    ].join('\n');
  };
  return {
    count: ({ kind, state, elapsedMs }) => {
      const labels = `kind="${label(kind)}",state="${state}"`;
      const known = ended.get(labels) ?? { count: 0, seconds: 0 };
      ended.set(labels, { count: known.count + 1, seconds: known.seconds + elapsedMs / 1000 });
    },
    text,
    serve: async (port, queue) => {
      const server = createServer((request, response) => {
        if (request.method !== 'GET' || request.url !== '/metrics') {
          response.writeHead(404).end();
          return;
        }
        text(queue).then(
          (body) => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(body),
          () => response.writeHead(503).end(),
        );
      });
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject).listen(port, '127.0.0.1', resolve);
      });
      const { port: found } = server.address() as AddressInfo;
      return {
        url: `http://127.0.0.1:${found}/metrics`,
        close: async () =>
          new Promise((resolve) => {
            server.closeAllConnections();
            server.close(() => {
              resolve();
            });
          }),
      };
    },
  };
}
