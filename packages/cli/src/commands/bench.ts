import { bench, EngineError, quoteName, type BenchReport, type SnapshotSelector } from '@instar/engine';
import { EXIT_CODES } from '../exit-codes.js';
import { humanSize } from '../render/size.js';
import { CACHE_MODES } from './cache-modes.js';
import { defineCommand, type CommandRun } from './define-command.js';
import { DATA_FILE_NOTES } from './edit-options.js';
import { editing, type EditFlags } from './edit-options.js';
import { SNAPSHOT_OPTION, snapshotSelector } from './snapshot-option.js';
import { recordText } from '../render/record.js';
import { standardOutput } from '../process/standard-streams.js';

interface BenchFlags extends EditFlags {
  readonly count: number;
  readonly depth: number;
  readonly bufferSize?: bigint;
  readonly stepSize?: bigint;
  readonly offset?: bigint;
  readonly write?: boolean;
  readonly pattern: number;
  readonly flushInterval: number;
  readonly cache?: string;
  readonly native?: boolean;
  readonly snapshot?: SnapshotSelector;
}

const MOST = 0x7fff_ffff;

/** Lines about what is done, as qemu-img writes them. */
function announced({
  count,
  bufferSize = 4096n,
  depth,
  offset = 0n,
  stepSize = 0n,
  write,
  flushInterval,
}: BenchFlags): string {
  const what = write === true ? 'write' : 'read';
  const step = stepSize === 0n ? bufferSize : stepSize;
  const requests =
    `Sending ${count} ${what} requests, ${bufferSize} bytes each, ${depth} in parallel ` +
    `(starting at offset ${offset}, step size ${step})\n`;
  return flushInterval === 0 ? requests : `${requests}Sending flush every ${flushInterval} requests\n`;
}

function invalid(what: string): EngineError {
  return new EngineError('INVALID_OPTION', what);
}

/** @throws EngineError where options do not go together */
function check(file: string, { write, flushInterval, depth, native, cache }: BenchFlags): void {
  if (flushInterval > 0 && write !== true) throw invalid('--flush-interval is of use with -w only');
  if (flushInterval > 0 && flushInterval < depth) throw invalid('--flush-interval is smaller than the depth');
  if (native === true && cache !== 'none' && cache !== 'directsync')
    throw invalid(`-n: ${quoteName(file)} needs -t none`);
}

/** What was measured, in words. */
function figures({ requests, bytes, milliseconds }: BenchReport): string {
  const second = Math.max(milliseconds, 0.001) / 1000;
  const rate = BigInt(Math.round(Number(bytes) / second));
  return `${Math.round(Number(requests) / second)} requests and ${humanSize(rate)} a second`;
}

async function run({ files, flags, json, control, pathPolicy, additions }: CommandRun<BenchFlags>): Promise<number> {
  const [file = ''] = files;
  check(file, flags);
  const { count, depth, bufferSize, stepSize, offset, write, pattern, flushInterval, undo, format } = flags;
  const { forceShare, snapshot } = flags;
  const report = await bench(file, {
    ...{ count, depth, requestLength: bufferSize, step: stepSize, offset, format, forceShare, snapshot, pathPolicy },
    ...(write === true ? { pattern, flushInterval, undo } : {}),
    onStart: () => {
      if (!json) standardOutput.write(announced(flags));
    },
    ...control,
  });
  if (json) {
    standardOutput.write(recordText({ result: { filename: file, write: write === true, ...report } }));
    return EXIT_CODES.OK;
  }
  standardOutput.write(`Run completed in ${(report.milliseconds / 1000).toFixed(3)} seconds.\n`);
  if (additions && flags.quiet !== true) standardOutput.write(`${figures(report)}\n`);
  return EXIT_CODES.OK;
}

/** `instar bench` */
export const benchCommand = defineCommand<BenchFlags>({
  name: 'bench',
  about: 'Measures how fast the disk of an image is read or, with -w, written. Writing destroys what it holds.',
  operands: [['<file>', 'the image']],
  options: (command, values) =>
    editing(
      command
        .option('-c, --count <number>', 'how many requests are made', values.whole(1, MOST), 75_000)
        .option('-d, --depth <number>', 'how many reads may be under way at once', values.whole(1, MOST), 64)
        .option('-s, --buffer-size <size>', 'bytes of a request (default: 4k)', values.sizeWithin(1n, BigInt(MOST)))
        .option(
          '-S, --step-size <size>',
          'bytes from one request to the next (default: of a request)',
          values.sizeWithin(0n, BigInt(MOST)),
        )
        .option(
          '-o, --offset <size>',
          'where the first one begins (default: 0)',
          values.sizeWithin(0n, (1n << 63n) - 1n),
        )
        .option('-w, --write', 'write, in place of reading: the content of the disk is lost')
        .option('--pattern <byte>', 'with -w: what is written', values.whole(0, 255), 0)
        .option('--flush-interval <number>', 'with -w: bring it to the disk after so many', values.whole(0, MOST), 0)
        .option('--no-drain', 'without effect')
        .option('-t, --cache <cache>', 'without effect', values.oneOf(CACHE_MODES))
        .option('-i, --aio <kind>', 'without effect', values.oneOf(['threads', 'native', 'io_uring'] as const))
        .option('-n, --native', 'without effect')
        .option('-p, --progress', 'show how far it is; with --json as records on standard error')
        .option(...SNAPSHOT_OPTION, snapshotSelector),
    ),
  showsProgress: true,
  notes:
    'What is measured is this program: the requests are made inside the sandbox, and the time is that of the requests alone. Reads\n' +
    'go through the page cache, writes one after the other. An image that is written has an undo log as with every edit, which\n' +
    'takes time: --no-undo measures without.\n' +
    `${DATA_FILE_NOTES}\n` +
    'Exit codes: 0 done, 1 refused or failed, 130 interrupted.',
  run,
});
