import type { Command as Parser, Option } from 'commander';
import type { Habits } from '../process/habits.js';

/** An option as its help, its man page and shells know it. */
export interface OptionDescription {
  /** `-f` */
  readonly short: string | undefined;
  /** `--format` */
  readonly long: string | undefined;
  /** What stands for its value, such as `file`; undefined where it takes none. */
  readonly value: string | undefined;
  /** The values that there are; empty where any may be. */
  readonly choices: readonly string[];
  readonly about: string;
}

/** What a command takes besides options; a name that ends in `=` has its value behind it. */
export interface OperandDescription {
  readonly name: string;
  readonly about: string;
  readonly choices?: readonly string[];
}

/** A command: the one source of its completions and its man page. */
export interface CommandDescription {
  readonly name: string;
  readonly about: string;
  /** How it is called, behind its name. */
  readonly usage: string;
  readonly operands: readonly OperandDescription[];
  readonly options: readonly OptionDescription[];
  readonly subcommands: readonly CommandDescription[];
  /** What else its help says. */
  readonly notes: string;
}

/** A command: runs its tokens, and can be asked what it takes. */
export interface Command {
  (tokens: readonly string[], habits: Habits): Promise<number> | number;
  describe(): Promise<CommandDescription> | CommandDescription;
}

/** A command from what runs it and what describes it. */
export function asCommand(
  run: (tokens: readonly string[], habits: Habits) => Promise<number> | number,
  describe: Command['describe'],
): Command {
  return Object.assign(run, { describe });
}

/** A reader of values that knows which there are. */
export interface ReaderOfChoices<T extends string> {
  (value: string): T;
  readonly choices: readonly T[];
}

const HELP_OPTION: OptionDescription = {
  short: '-h',
  long: '--help',
  value: undefined,
  choices: [],
  about: 'how the command is called',
};

function choicesOf({ parseArg }: Option): readonly string[] {
  return parseArg !== undefined && 'choices' in parseArg && Array.isArray(parseArg.choices)
    ? (parseArg.choices as readonly string[])
    : [];
}

/**
 * What a parser takes.
 * @param values choices by what stands for the value, such as `fmt`
 */
export function descriptionOf(
  parser: Parser,
  notes: string,
  values: Readonly<Record<string, readonly string[]>> = {},
): CommandDescription {
  const help = parser.createHelp();
  return {
    name: parser.name().replace(/^instar /, ''),
    about: parser.description(),
    usage: parser.usage(),
    operands: parser.registeredArguments.map((operand) => ({ name: operand.name(), about: operand.description })),
    options: help
      .visibleOptions(parser)
      .filter(({ long }) => long !== '--help')
      .map((option) => {
        const value = /[<[]([^>\]]+)[>\]]/.exec(option.flags)?.[1];
        const choices = choicesOf(option);
        return {
          short: option.short,
          long: option.long,
          value,
          choices:
            choices.length > 0 || value === undefined || option.long === undefined
              ? choices
              : (values[option.long] ?? []),
          about: option.description,
        };
      })
      .concat(HELP_OPTION),
    subcommands: help
      .visibleCommands(parser)
      .filter((command) => command.name() !== 'help')
      .map((command) => descriptionOf(command, '', values)),
    notes,
  };
}
