import { EngineError, escapeText } from '@instar/engine';
import type * as CommanderModule from 'commander';
import type { Command } from 'commander';
import { adviceOnCommand, adviceOnOption } from '../words/advice.js';
import { EXIT_CODES } from '../exit-codes.js';
import type { Habits } from '../process/habits.js';
import { isLostReader } from '../process/lost-reader.js';
import { printError } from '../render/errors.js';
import { standardError, standardOutput } from '../process/standard-streams.js';

/** What a subcommand does; returns the exit code. */
export type Perform<F> = (name: string, words: readonly string[], flags: F, habits: Habits) => Promise<number>;

/** Makes the parser of a command with subcommands; each of them calls `run`. */
export type MakeParser<F> = (
  commander: typeof CommanderModule,
  run: (name: string, words: readonly string[], flags: F) => Promise<void>,
) => Command;

/** What is wrong with the command line, and what was probably meant. */
function usage(message: string, subcommands: readonly Command[], tokens: readonly string[]): string {
  const text = message.replace(/^error: /, '');
  const [, kind, word = ''] = /^unknown (command|option) '(.*)'$/s.exec(text) ?? [];
  const names = subcommands.map((each) => each.name());
  const chosen = subcommands.find((each) => tokens.includes(each.name()));
  const options = (chosen?.options ?? []).flatMap(({ long }) => (typeof long === 'string' ? [long] : []));
  const advice =
    kind === 'command'
      ? adviceOnCommand(word, names)
      : kind === 'option'
        ? adviceOnOption('', word, [...options, '--help'])
        : '';
  return `${escapeText(text)}${advice}`;
}

/** Runs a command that has subcommands: help, errors in one line or as JSON, Ctrl-C. Returns the exit code. */
export async function runProgram<F>(
  command: string,
  tokens: readonly string[],
  makeParser: MakeParser<F>,
  perform: Perform<F>,
  habits: Habits,
): Promise<number> {
  const commander = await import('commander');
  let program: Command | undefined;
  let exitCode: number = EXIT_CODES.OK;
  try {
    program = makeParser(commander, async (name, words, flags) => {
      exitCode = await perform(name, words, flags, habits);
    });
    if (tokens.length === 0) {
      standardError.write(program.helpInformation());
      return EXIT_CODES.FAILURE;
    }
    await program.parseAsync([...tokens], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof commander.CommanderError && error.exitCode === 0) return EXIT_CODES.OK;
    const interrupted = habits.interrupt.exitCode();
    if (interrupted !== undefined) return interrupted;
    if (isLostReader(error)) return EXIT_CODES.LOST_READER;
    const shown =
      error instanceof commander.CommanderError
        ? new EngineError(
            'INVALID_OPTION',
            `${usage(error.message, program?.commands ?? [], tokens)}; see instar ${command} --help`,
          )
        : error;
    printError(command, shown, tokens.includes('--json') ? standardOutput : undefined);
    return EXIT_CODES.FAILURE;
  }
}
