import { EngineError } from '@instar/engine';
import { flatten, unflatten, type FlattenOptions } from '@instar/vmcore';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { EXIT_CODES } from '../../exit-codes.js';
import { toJson } from '../../render/json.js';
import { progressBar } from '../../render/progress.js';
import type { CommandContext, Flags } from './flags.js';
import { outputOf } from './write.js';

async function withProgress(
  flags: Flags,
  output: string,
  work: (options: FlattenOptions) => Promise<void>,
): Promise<number> {
  const bar = process.stderr.isTTY && flags.json !== true && flags.progress !== false ? await progressBar() : undefined;
  const started = performance.now();
  await work({ onProgress: bar?.update.bind(bar) }).finally(() => {
    bar?.close();
  });
  if (flags.json === true) {
    process.stdout.write(`${toJson({ output, 'elapsed-ms': Math.round(performance.now() - started) })}\n`);
  }
  return EXIT_CODES.OK;
}

/** `instar vmcore flatten`. */
export async function flattenFile(words: readonly string[], flags: Flags, { signal }: CommandContext): Promise<number> {
  const [input = '', output = ''] = words;
  const target = outputOf(output, flags);
  return withProgress(flags, output, async (options) => flatten(input, target, { ...options, signal }));
}

/** Bytes that are read from a flattened stream at once. */
const CHUNK = 4 << 20;

/** `instar vmcore unflatten`. */
export async function unflattenFile(
  words: readonly string[],
  flags: Flags,
  { signal }: CommandContext,
): Promise<number> {
  const [input = '', output = ''] = words;
  return withProgress(flags, output, async (options) => {
    if (input === '-') {
      await unflatten(process.stdin, output, 'standard input', { ...options, signal });
      return;
    }
    const found = await stat(input, { bigint: true }).catch((error: unknown) => {
      const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
      throw new EngineError('READ_FAILED', `cannot be read (${why})`, { file: input, cause: error });
    });
    if (!found.isFile()) {
      throw new EngineError('READ_FAILED', 'is no regular file; a pipe is read as - from standard input', {
        file: input,
      });
    }
    const stream = createReadStream(input, { highWaterMark: CHUNK, signal });
    await unflatten(stream, output, input, { ...options, signal, size: found.size });
  });
}
