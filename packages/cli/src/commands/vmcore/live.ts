import { resolve } from 'node:path';
import { dumpGuest } from '@instar/vmcore';
import { EXIT_CODES } from '../../exit-codes.js';
import { progressBar } from '../../render/progress.js';
import { answerProgressRequests } from '../../render/progress-request.js';
import { numberOf, usageError, type CommandContext, type Flags } from './flags.js';
import { recordText } from '../../render/record.js';
import { standardError, standardOutput } from '../../process/standard-streams.js';

/** `instar vmcore dump`. */
export async function dumpLive(words: readonly string[], flags: Flags, context: CommandContext): Promise<number> {
  const [output] = words;
  if (output === undefined || words.length > 1) throw usageError(`found ${words.length} names, expected one OUTPUT`);
  if (flags.qmp === undefined)
    throw usageError('found no --qmp, expected the socket of a monitor (-qmp unix:PATH,server=on)');
  if ((flags.begin === undefined) !== (flags.length === undefined)) {
    throw usageError('found half a range, expected --begin and --length');
  }
  const filter =
    flags.begin === undefined || flags.length === undefined
      ? undefined
      : { begin: numberOf(flags.begin, '--begin'), length: numberOf(flags.length, '--length') };
  const file = resolve(output);
  const shown = standardError.isTTY && flags.json !== true && flags.progress !== false;
  const progress = answerProgressRequests(shown ? await progressBar() : undefined);
  const sizes = await dumpGuest(flags.qmp, file, {
    format: flags.to,
    paging: flags.paging,
    filter,
    detach: flags.detach,
    signal: context.signal,
    onProgress: ({ writtenSize, totalSize }) => {
      progress.update(writtenSize, totalSize);
    },
  }).finally(() => {
    progress.close();
  });
  if (flags.json === true) {
    const result = { output: file, 'total-size': sizes.totalSize, 'written-size': sizes.writtenSize };
    standardOutput.write(recordText({ result }));
  }
  return EXIT_CODES.OK;
}
