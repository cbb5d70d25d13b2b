import {
  dd,
  EngineError,
  IMAGE_DIRECTORY_ONLY,
  NO_REFERENCES,
  type DdOptions,
  type DdResult,
  type PathPolicy,
} from '@instar/engine';
import { OperandError, parseDd, type DdOperands } from '@instar/operands';
import { EXIT_CODES } from '../exit-codes.js';
import type { Habits } from '../process/habits.js';
import { progressBar, progressRecords, transferLines, type ProgressDisplay } from '../render/progress.js';
import { answerProgressRequests } from '../render/progress-request.js';
import { humanSize } from '../render/size.js';
import { adviceOnOperand, adviceOnOption } from '../words/advice.js';
import { Frame } from './frame.js';
import { takeDumpFlags } from './guest-dumps.js';
import { allowedByEnvironment } from './allowed-paths.js';
import { parseImageOptions, withoutProtocol } from './image-opts.js';
import { limitsOf } from './limits.js';
import { remoteAccess, takeRemoteFlags } from './remote-access.js';
import { requireOpen } from './require-open.js';
import { passphrasesOf, takeSecrets } from './secrets.js';
import { DD_DESCRIPTION, ddHelp } from './dd-help.js';
import { asCommand } from './description.js';
import { sandboxOfEnvironment } from './sandbox-of-environment.js';
import { recordText } from '../render/record.js';
import { standardError, standardOutput } from '../process/standard-streams.js';

const STANDARD_INPUT = 0;
const STANDARD_OUTPUT = 1;

function pathPolicy(operands: DdOperands): PathPolicy {
  if (!operands.backing) return NO_REFERENCES;
  return { ...IMAGE_DIRECTORY_ONLY, allowedDirectories: [...operands.allowPaths, ...allowedByEnvironment()] };
}

function toOptions(operands: DdOperands, habits: Habits): DdOptions {
  if (operands.of === '-' && standardOutput.isTTY) {
    throw new EngineError('INVALID_OPTION', 'of=- would write raw bytes to a terminal: redirect standard output');
  }
  if (operands.if === '-') requireOpen(habits, STANDARD_INPUT);
  if (operands.of === '-') requireOpen(habits, STANDARD_OUTPUT);
  return {
    input: operands.if === '-' ? { stream: STANDARD_INPUT } : { path: operands.if },
    output: operands.of === '-' ? { stream: STANDARD_OUTPUT } : { path: operands.of },
    pathPolicy: pathPolicy(operands),
    inputFormat: operands.inputFormat,
    outputFormat: operands.outputFormat,
    blockSize: operands.bs,
    count: operands.count,
    skip: operands.skip,
    seek: operands.seek,
    inputSize: operands.isize,
    outputSize: operands.osize,
    sparse: operands.conv.sparse,
    noClobber: operands.noClobber,
    strict: operands.strict,
    forceShare: operands.forceShare,
    // With qemu-img -U says how the input is opened, and nothing of the output.
    ...(habits.voice === undefined ? {} : { replaceInUse: false }),
    force: operands.force,
  };
}

/** The input where `--image-opts` says that it is described in place of named. */
function describedInput(operands: DdOperands): {
  readonly operands: DdOperands;
  readonly wanted: readonly string[];
} {
  if (operands.inputFormat !== undefined) {
    throw new EngineError('INVALID_OPTION', '--image-opts and --format are mutually exclusive');
  }
  const { file, format, secrets } = parseImageOptions(operands.if);
  return {
    operands: { ...operands, if: file, ...(format === undefined ? {} : { inputFormat: format }) },
    wanted: secrets,
  };
}

/** The files by themselves where their names are those of qemu-img, in front of which a protocol may stand. */
function withoutProtocols(operands: DdOperands, described: boolean): DdOperands {
  const input = described ? operands.if : withoutProtocol(operands.if);
  return { ...operands, if: input, of: withoutProtocol(operands.of) };
}

async function display(operands: DdOperands): Promise<ProgressDisplay | undefined> {
  const wanted = operands.progress || operands.status === 'progress';
  // Where the output is standard output, the record of the result comes on standard error, too: all are told apart by names.
  if (wanted && operands.json) return progressRecords();
  if (operands.progress && standardError.isTTY) return progressBar();
  return operands.status === 'progress' ? transferLines() : undefined;
}

function transferLine(result: DdResult): string {
  const seconds = Math.max(result.elapsedMs / 1000, 0.001);
  const rate = humanSize(BigInt(Math.round(Number(result.bytes) / seconds)));
  return `${result.bytes} bytes (${humanSize(result.bytes)}) copied, ${seconds.toFixed(3)} s, ${rate}/s\n`;
}

const OPERAND_NAMES = DD_DESCRIPTION.operands.map(({ name }) => name.slice(0, -1));
const OPTION_NAMES = DD_DESCRIPTION.options.flatMap(({ long }) => (long === undefined ? [] : [long]));

/** An error with what was probably meant. */
function withAdvice(error: unknown): unknown {
  if (!(error instanceof OperandError) || error.token === undefined) return error;
  const { code, message, token, position } = error;
  let advice = '';
  if (code === 'UNKNOWN_OPERAND' || code === 'NOT_AN_OPERAND') advice = adviceOnOperand(token, OPERAND_NAMES);
  else if (code === 'UNKNOWN_OPTION') {
    const [option = ''] = token.split('=');
    advice = adviceOnOption('dd', option, OPTION_NAMES);
  }
  if (advice === '') return error;
  return new OperandError(code, `${message}${advice}`, position === undefined ? undefined : { token, position });
}

async function runDd(tokens: readonly string[], habits: Habits): Promise<number> {
  const { voice } = habits;
  const frame = new Frame('dd', habits);
  // Where the error of a command line that cannot be parsed goes is not known yet; the flag itself is plain to see.
  frame.errors = tokens.includes('--json') ? standardOutput : undefined;
  try {
    const { rest, secrets } = takeSecrets([...sandboxOfEnvironment(), ...tokens]);
    const described = rest.includes('--image-opts');
    const taken = takeDumpFlags(rest.filter((token) => token !== '--image-opts'));
    const { rest: tokensOfDd, remote } = takeRemoteFlags(taken.rest);
    const parsed = parseDd(tokensOfDd);
    if (parsed.kind === 'help') {
      standardOutput.write(ddHelp());
      return EXIT_CODES.OK;
    }
    const operands = voice === undefined ? parsed : withoutProtocols(parsed, described);
    frame.errors = operands.json ? (operands.of === '-' ? standardError : standardOutput) : undefined;
    const image = described ? describedInput(operands) : undefined;
    const options = toOptions(image === undefined ? operands : image.operands, habits);
    frame.begin(taken.dumps, answerProgressRequests(await display(operands)), operands.verbose);
    const result = await dd(options, {
      ...frame.control(!operands.json && !operands.quiet),
      ...passphrasesOf(secrets, image?.wanted),
      sandbox: operands.sandbox,
      ...(voice === undefined ? { remote: remoteAccess(remote) } : {}),
      limits: limitsOf(operands.limits, secrets.keyMemory),
    });
    frame.done(true);
    if (frame.errors !== undefined) frame.errors.write(recordText({ result: { ...result, warnings: frame.warnings } }));
    else if (operands.status === 'progress') standardError.write(transferLine(result));
    return EXIT_CODES.OK;
  } catch (error) {
    return frame.failed(voice === undefined ? withAdvice(error) : error);
  } finally {
    await frame.end();
  }
}

/** `instar dd`: returns the exit code. */
export const ddCommand = asCommand(runDd, () => DD_DESCRIPTION);
