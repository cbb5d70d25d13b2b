import { EngineError, escapeText } from '@instar/engine';
import type { EndedJob, Rate } from '@instar/jobs';
import { parseDuration } from '@instar/operands';
import { EXIT_CODES } from '../exit-codes.js';
import { limitsOf } from './limits.js';
import { several } from './command-line.js';
import { defineJobCommand } from './jobs/define.js';
import { recordLine } from '../render/record.js';
import { standardError, standardOutput } from '../process/standard-streams.js';

interface WorkerFlags {
  readonly directory: readonly string[];
  readonly allowHost: readonly string[];
  readonly allowBucket: readonly string[];
  readonly references?: boolean;
  readonly concurrency: number;
  readonly sandbox: string;
  readonly isolation: string;
  readonly drainTime: number;
  readonly lockTime: number;
  readonly stallTime: number;
  readonly limitVirtualSize?: bigint;
  readonly limitTime?: number;
  readonly limitCpu?: number;
  readonly metrics?: number;
  readonly rate?: string;
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

function line({ id, kind, attempt, state, elapsedMs, message }: EndedJob): string {
  const why = message === undefined ? '' : `: ${escapeText(message)}`;
  const tries = attempt > 1 ? ` (attempt ${attempt})` : '';
  return `instar: worker: ${escapeText(id)} ${escapeText(kind)} ${state}${tries} ${Math.round(elapsedMs)} ms${why}\n`;
}

/** One of some words. @throws EngineError `INVALID_OPTION` */
function oneOf<const T extends readonly string[]>(option: string, found: string, words: T): T[number] {
  if (words.includes(found)) return found;
  throw new EngineError('INVALID_OPTION', `${option}: found ${escapeText(found)}, expected ${words.join(' or ')}`);
}

/** @throws EngineError `INVALID_OPTION` */
function rateOf(text: string): Rate {
  const [, jobs, time] = /^(\d{1,9})\/(.+)$/.exec(text) ?? [];
  if (jobs === undefined || time === undefined || Number(jobs) === 0) {
    throw new EngineError(
      'INVALID_OPTION',
      `--rate: found ${escapeText(text)}, expected jobs and a time, such as 100/1m`,
    );
  }
  return { jobs: Number(jobs), ms: parseDuration(time) };
}

/** `instar worker` */
export const workerCommand = defineJobCommand<WorkerFlags>({
  name: 'worker',
  about: 'Takes jobs of a queue and does them, until it is told to end.',
  operands: [],
  options: (command, values) =>
    command
      .option('--directory <dir>', 'inputs and outputs must lie below it; may be repeated', several, [])
      .option('--allow-host <host>', 'host of URLs that may be read, or host:port; may be repeated', several, [])
      .option('--allow-bucket <bucket>', 'bucket of S3 that may be read and written; may be repeated', several, [])
      .option('--references', 'let images use files of their own directory, and of those of --directory')
      .option('--concurrency <count>', 'jobs at a time', values.whole(1, 64), 1)
      .option('--rate <jobs/time>', 'jobs that all workers of the queue begin within a time at most, such as 100/1m')
      .option('--sandbox <kind>', 'kvm, process or auto', process.env['INSTAR_SANDBOX'] ?? 'auto')
      .option('--isolation <kind>', 'pooled (sandboxes are restored for the next job) or fresh', 'pooled')
      .option('--limit-virtual-size <size>', 'refuse an image that claims to be larger', values.size)
      .option('--limit-time <time>', 'longest time of a job, such as 30s or 5m', values.time)
      .option('--limit-cpu <time>', 'most CPU time of a job', values.time)
      .option(
        '--drain-time <time>',
        'how long jobs may go on after SIGTERM; then they go back to the queue',
        values.time,
        30_000,
      )
      .option(
        '--lock-time <time>',
        'how long this worker may be silent before others take its jobs',
        values.time,
        30_000,
      )
      .option('--stall-time <time>', 'how long a server of URLs or objects may send nothing', values.time, 30_000)
      .option('--metrics <port>', 'serve figures for Prometheus on this port of 127.0.0.1', values.whole(0, 65_535)),
  notes:
    'What a job may name is decided here, since whoever can write into the queue can name anything: without --directory,\n' +
    '--allow-host or --allow-bucket nothing is read or written. SIGTERM and SIGINT: no job is taken any more, those that go on\n' +
    'end, and the worker with them (0); the second one ends it at once. A line on standard error, or with --json a record on\n' +
    'standard output, tells of each job that ended.',
  async run(words, flags, { module, queue }, { setAside }) {
    if (words.length > 0) throw new EngineError('INVALID_OPTION', 'takes no operands; see instar worker --help');
    const { directory: directories, allowHost: hosts, allowBucket: buckets, references, concurrency } = flags;
    if (directories.length + hosts.length + buckets.length === 0) {
      throw new EngineError('INVALID_OPTION', 'what may jobs name: give --directory, --allow-host or --allow-bucket');
    }
    const { limitVirtualSize: virtualSize, limitTime: timeMs, limitCpu: cpuMs } = flags;
    const limits = {
      ...(virtualSize === undefined ? {} : { virtualSize }),
      ...(timeMs === undefined ? {} : { timeMs }),
      ...(cpuMs === undefined ? {} : { cpuMs }),
    };
    const metrics = module.createMetrics();
    let told = '';
    const taking = await module.startWorker(queue, {
      directories,
      hosts,
      buckets,
      references,
      stallMs: flags.stallTime,
      concurrency,
      sandbox: oneOf('--sandbox', flags.sandbox, ['kvm', 'process', 'auto']),
      isolation: oneOf('--isolation', flags.isolation, ['pooled', 'fresh']),
      limits: limitsOf(limits, undefined),
      lockMs: flags.lockTime,
      rate: flags.rate === undefined ? undefined : rateOf(flags.rate),
      onEnd: (job) => {
        metrics.count(job);
        if (flags.json === true) standardOutput.write(recordLine({ job }));
        else standardError.write(line(job));
      },
      onError: (error) => {
        // A server that is away says so many times a second.
        const text = error.message.split('\n')[0] ?? '';
        if (text === told) return;
        told = text;
        standardError.write(`instar: worker: warning: ${escapeText(text)}\n`);
      },
    });
    const served = flags.metrics === undefined ? undefined : await metrics.serve(flags.metrics, queue);
    const giveBack = SIGNALS.map((name) => setAside(name));
    if (served !== undefined) standardError.write(`instar: worker: figures on ${served.url}\n`);
    standardError.write(`instar: worker: takes jobs, ${concurrency} at a time\n`);
    await new Promise<void>((resolve) => {
      for (const name of SIGNALS) process.once(name, resolve);
    });
    // The second one is nobody's but the process's.
    giveBack.forEach((give) => {
      give();
    });
    await taking.drain(flags.drainTime);
    await served?.close();
    return EXIT_CODES.OK;
  },
});
