import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineError, escapeText, isRemoteName } from '@instar/engine';
import type * as JobsModule from '@instar/jobs';
import type { Job, JobQueue, JobStatus } from '@instar/jobs';
import { EXIT_CODES } from '../exit-codes.js';
import { defineJobCommand } from './jobs/define.js';
import { hasEnded, imagesWithoutResult, jobLine } from './jobs/show.js';
import { recordLine } from '../render/record.js';
import { standardOutput } from '../process/standard-streams.js';

interface SubmitFlags {
  readonly format?: string;
  readonly secondFormat?: string;
  readonly outputFormat?: string;
  readonly compress?: boolean;
  readonly compressionType?: string;
  readonly windows?: number;
  readonly strict?: boolean;
  readonly algorithm?: string;
  readonly key?: string;
  readonly priority?: number;
  readonly attempts?: number;
  readonly wait?: boolean;
}

/** Time between two looks at a job that is waited for (ms). */
const LOOK_MS = 250;
/** How long a queue that does not answer is waited for (ms). */
const PATIENCE_MS = 60_000;
const NUMBER_OF_FILES = { convert: 2, inspect: 1, compare: 2, checksum: 1 } as const;

function isKind(text: string | undefined): text is keyof typeof NUMBER_OF_FILES {
  return text !== undefined && Object.hasOwn(NUMBER_OF_FILES, text);
}

/** What is left out is absent: a job is stored as it is. */
function given(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function jobOf([kind, ...files]: readonly string[], flags: SubmitFlags, { parseJob }: typeof JobsModule): Job {
  if (!isKind(kind)) {
    const known = Object.keys(NUMBER_OF_FILES).join(', ');
    throw new EngineError('INVALID_OPTION', `found ${escapeText(kind ?? 'nothing')}, expected one of ${known}`);
  }
  const several = kind === 'inspect' && files.length > 1;
  if (files.length !== NUMBER_OF_FILES[kind] && !several) {
    const what = `${kind}: found ${files.length} files, expected ${NUMBER_OF_FILES[kind]}`;
    throw new EngineError('INVALID_OPTION', what);
  }
  // Workers have other current directories.
  const places = files.map((name) => (isRemoteName(name) ? name : resolve(name)));
  const [first, second] = places;
  const { format, secondFormat, outputFormat, compress, compressionType, windows, strict, algorithm } = flags;
  const converting = { outputFormat, compress, compressionType, windows };
  const inputFormat = format;
  // What does not belong to the kind is refused with it.
  const fields = {
    convert: { input: first, output: second, inputFormat, ...converting, secondFormat, strict, algorithm },
    inspect: {
      ...(several ? { inputs: places } : { input: first }),
      inputFormat,
      ...converting,
      secondFormat,
      strict,
      algorithm,
    },
    compare: { first, second, firstFormat: format, secondFormat, strict, ...converting, algorithm },
    checksum: { input: first, inputFormat, algorithm, ...converting, secondFormat, strict },
  }[kind];
  return parseJob({ kind, ...given(fields) });
}

/** Waits for the end of a job. @throws EngineError, JobsError where the queue does not know it or is gone for long */
async function end(queue: JobQueue, id: string, signal: AbortSignal): Promise<JobStatus> {
  let seen = performance.now();
  for (;;) {
    try {
      const status = await queue.status(id);
      if (status === undefined) throw new EngineError('INVALID_OPTION', `the queue has no job ${id} any more`);
      if (hasEnded(status)) return status;
      seen = performance.now();
    } catch (error) {
      // A server that is started anew is gone for a moment.
      if (error instanceof EngineError || performance.now() - seen > PATIENCE_MS) throw error;
    }
    await sleep(LOOK_MS, undefined, { signal });
  }
}

/** `instar submit` */
export const submitCommand = defineJobCommand<SubmitFlags>({
  name: 'submit',
  about: 'Queues a job for workers: convert, inspect, compare or checksum.',
  operands: [
    ['<words...>', 'convert INPUT OUTPUT, inspect IMAGE…, compare ONE OTHER or checksum IMAGE; files or URLs'],
  ],
  options: (command, values) =>
    command
      .option('-f, --format <fmt>', 'format of the image; it is then not probed')
      .option('-F, --second-format <fmt>', 'compare: format of the other image')
      .option('-O, --output-format <fmt>', 'convert: format of the output (default raw)')
      .option('-c, --compress', 'convert: compress what becomes smaller by it')
      .option('--compression-type <name>', 'convert: of a compressed qcow2 output, zlib (default) or zstd')
      .option('--windows <count>', 'convert: parts that workers write at once (raw, qcow2)', values.whole(1, 1024))
      .option('--strict', 'compare: sizes and allocation must be the same as well')
      .option('--algorithm <name>', 'checksum: sha256 (default), sha512, sha1 or md5')
      .option('--key <text>', 'do nothing where a job of this key is done')
      .option('--priority <number>', 'higher comes first, -1000 to 1000 (default 0)', values.whole(-1000, 1000))
      .option('--attempts <count>', 'attempts before it is kept apart (default 5)', values.whole(1, 100))
      .option('--wait', 'wait for its end, and tell what came of it'),
  notes:
    'Prints the id of the job. The same job has the same id: it is not done twice at a time, nor again after it is done where it\n' +
    'has a --key. Several images of inspect are one job, which costs the queue less than one each. With --wait the exit code says whether it was done; Ctrl-C then stops the waiting, not the job.\n' +
    'Exit codes: 0 queued, or done; 1 refused or failed, or an image of several was.\n\n' +
    'Examples:\n' +
    '  instar submit convert -O qcow2 /images/upload.vmdk /images/disk.qcow2\n' +
    '  instar submit convert --windows 16 --wait /images/big.qcow2 /images/big.raw\n' +
    '  instar submit convert -O qcow2 -c --windows 16 /images/big.vmdk /images/big.qcow2\n' +
    '  instar submit convert --windows 16 s3://images/big.qcow2 s3://images/big.raw\n' +
    '  instar submit inspect https://images.example/disk.qcow2',
  async run(words, flags, { module, queue }, { interrupt }) {
    const job = jobOf(words, flags, module);
    const { key, priority, attempts } = flags;
    const id = await module.submit(queue, job, { key, priority, attempts });
    const json = flags.json === true;
    if (flags.wait !== true) {
      standardOutput.write(json ? recordLine({ id }) : `${id}\n`);
      return EXIT_CODES.OK;
    }
    const status = await end(queue, id, interrupt.signal);
    standardOutput.write(jobLine(status, json));
    const without = imagesWithoutResult(status);
    if (!json)
      standardOutput.write(without.map(({ input, why }) => `  ${escapeText(input)}: ${escapeText(why)}\n`).join(''));
    return status.state === 'done' && without.length === 0 ? EXIT_CODES.OK : EXIT_CODES.FAILURE;
  },
});
