import { EngineError, escapeText } from '@instar/engine';
import type * as CommanderModule from 'commander';
import type { Command } from 'commander';
import { EXIT_CODES } from '../exit-codes.js';
import type { Habits } from '../process/habits.js';
import { isLostReader } from '../process/lost-reader.js';
import { printError } from '../render/errors.js';

/** What a subcommand does; returns the exit code. */
export type Perform<F> = (name: string, words: readonly string[], flags: F, habits: Habits) => Promise<number>;

/** Makes the parser of a command with subcommands; each of them calls `run`. */
export type MakeParser<F> = (
  commander: typeof CommanderModule,
  run: (name: string, words: readonly string[], flags: F) => Promise<void>,
) => Command;

/** Runs a command that has subcommands: help, errors in one line or as JSON, Ctrl-C. Returns the exit code. */
export async function runProgram<F>(
  command: string,
  tokens: readonly string[],
  makeParser: MakeParser<F>,
  perform: Perform<F>,
  habits: Habits,
): Promise<number> {
  const commander = await import('commander');
  let exitCode: number = EXIT_CODES.OK;
  try {
    const program = makeParser(commander, async (name, words, flags) => {
      exitCode = await perform(name, words, flags, habits);
    });
    if (tokens.length === 0) {
      process.stderr.write(program.helpInformation());
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
            `${escapeText(error.message.replace(/^error: /, ''))}; see instar ${command} --help`,
          )
        : error;
    printError(command, shown, tokens.includes('--json') ? process.stdout : undefined);
    return EXIT_CODES.FAILURE;
  }
}
