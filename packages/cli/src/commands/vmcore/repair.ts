import { repairDump, type LostPages } from '@instar/vmcore';
import { EXIT_CODES } from '../../exit-codes.js';
import { progressBar } from '../../render/progress.js';
import { answerProgressRequests } from '../../render/progress-request.js';
import { humanSize } from '../../render/size.js';
import { dumpJson } from './dump-json.js';
import { compressionOf, printWarning, threadsOf, type CommandContext, type Flags } from './flags.js';
import { outputOf } from './write.js';
import { standardError, standardOutput } from '../../process/standard-streams.js';

/** Lost pages that are named without --all. */
const NAMED = 10;

function lostText({ start, length, problem }: LostPages): string {
  return `${length} bytes of memory from 0x${start.toString(16)} on are left out: ${problem.message}`;
}

function lostJson({ start, length, problem }: LostPages): object {
  return { start, length, code: problem.code, message: problem.message };
}

/** `instar vmcore repair`. */
export async function repair(words: readonly string[], flags: Flags, context: CommandContext): Promise<number> {
  const [input = '', output = ''] = words;
  const target = outputOf(output, flags, context);
  const json = flags.json === true;
  const shown = standardError.isTTY && !json && flags.progress !== false;
  const progress = answerProgressRequests(shown ? await progressBar() : undefined);
  const lost: object[] = [];
  let named = 0;
  const report = await repairDump(input, target, {
    compression: flags.compress === undefined ? undefined : compressionOf(flags.compress),
    threads: flags.threads === undefined ? undefined : threadsOf(flags.threads),
    flattened: flags.flatten,
    signal: context.signal,
    onWarning: printWarning,
    onProgress: ({ writtenSize, totalSize }) => {
      progress.update(writtenSize, totalSize);
    },
    onLost: (pages) => {
      named += 1;
      if (flags.all !== true && named > NAMED) return;
      if (json) lost.push(lostJson(pages));
      else printWarning(lostText(pages));
    },
  }).finally(() => {
    progress.close();
  });
  if (json) {
    const result = {
      output,
      mended: report.mended,
      'lost-bytes': report.lost,
      lost,
      'written-size': report.state.writtenSize,
    };
    standardOutput.write(`${dumpJson(result)}\n`);
    return EXIT_CODES.OK;
  }
  if (flags.all !== true && named > NAMED) printWarning(`and ${named - NAMED} more like it (--all names each)`);
  if (output === '-') return EXIT_CODES.OK;
  const { mended, state, lost: lostBytes } = report;
  const lines = mended.length === 0 ? ['nothing had to be recomputed'] : mended;
  const left = lostBytes === 0n ? '' : `, ${humanSize(lostBytes)} left out`;
  standardOutput.write(`${lines.join('\n')}\n${humanSize(state.writtenSize)} of memory written${left}\n`);
  return EXIT_CODES.OK;
}
