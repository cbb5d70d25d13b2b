import {
  EngineError,
  escapeText,
  IMAGE_DIRECTORY_ONLY,
  info,
  inspect,
  READABLE_FORMATS,
  type ImageDescription,
  type InfoOptions,
  type OperationControl,
  type SafetyVerdict,
} from '@instar/engine';
import { OperandError, parseDuration, parseSize, type DdLimits } from '@instar/operands';
import type * as CommanderModule from 'commander';
import type { Command, CommanderError } from 'commander';
import { EXIT_CODES } from '../exit-codes.js';
import type { Habits } from '../process/habits.js';
import { isLostReader } from '../process/lost-reader.js';
import { printError } from '../render/errors.js';
import { infoRecord } from '../render/info-json.js';
import { infoText } from '../render/info-text.js';
import { toJson } from '../render/json.js';
import { parseImageOptions } from './image-opts.js';
import { limitsOf } from './limits.js';
import { takeSecrets } from './secrets.js';
import { listenForDumps, type DumpFlags, type DumpListener } from './guest-dumps.js';

interface InfoFlags extends DumpFlags {
  readonly format?: string;
  readonly output: 'human' | 'json';
  readonly json?: boolean;
  readonly backingChain?: boolean;
  readonly forceShare?: boolean;
  readonly requireSafe?: boolean;
  readonly strict?: boolean;
  readonly allowPath: readonly string[];
  readonly sandbox: 'kvm' | 'process' | 'auto';
  readonly limitVirtualSize?: bigint;
  readonly limitTime?: number;
  readonly limitCpu?: number;
  readonly limitIdle?: number;
  readonly imageOpts?: boolean;
}

function limitFlags({ limitVirtualSize, limitTime, limitCpu, limitIdle }: InfoFlags): DdLimits {
  return {
    ...(limitVirtualSize === undefined ? {} : { virtualSize: limitVirtualSize }),
    ...(limitTime === undefined ? {} : { timeMs: limitTime }),
    ...(limitCpu === undefined ? {} : { cpuMs: limitCpu }),
    ...(limitIdle === undefined ? {} : { idleMs: limitIdle }),
  };
}

type Commander = typeof CommanderModule;

function parser(commander: Commander): Command {
  function oneOf<const T extends readonly string[]>(choices: T): (value: string) => T[number] {
    return (value) => {
      if (!choices.includes(value)) throw new commander.InvalidArgumentError(`expected ${choices.join(' or ')}`);
      return value;
    };
  }

  function read<T>(parse: (value: string) => T): (value: string) => T {
    return (value) => {
      try {
        return parse(value);
      } catch (error) {
        if (!(error instanceof OperandError)) throw error;
        throw new commander.InvalidArgumentError(error.message);
      }
    };
  }
  const time = read((value) => parseDuration(value));

  return new commander.Command('instar info')
    .description('Says what an image is, without trusting it: the image is parsed inside a sandbox only.')
    .argument('<file>', 'the image')
    .option('-f, --format <fmt>', `format of the image: ${READABLE_FORMATS.join(', ')}; it is then not probed`)
    .option('--output <kind>', 'human or json', oneOf(['human', 'json'] as const), 'human')
    .option('--json', 'the same as --output=json')
    .option('--backing-chain', 'describe the backing images as well')
    .option('-U, --force-share', 'read an image that another process has locked')
    .option('--strict', 'refuse an image that is not whole, in place of a warning')
    .option('--require-safe', `exit with ${EXIT_CODES.NOT_SAFE} unless every safety check passes`)
    .option(
      '--allow-path <dir>',
      'with --backing-chain: let images use files in this directory as well; may be repeated',
      (value: string, earlier: readonly string[]) => [...earlier, value],
      [],
    )
    .option('--sandbox <kind>', 'kvm, process or auto', oneOf(['kvm', 'process', 'auto'] as const), 'auto')
    .option('--limit-virtual-size <size>', 'refuse an image that claims to be larger', read(parseSize))
    .option('--limit-time <time>', 'longest time for each image, such as 30s or 500ms', time)
    .option('--limit-cpu <time>', 'most CPU time for each image', time)
    .option('--limit-idle <time>', 'longest time without progress (default 30s)', time)
    .option(
      '--dump-on-crash <file>',
      'leave a memory dump of the sandbox when its program crashes or is stopped by a limit',
    )
    .option('--dump-on-signal <file>', 'leave one whenever this process gets SIGUSR2')
    .option('--image-opts', 'the operand is driver=FORMAT,file.filename=FILE,key-secret=NAME instead of a name')
    .option('--passphrase-file <file>', 'accepted, though no passphrase is needed to describe an image')
    .option('--object <def>', 'the same')
    .configureHelp({ visibleOptions: (command) => command.options.filter((option) => option.description !== '') })
    .addHelpText(
      'after',
      '\nDumps are off by default: they hold data of the image (mode 0600, passphrases zeroed; *.zst is compressed).' +
        '\nExit codes: 0 done, 1 refused or failed, 3 not safe (with --require-safe), 130 interrupted.',
    )
    .showSuggestionAfterError(false)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
}

