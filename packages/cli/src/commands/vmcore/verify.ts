import { escapeText } from '@instar/engine';
import { verifyDump, type VerifyCause, type VmcoreError } from '@instar/vmcore';
import { EXIT_CODES } from '../../exit-codes.js';
import { dumpJson } from './dump-json.js';
import { progressBar } from '../../render/progress.js';
import { answerProgressRequests } from '../../render/progress-request.js';
import { humanSize } from '../../render/size.js';
import { printWarnings, withDump, type CommandContext, type Flags } from './flags.js';
import { standardError, standardOutput } from '../../process/standard-streams.js';

function problemJson({ code, message, field, offset }: VmcoreError): object {
  return { code, message, field, offset };
}

/** One line for each cause: the first page that has it, and how many more do. */
function causeText({ first, pages }: VerifyCause): string {
  const more = pages - 1n;
  return more === 0n ? first.message : `${first.message}; and ${more} more ${more === 1n ? 'page' : 'pages'} like it`;
}

/** `instar vmcore verify`. */
export async function verify(files: readonly string[], flags: Flags, context: CommandContext): Promise<number> {
  const { signal } = context;
  return withDump(files, context, async (dump) => {
    const json = flags.json === true;
    const shown = standardError.isTTY && !json;
    const progress = answerProgressRequests(shown ? await progressBar() : undefined);
    const all: object[] = [];
    const report = await verifyDump(dump, {
      signal,
      onProgress: progress.update.bind(progress),
      onProblem: (problem) => {
        if (flags.all !== true) return;
        if (json) all.push(problemJson(problem));
        else printProblem(problem.message);
      },
    }).finally(() => {
      progress.close();
    });
    const { storedBytes, excludedBytes, problems, causes, cutOff } = report;
    const whole = problems.length === 0 && cutOff === undefined;
    if (json) {
      const result = {
        'stored-bytes': storedBytes,
        'excluded-bytes': excludedBytes,
        'cut-off': cutOff,
        causes: causes.map(({ first, pages }) => ({ ...problemJson(first), pages })),
        problems: flags.all === true ? all : problems.map(problemJson),
      };
      standardOutput.write(`${dumpJson(result)}\n`);
    } else {
      if (flags.all !== true) for (const cause of causes) printProblem(causeText(cause));
      await printWarnings(dump);
      if (whole) standardOutput.write(`${humanSize(storedBytes)} of memory can be read\n`);
    }
    return whole ? EXIT_CODES.OK : EXIT_CODES.FAILURE;
  });
}

function printProblem(text: string): void {
  standardError.write(`instar: vmcore: ${escapeText(text)}\n`);
}
