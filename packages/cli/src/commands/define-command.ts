import {
  CONVERT_FORMATS,
  EngineError,
  IMAGE_DIRECTORY_ONLY,
  READABLE_FORMATS,
  WRITABLE_FORMATS,
  type OperationControl,
  type PathPolicy,
} from '@instar/engine';
import type { Command } from 'commander';
import { EXIT_CODES } from '../exit-codes.js';
import type { Habits } from '../process/habits.js';
import { printError } from '../render/errors.js';
import { progressBar, progressLines, progressRecords, type ProgressDisplay } from '../render/progress.js';
import { answerProgressRequests } from '../render/progress-request.js';
import { readers, several, usage, type Commander, type ValueReaders } from './command-line.js';
import { Frame } from './frame.js';
import type { DumpFlags } from './guest-dumps.js';
import { allowedByEnvironment } from './allowed-paths.js';
import { asCommand, descriptionOf, type Command as OurCommand } from './description.js';
import { describeImage, parseImageOptions, withoutProtocol } from './image-opts.js';
import { limitsOf } from './limits.js';
import { remoteAccess, REMOTE_OPTIONS, type RemoteFlags } from './remote-access.js';
import { requireOpen } from './require-open.js';
import { sandboxOfEnvironment } from './sandbox-of-environment.js';
import { outputPassphrase, passphrasesOf, takeSecrets, type Secrets } from './secrets.js';
import type { Program, Voice } from '../voice.js';
import { standardError, standardOutput } from '../process/standard-streams.js';

/** Flags that every command on images has. */
export interface ImageFlags extends DumpFlags, RemoteFlags {
  readonly output: 'human' | 'json';
  readonly json?: boolean;
  readonly forceShare?: boolean;
  readonly strict?: boolean;
  readonly allowPath: readonly string[];
  readonly sandbox: 'kvm' | 'process' | 'auto';
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly progress?: boolean;
  readonly limitVirtualSize?: bigint;
  readonly limitTime?: number;
  readonly limitCpu?: number;
  readonly limitIdle?: number;
  readonly imageOpts?: boolean;
  readonly targetImageOpts?: boolean;
  readonly format?: string;
  readonly secondFormat?: string;
}

/** What a running command has. */
export interface CommandRun<F> {
  readonly files: readonly string[];
  readonly flags: F & ImageFlags;
  readonly json: boolean;
  readonly control: OperationControl;
  /** Aborted when the command is interrupted. */
  readonly signal: AbortSignal;
  readonly pathPolicy: PathPolicy;
  /** Whether what qemu-img does not print is printed. */
  readonly additions: boolean;
  /** The passphrase of an output, by the id of its secret. */
  readonly passphrase: (id: string | undefined) => Uint8Array;
  /** Tells an error on standard error, in JSON mode as well, and goes on. */
  readonly complain: (error: EngineError) => void;
  /** Refuses a standard stream that is closed. */
  readonly requireOpen: (fd: 0 | 1) => void;
  /** Prints a line for people, unless --quiet. */
  readonly say: (line: string) => void;
  /** Everything is done, and only the result is told after this: for commands that must not tell it under a bar. */
  readonly done: () => void;
  /** What was warned of so far. */
  readonly warnings: readonly string[];
}

/** One command on images: what it is called, what it takes, and what it does. */
export interface ImageCommand<F> {
  readonly name: string;
  readonly about: string;
  /** Names of its operands, as commander writes them. */
  readonly operands: readonly (readonly [name: string, about: string])[];
  /** Adds its own options. */
  options(command: Command, values: ValueReaders): Command;
  /** What else its help says. */
  readonly notes: string;
  /** Exit code of a failure, 1 where nothing is said. */
  failure?(error: unknown): number;
  /** Exit code where an option is given what it does not take, 1 where nothing is said. */
  readonly badArgument?: number;
  /** Whether `-p` shows progress. */
  readonly showsProgress?: boolean;
  /** Its JSON has the warnings, which are then not told on standard error. */
  readonly recordsWarnings?: boolean;
  /** Its images may be on other machines. */
  readonly readsRemote?: boolean;
  /** The first operand is an image, and the others are none. */
  readonly namesOneImage?: boolean;
  /** The last operand is an output, which no option describes. */
  readonly endsWithOutput?: boolean;
  /** Returns the exit code. */
  run(run: CommandRun<F>): Promise<number>;
}