/** What is wrong with the command line. */
function usage(error: CommanderError): string {
  return escapeText(error.message.replace(/^error: /, ''));
}

function describedImage(operand: string, flags: InfoFlags): { readonly flags: InfoFlags; readonly file: string } {
  if (flags.imageOpts !== true) return { flags, file: operand };
  if (flags.format !== undefined) {
    throw new EngineError('INVALID_OPTION', '--image-opts and --format are mutually exclusive');
  }
  const { file, format } = parseImageOptions(operand);
  return { flags: format === undefined ? flags : { ...flags, format }, file };
}

function print(images: readonly ImageDescription[], flags: InfoFlags, json: boolean): void {
  if (json) {
    const records = images.map(infoRecord);
    process.stdout.write(`${toJson(flags.backingChain === true ? records : records[0])}\n`);
  } else {
    process.stdout.write(images.map(infoText).join('\n'));
  }
}

function printUnsafe(file: string, verdict: SafetyVerdict, json: boolean): void {
  if (json) {
    process.stdout.write(`${toJson({ instar: { safety: verdict } })}\n`);
    return;
  }
  const failed = verdict.checks.filter((check) => !check.passed);
  const reasons = failed.map((check) => `${check.name}: ${check.evidence}`).join('; ');
  printError('info', new EngineError('IMAGE_NOT_SAFE', `not safe (${reasons})`, { file }), undefined);
}

async function describe(file: string, flags: InfoFlags, control: OperationControl, json: boolean): Promise<number> {
  const options: InfoOptions = {
    format: flags.format,
    forceShare: flags.forceShare,
    strict: flags.strict,
    backingChain:
      flags.backingChain === true ? { ...IMAGE_DIRECTORY_ONLY, allowedDirectories: flags.allowPath } : undefined,
  };
  if (flags.requireSafe === true) {
    const { verdict, description } = await inspect(file, options, control);
    if (!verdict.safe || description === undefined) {
      printUnsafe(file, verdict, json);
      return EXIT_CODES.NOT_SAFE;
    }
    // A safe image refers to no other file, so it is all of its chain.
    print([description], flags, json);
    return EXIT_CODES.OK;
  }
  print(await info(file, options, control), flags, json);
  return EXIT_CODES.OK;
}

/** `instar info`: returns the exit code. */
export async function infoCommand(tokens: readonly string[], habits: Habits): Promise<number> {
  const { interrupt } = habits;
  let dumps: DumpListener | undefined;
  // Loaded here, so that the other commands do not wait for it.
  const commander = await import('commander');
  let json = tokens.includes('--json') || tokens.includes('--output=json');
  try {
    const { rest, secrets } = takeSecrets(tokens);
    const command = parser(commander).parse([...rest], { from: 'user' });
    const { flags, file } = describedImage(command.args[0] ?? '', command.opts<InfoFlags>());
    json = flags.json === true || flags.output === 'json';
    dumps = listenForDumps('info', flags, habits);
    const control: OperationControl = {
      ...dumps.control,
      signal: interrupt.signal,
      sandbox: flags.sandbox,
      limits: limitsOf(limitFlags(flags), secrets.keyMemory),
      onWarning: (warning) => {
        if (!json) process.stderr.write(`instar: info: warning: ${warning}\n`);
      },
    };
    return await describe(file, flags, control, json);
  } catch (error) {
    if (error instanceof commander.CommanderError && error.exitCode === 0) return EXIT_CODES.OK;
    const interrupted = interrupt.exitCode();
    if (interrupted !== undefined) return interrupted;
    if (isLostReader(error)) return EXIT_CODES.LOST_READER;
    const shown =
      error instanceof commander.CommanderError
        ? new EngineError('INVALID_OPTION', `${usage(error)}; see instar info --help`)
        : error;
    printError('info', shown, json ? process.stdout : undefined);
    return EXIT_CODES.FAILURE;
  } finally {
    await dumps?.dispose();
  }
}
