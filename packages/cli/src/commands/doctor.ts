import { checkSandboxes, EngineError, escapeText } from '@instar/engine';
import { adviceOnOption } from '../words/advice.js';
import { EXIT_CODES } from '../exit-codes.js';
import { coloursOf } from '../render/colours.js';
import { printError } from '../render/errors.js';
import { asCommand } from './description.js';
import { recordText } from '../render/record.js';
import { standardOutput } from '../process/standard-streams.js';

const HELP = `Usage: instar doctor [--json]

Says which sandbox works on this machine, and if one does not, why and what would help.

Exit codes: 0 a sandbox works, 1 none does.
`;

async function doctor(tokens: readonly string[]): Promise<number> {
  const json = tokens.includes('--json');
  if (tokens.includes('--help') || tokens.includes('-h')) {
    standardOutput.write(HELP);
    return EXIT_CODES.OK;
  }
  const unknown = tokens.find((token) => token !== '--json');
  if (unknown !== undefined) {
    printError(
      'doctor',
      new EngineError(
        'INVALID_OPTION',
        `found '${escapeText(unknown)}'${adviceOnOption('doctor', unknown, ['--json', '--help'])}, but takes --json only; see instar doctor --help`,
      ),
      undefined,
    );
    return EXIT_CODES.FAILURE;
  }
  try {
    const report = await checkSandboxes();
    if (json) {
      standardOutput.write(recordText({ ...report, platform: `${process.platform}-${process.arch}` }));
    } else {
      const pc = await coloursOf(standardOutput);
      const line = (name: string, problem: string | undefined): string =>
        `${problem === undefined ? pc.green('ok') : pc.red('no')}  ${name}${problem === undefined ? '' : `: ${problem}`}\n`;
      standardOutput.write(`platform  ${process.platform}-${process.arch}, node ${process.version}\n`);
      standardOutput.write(line('kvm      a micro-VM', report.kvm));
      standardOutput.write(line('process  a process under seccomp', report.process));
      standardOutput.write(`--sandbox=auto takes: ${report.chosen ?? 'nothing, so no image can be read here'}\n`);
    }
    return report.chosen === undefined ? EXIT_CODES.FAILURE : EXIT_CODES.OK;
  } catch (error) {
    printError('doctor', error, json ? standardOutput : undefined);
    return EXIT_CODES.FAILURE;
  }
}

/** `instar doctor`: returns the exit code. */
export const doctorCommand = asCommand(doctor, () => ({
  name: 'doctor',
  about: 'Says which sandbox works on this machine, and if one does not, why and what would help.',
  usage: '[--json]',
  operands: [],
  options: [
    { short: undefined, long: '--json', value: undefined, choices: [], about: 'as JSON' },
    { short: '-h', long: '--help', value: undefined, choices: [], about: 'how the command is called' },
  ],
  subcommands: [],
  notes: 'Exit codes: 0 a sandbox works, 1 none does.',
}));