function parser<F>(commander: Commander, definition: ImageCommand<F>, program: Program): Command {
  const values = readers(commander);
  const command = new commander.Command(`${program} ${definition.name}`).description(definition.about);
  for (const [name, about] of definition.operands) command.argument(name, about);
  definition.options(command, values);
  if (!command.options.some(({ long }) => long === '--quiet')) command.option('-q, --quiet', 'no warnings');
  command
    .option('-v, --verbose', 'tell on standard error what is read, in which sandbox, and how long it takes')
    .option('--output <kind>', 'human or json', values.oneOf(['human', 'json'] as const), 'human')
    .option('--json', 'the same as --output=json')
    .option('-U, --force-share', 'read images that another process has locked')
    .option('--allow-path <dir>', 'let images use files in this directory as well; may be repeated', several, [])
    .option('--sandbox <kind>', 'kvm, process or auto', values.oneOf(['kvm', 'process', 'auto'] as const), 'auto')
    .option('--limit-virtual-size <size>', 'refuse an image that claims to be larger', values.size)
    .option('--limit-time <time>', 'longest time, such as 30s or 500ms', values.time)
    .option('--limit-cpu <time>', 'most CPU time', values.time)
    .option('--limit-idle <time>', 'longest time without progress (default 30s)', values.time)
    .option('--image-opts', 'operands are driver=FORMAT,file.filename=FILE,key-secret=NAME instead of names')
    .option('--passphrase-file <file>', 'passphrase of encrypted images: all bytes of a file; may be repeated')
    .option('--object <def>', 'secret,id=NAME,file=FILE or data=TEXT[,format=base64]: a passphrase, as for qemu-img')
    .option('--limit-key-memory <size>', 'most memory that making a key may take (default 1G)')
    .option('--dump-on-crash <file>', 'leave a memory dump of the sandbox when its program crashes')
    .option('--dump-on-signal <file>', 'leave one whenever this process gets SIGUSR2');
  if (definition.readsRemote === true) {
    const [[host, value, aboutHost], [insecure, , aboutInsecure]] = REMOTE_OPTIONS;
    command.option(`${host} <${value}>`, aboutHost, several, []).option(insecure, aboutInsecure);
  }
  return command
    .configureHelp({ visibleOptions: (shown) => shown.options.filter((option) => option.description !== '') })
    .addHelpText('after', `\n${definition.notes}`)
    .showSuggestionAfterError(false)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
}

/** Words of the command line as its parser knows them. */
function wordsOf(tokens: readonly string[], command: Command, voice: Voice | undefined): readonly string[] {
  const names = command.options.flatMap(({ long }) => (typeof long === 'string' ? [long] : []));
  return voice?.words(tokens, [...names, '--help']) ?? tokens;
}

/** Names of the options that a parser knows and shows. */
function namesOfOptions(parser: Command): readonly string[] {
  const shown = parser.options.filter(({ description }) => description !== '');
  return [...shown.flatMap(({ long }) => (typeof long === 'string' ? [long] : [])), '--help'];
}

/** The files of a command, with their formats and secrets where `--image-opts` describes them. */
function describedImages<F extends ImageFlags>(
  words: readonly string[],
  flags: F,
  { endsWithOutput = false, namesOneImage = false }: Pick<ImageCommand<F>, 'endsWithOutput' | 'namesOneImage'>,
  namesMayDescribe: boolean,
): { readonly files: readonly string[]; readonly flags: F; readonly wanted: readonly string[] | undefined } {
  const named = namesOneImage ? words.slice(0, 1) : words;
  const operands = namesMayDescribe && flags.imageOpts !== true ? named.map(withoutProtocol) : named;
  const others = words.slice(named.length);
  const asJson = namesMayDescribe && operands.some((operand) => operand.startsWith('json:'));
  if (flags.imageOpts !== true && !asJson) return { files: [...operands, ...others], flags, wanted: undefined };
  if (flags.imageOpts === true && (flags.format !== undefined || flags.secondFormat !== undefined)) {
    throw new EngineError('INVALID_OPTION', '--image-opts and --format are mutually exclusive');
  }
  const outputs = endsWithOutput ? operands.slice(-1) : [];
  const images = operands
    .slice(0, operands.length - outputs.length)
    .map((text) => describeImage(text, flags.imageOpts === true));
  const described = flags.targetImageOpts === true ? outputs.map(parseImageOptions) : [];
  const [format, secondFormat] = images.map((image) => image.format);
  return {
    files: [...images.map(({ file }) => file), ...outputs, ...others],
    flags: { ...flags, format: format ?? flags.format, secondFormat: secondFormat ?? flags.secondFormat },
    wanted: [...images, ...described].flatMap(({ secrets }) => secrets),
  };
}

