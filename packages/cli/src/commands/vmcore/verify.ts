import { escapeText } from '@instar/engine';
import { verifyDump } from '@instar/vmcore';
import { EXIT_CODES } from '../../exit-codes.js';
import { dumpJson } from './dump-json.js';
import { progressBar } from '../../render/progress.js';
import { answerProgressRequests } from '../../render/progress-request.js';
import { humanSize } from '../../render/size.js';
import { printWarnings, withDump, type CommandContext, type Flags } from './flags.js';

/** `instar vmcore verify`. */
export async function verify(files: readonly string[], flags: Flags, { signal }: CommandContext): Promise<number> {
  return withDump(files, async (dump) => {
    const shown = process.stderr.isTTY && flags.json !== true;
    const progress = answerProgressRequests(shown ? await progressBar() : undefined);
    const report = await verifyDump(dump, { signal, onProgress: progress.update.bind(progress) }).finally(() => {
      progress.close();
    });
    const { storedBytes, excludedBytes, problems } = report;
    if (flags.json === true) {
      const shown = problems.map(({ code, message, field, offset }) => ({ code, message, field, offset }));
      const result = { 'stored-bytes': storedBytes, 'excluded-bytes': excludedBytes, problems: shown };
      process.stdout.write(`${dumpJson(result)}\n`);
    } else {
      await printWarnings(dump);
      for (const problem of problems) process.stderr.write(`instar: vmcore: ${escapeText(problem.message)}\n`);
      if (problems.length === 0) process.stdout.write(`${humanSize(storedBytes)} of memory can be read\n`);
    }
    return problems.length === 0 ? EXIT_CODES.OK : EXIT_CODES.FAILURE;
  });
}
