import { dirname } from 'node:path';
import { EngineError, escapeText } from '@instar/engine';
import { bashCompletion } from '../completion/bash.js';
import { fishCompletion } from '../completion/fish.js';
import { zshCompletion } from '../completion/zsh.js';
import { EXIT_CODES } from '../exit-codes.js';
import { printError } from '../render/errors.js';
import { adviceOnCommand } from '../words/advice.js';
import { asCommand, type CommandDescription } from './description.js';
import { loadCommand } from './load.js';
import { COMMANDS } from './names.js';
import { standardOutput } from '../process/standard-streams.js';

const SHELLS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;
const NAMES = Object.keys(SHELLS);

const HELP = `Usage: instar completion bash|zsh|fish

Prints what a shell needs to complete command lines of instar.

  source <(instar completion bash)                       in ~/.bashrc
  instar completion zsh > "\${fpath[1]}/_instar"          once
  instar completion fish | source                        in ~/.config/fish/config.fish
`;

function isShell(name: string | undefined): name is keyof typeof SHELLS {
  return name !== undefined && Object.hasOwn(SHELLS, name);
}

/** What every command takes. */
export async function describeCommands(): Promise<readonly CommandDescription[]> {
  const modules = dirname(import.meta.dirname);
  return Promise.all(COMMANDS.map(async (name) => loadCommand(name, modules).describe()));
}

async function run([shell, ...more]: readonly string[]): Promise<number> {
  if (shell === '--help' || shell === '-h') {
    standardOutput.write(HELP);
    return EXIT_CODES.OK;
  }
  if (!isShell(shell) || more.length > 0) {
    const found = shell === undefined ? 'nothing' : `'${escapeText([shell, ...more].join(' '))}'`;
    const advice = shell === undefined ? '' : adviceOnCommand(shell, NAMES);
    const message = `found ${found}${advice}, expected one of ${NAMES.join(', ')}; see instar completion --help`;
    printError('completion', new EngineError('INVALID_OPTION', message), undefined);
    return EXIT_CODES.FAILURE;
  }
  standardOutput.write(SHELLS[shell](await describeCommands()));
  return EXIT_CODES.OK;
}

/** `instar completion` */
export const completionCommand = asCommand(run, () => ({
  name: 'completion',
  about: 'Prints what bash, zsh or fish needs to complete command lines.',
  usage: 'bash|zsh|fish',
  operands: [],
  options: [],
  subcommands: NAMES.map((name) => ({
    name,
    about: `For ${name}.`,
    usage: '',
    operands: [],
    options: [],
    subcommands: [],
    notes: '',
  })),
  notes: '',
}));
