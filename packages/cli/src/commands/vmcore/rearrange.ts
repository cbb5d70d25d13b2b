import { flatten, unflatten, type FlattenOptions } from '@instar/vmcore';
import { EXIT_CODES } from '../../exit-codes.js';
import { progressBar } from '../../render/progress.js';
import { answerProgressRequests } from '../../render/progress-request.js';
import { printWarning, type CommandContext, type Flags } from './flags.js';
import { outputOf } from './write.js';
import { requireOpen } from '../require-open.js';
import { recordText } from '../../render/record.js';
import { standardError, standardOutput } from '../../process/standard-streams.js';

async function withProgress(
  flags: Flags,
  output: string,
  work: (options: FlattenOptions) => Promise<void>,
): Promise<number> {
  const shown = standardError.isTTY && flags.json !== true && flags.progress !== false;
  const progress = answerProgressRequests(shown ? await progressBar() : undefined);
  const started = performance.now();
  await work({ onProgress: progress.update.bind(progress), onWarning: printWarning }).finally(() => {
    progress.close();
  });
  if (flags.json === true) {
    standardOutput.write(recordText({ output, 'elapsed-ms': Math.round(performance.now() - started) }));
  }
  return EXIT_CODES.OK;
}

/** `instar vmcore flatten`. */
export async function flattenFile(words: readonly string[], flags: Flags, context: CommandContext): Promise<number> {
  const [input = '', output = ''] = words;
  const target = outputOf(output, flags, context);
  return withProgress(flags, output, async (options) => flatten(input, target, { ...options, signal: context.signal }));
}

/** `instar vmcore unflatten`. */
export async function unflattenFile(
  words: readonly string[],
  flags: Flags,
  { signal, whyClosed }: CommandContext,
): Promise<number> {
  const [input = '', output = ''] = words;
  if (input === '-') requireOpen({ whyClosed }, 0);
  return withProgress(flags, output, async (options) =>
    unflatten(input === '-' ? process.stdin : input, output, { ...options, signal }),
  );
}
