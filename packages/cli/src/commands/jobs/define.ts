import { EngineError } from '@instar/engine';
import type { JobQueue } from '@instar/jobs';
import type * as JobsModule from '@instar/jobs';
import type { Command } from 'commander';
import { EXIT_CODES } from '../../exit-codes.js';
import type { Habits } from '../../process/habits.js';
import { readers, usage, type Commander, type ValueReaders } from '../command-line.js';
import { asCommand, descriptionOf, type Command as OurCommand } from '../description.js';
import { Frame } from '../frame.js';
import { standardOutput } from '../../process/standard-streams.js';

/** Flags of every command that talks to a queue. */
export interface QueueFlags {
  readonly queue?: string;
  readonly name?: string;
  readonly json?: boolean;
}

/** A command that talks to a queue. */
export interface JobCommand<F> {
  readonly name: string;
  readonly about: string;
  readonly operands: readonly (readonly [name: string, about: string])[];
  options(command: Command, values: ValueReaders): Command;
  readonly notes: string;
  /** Returns the exit code. */
  run(words: readonly string[], flags: F & QueueFlags, jobs: JobsFace, habits: Habits): Promise<number>;
}

/** The package of jobs, and the queue that the command line names. */
export interface JobsFace {
  readonly module: typeof JobsModule;
  readonly queue: JobQueue;
}

function invalid(what: string): EngineError {
  return new EngineError('INVALID_OPTION', what);
}

async function loadJobs(): Promise<typeof JobsModule> {
  try {
    return await import('@instar/jobs');
  } catch (error) {
    const what = 'jobs need the package @instar/jobs: npm install @instar/jobs bullmq ioredis';
    throw Object.assign(invalid(what), { cause: error });
  }
}

/** The queue's URL. A password comes from the environment, which no list of processes shows. */
function urlOf({ queue }: QueueFlags): string {
  const url = queue ?? process.env['INSTAR_QUEUE'] ?? '';
  if (url === '') throw invalid('which queue: give --queue redis://HOST:6379, or set INSTAR_QUEUE');
  // Behind the name of a user, or as an option, which the clients of both servers read.
  if (queue !== undefined && /\/\/[^/]*:[^/]*@|[?&][^=]*password=/i.test(queue)) {
    throw invalid('--queue: holds a password, which everybody who lists processes would see; set INSTAR_QUEUE instead');
  }
  return url;
}

function parser<F>(commander: Commander, definition: JobCommand<F>): Command {
  const command = new commander.Command(`instar ${definition.name}`).description(definition.about);
  for (const [name, about] of definition.operands) command.argument(name, about);
  return definition
    .options(command, readers(commander))
    .option(
      '--queue <url>',
      'the queue: redis://HOST:PORT, postgres://HOST/DATABASE or bullmq+postgres://… (default: INSTAR_QUEUE)',
    )
    .option('--name <name>', 'which of several queues in one server (default instar)')
    .option('--json', 'records of JSON, one a line')
    .addHelpText('after', `\n${definition.notes}`)
    .showSuggestionAfterError(false)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
}

/** A command from its definition. */
export function defineJobCommand<F>(definition: JobCommand<F>): OurCommand {
  const { name } = definition;
  const run = async (tokens: readonly string[], habits: Habits): Promise<number> => {
    const commander = await import('commander');
    const frame = new Frame(name, habits);
    frame.errors = tokens.includes('--json') ? standardOutput : undefined;
    const command = parser(commander, definition);
    let queue: JobQueue | undefined;
    try {
      command.parse([...tokens], { from: 'user' });
      const flags = command.opts<F & QueueFlags>();
      const url = urlOf(flags);
      const module = await loadJobs();
      queue = await module.openQueue(url, flags.name);
      return await definition.run(command.args, flags, { module, queue }, habits);
    } catch (error) {
      if (!(error instanceof commander.CommanderError)) return frame.failed(error);
      if (error.exitCode === 0) return EXIT_CODES.OK;
      return frame.failed(invalid(`${usage(error, name, namesOf(command))}; see instar ${name} --help`));
    } finally {
      await queue?.close();
    }
  };
  return asCommand(run, async () => descriptionOf(parser(await import('commander'), definition), definition.notes));
}

/** Names of the options that a parser knows. */
function namesOf({ options }: Command): readonly string[] {
  return [...options.flatMap(({ long }) => (typeof long === 'string' ? [long] : [])), '--help'];
}