/** What of an operation's control the flags say. */
function controlOf(flags: ImageFlags, secrets: Secrets, wanted: readonly string[] | undefined): OperationControl {
  const { limitVirtualSize: virtualSize, limitTime: timeMs, limitCpu: cpuMs, limitIdle: idleMs } = flags;
  return {
    ...passphrasesOf(secrets, wanted),
    sandbox: flags.sandbox,
    limits: limitsOf(
      {
        ...(virtualSize === undefined ? {} : { virtualSize }),
        ...(timeMs === undefined ? {} : { timeMs }),
        ...(cpuMs === undefined ? {} : { cpuMs }),
        ...(idleMs === undefined ? {} : { idleMs }),
      },
      secrets.keyMemory,
    ),
  };
}

async function display(
  flags: ImageFlags,
  shows: boolean,
  json: boolean,
  voice: Voice | undefined,
): Promise<ProgressDisplay | undefined> {
  if (!shows) return undefined;
  const wanted = flags.progress === true && flags.quiet !== true;
  if (voice !== undefined) return answerProgressRequests(wanted ? voice.progress() : undefined);
  if (!wanted) return answerProgressRequests();
  if (json) return answerProgressRequests(progressRecords());
  return answerProgressRequests(standardError.isTTY ? await progressBar() : progressLines());
}

/** A command from its definition: options, signals, progress, dumps, limits and errors are the same for all. */
export function defineCommand<F>(definition: ImageCommand<F>): OurCommand {
  const { name } = definition;
  const run = async (tokens: readonly string[], habits: Habits): Promise<number> => {
    const { voice } = habits;
    const frame = new Frame(name, habits);
    // Loaded here, so that the other commands do not wait for it.
    const commander = await import('commander');
    const asksForJson = tokens.includes('--json') || tokens.includes('--output=json');
    frame.errors = asksForJson ? standardOutput : undefined;
    let known: readonly string[] | undefined;
    try {
      const { rest, secrets } = takeSecrets([...sandboxOfEnvironment(), ...tokens]);
      const command = parser(commander, definition, voice === undefined ? 'instar' : 'qemu-img');
      if (voice === undefined) known = namesOfOptions(command);
      command.parse([...wordsOf(rest, command, voice)], { from: 'user' });
      const given = command.opts<F & ImageFlags>();
      const { files, flags, wanted } = describedImages(command.args, given, definition, voice !== undefined);
      const json = flags.json === true || flags.output === 'json';
      frame.errors = json ? standardOutput : undefined;
      frame.begin(flags, await display(flags, definition.showsProgress === true, json, voice), flags.verbose === true);
      const recorded = json && definition.recordsWarnings === true;
      const exitCode = await definition.run({
        files,
        flags,
        json,
        control: {
          ...frame.control(!recorded && flags.quiet !== true),
          ...controlOf(flags, secrets, wanted),
          // A command line of qemu-img was written for files, where names come from.
          ...(definition.readsRemote === true && voice === undefined ? { remote: remoteAccess(flags) } : {}),
        },
        warnings: frame.warnings,
        signal: habits.interrupt.signal,
        pathPolicy: { ...IMAGE_DIRECTORY_ONLY, allowedDirectories: [...flags.allowPath, ...allowedByEnvironment()] },
        additions: voice === undefined,
        passphrase: (id) => outputPassphrase(secrets, id),
        complain: (error) => {
          printError(name, error, undefined, voice);
        },
        requireOpen: (fd) => {
          requireOpen(habits, fd);
        },
        done: () => {
          frame.done(true);
        },
        say: (line) => {
          if (flags.quiet !== true) standardOutput.write(`${line}\n`);
        },
      });
      frame.done(exitCode === EXIT_CODES.OK);
      return exitCode;
    } catch (error) {
      if (!(error instanceof commander.CommanderError)) return frame.failed(error, definition.failure?.(error));
      if (error.exitCode === 0) return EXIT_CODES.OK;
      const text = `${usage(error, name, known)}; see instar ${name} --help`;
      const exitCode = error.code === 'commander.invalidArgument' ? definition.badArgument : undefined;
      return frame.failed(new EngineError('INVALID_OPTION', text), exitCode);
    } finally {
      await frame.end();
    }
  };
  return asCommand(run, async () =>
    descriptionOf(parser(await import('commander'), definition, 'instar'), definition.notes, {
      '--format': READABLE_FORMATS,
      '--second-format': READABLE_FORMATS,
      '--backing-format': READABLE_FORMATS,
      '--output-format': definition.name === 'convert' ? CONVERT_FORMATS : WRITABLE_FORMATS,
    }),
  );
}
