import { CONVERSIONS, INPUT_FLAGS, REFUSED_WORDS } from './coreutils-words.js';
import { parseDuration } from './duration.js';
import { OperandError, type OperandErrorCode, type TokenReference } from './errors.js';
import { scanTokens, type OptionSpec } from './getopt.js';
import { quote } from './quote.js';
import { readSize } from './size.js';
import { DD_DEFAULT_BLOCK_SIZE, DD_MAX_BLOCK_SIZE } from './window.js';

/** The formats that `-O` knows. That a name is known does not mean that the engine can write it. */
export const OUTPUT_FORMATS = [
  'raw',
  'qcow2',
  'vmdk',
  'vpc',
  'vhdx',
  'vdi',
  'parallels',
  'qed',
  'qcow',
  'simg',
] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** Where the image may be parsed: in a VM, in a confined process, or in the VM if there can be one. */
export const SANDBOX_MODES = ['kvm', 'process', 'auto'] as const;
export type SandboxMode = (typeof SANDBOX_MODES)[number];

/** What `status=` selects, as in coreutils: nothing, no transfer statistics, or progress as it goes. */
export const STATUS_MODES = ['none', 'noxfer', 'progress'] as const;
export type StatusMode = (typeof STATUS_MODES)[number];

/** `-h` or `--help` was given; nothing to its right was looked at. */
export interface DdHelp {
  readonly kind: 'help';
}

/** A complete dd command line. Fields without a value were not given. */
export interface DdOperands {
  readonly kind: 'dd';
  /** Input file name; `-` means standard input. */
  readonly if: string;
  /** Output file name; `-` means standard output. */
  readonly of: string;
  /** Block size in bytes, 1 to 2^31 - 1; 512 when not given. */
  readonly bs: bigint;
  /** Blocks to read, counted from the start of the input. */
  readonly count?: bigint;
  /** Blocks at the start of the input to leave out; 0 when not given. */
  readonly skip: bigint;
  /** Blocks at the start of the output to leave as they are. Its presence, even as 0, means writing in place. */
  readonly seek?: bigint;
  /** Virtual size of the input in bytes, in place of its own. */
  readonly isize?: bigint;
  /** Exact length of the output in bytes. */
  readonly osize?: bigint;
  readonly conv: {
    /** Leave regions of zeros unwritten. */
    readonly sparse: boolean;
  };
  readonly status?: StatusMode;
  /** `-f`: the input's format, not to be probed. Any name: who opens the file knows which exist. */
  readonly inputFormat?: string;
  /** `-O`; raw when not given, whatever the input is. */
  readonly outputFormat: OutputFormat;
  /** `-U`: open the input although another process has locked it. */
  readonly forceShare: boolean;
  /** `--force`: write to a block device that is mounted or otherwise in use. */
  readonly force: boolean;
  /** `-p`: show a progress bar. */
  readonly progress: boolean;
  /** `-q`: no warnings. */
  readonly quiet: boolean;
  /** `-v`: tell on standard error what is done, and how long it takes. */
  readonly verbose: boolean;
  /** `--json`: print the result as a JSON record. */
  readonly json: boolean;
  /** `--no-clobber`: refuse an output that exists. */
  readonly noClobber: boolean;
  /** `--strict`: refuse an input that is not whole. */
  readonly strict: boolean;
  readonly sandbox: SandboxMode;
  /** `--allow-path`, in the order given: directories from which an image may draw other files. */
  readonly allowPaths: readonly string[];
  /** False with `--no-backing`: the image may name no other file at all. */
  readonly backing: boolean;
  /** `--limit-…`: what an operation may come to. */
  readonly limits: DdLimits;
}

/** Limits of an operation; those that are absent were not given. */
export interface DdLimits {
  /** Largest virtual size of an image, in bytes. */
  readonly virtualSize?: bigint;
  /** Longest output, in bytes. */
  readonly outputSize?: bigint;
  /** Longest time, in milliseconds. */
  readonly timeMs?: number;
  /** Most CPU time of the sandbox, in milliseconds. */
  readonly cpuMs?: number;
  /** Longest time without progress, in milliseconds. */
  readonly idleMs?: number;
}

const OPTIONS = [
  { name: 'inputFormat', long: 'format', short: 'f', argument: 'the format of the input' },
  { name: 'outputFormat', long: 'output-format', short: 'O', argument: 'the format of the output' },
  { name: 'forceShare', long: 'force-share', short: 'U' },
  { name: 'force', long: 'force' },
  { name: 'progress', long: 'progress', short: 'p' },
  { name: 'quiet', long: 'quiet', short: 'q' },
  { name: 'verbose', long: 'verbose', short: 'v' },
  { name: 'json', long: 'json' },
  { name: 'noClobber', long: 'no-clobber' },
  { name: 'strict', long: 'strict' },
  { name: 'sandbox', long: 'sandbox', argument: 'kvm, process or auto' },
  { name: 'allowPath', long: 'allow-path', argument: 'a directory' },
  { name: 'noBacking', long: 'no-backing' },
  { name: 'limitVirtualSize', long: 'limit-virtual-size', argument: 'a size' },
  { name: 'limitOutputSize', long: 'limit-output-size', argument: 'a size' },
  { name: 'limitTime', long: 'limit-time', argument: 'a time' },
  { name: 'limitCpu', long: 'limit-cpu', argument: 'a time' },
  { name: 'limitIdle', long: 'limit-idle', argument: 'a time' },
  { name: 'imageOpts', long: 'image-opts' },
  { name: 'object', long: 'object', argument: 'an object definition' },
  { name: 'help', long: 'help', short: 'h' },
] as const satisfies readonly OptionSpec<string>[];

type OptionName = (typeof OPTIONS)[number]['name'];

const OPERAND_NAMES = [
  'if',
  'of',
  'bs',
  'count',
  'skip',
  'seek',
  'isize',
  'osize',
  'conv',
  'iflag',
  'oflag',
  'status',
] as const;
type OperandName = (typeof OPERAND_NAMES)[number];

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Text that is judged only when all tokens are read: qemu-img minds no mistake that a later token replaces. */
interface Given {
  readonly text: string;
  readonly at: TokenReference;
}

/** What has been read so far: any field may still be overwritten by a later token. */
type Draft = Mutable<Omit<DdOperands, 'kind' | 'if' | 'of' | 'inputFormat' | 'outputFormat'>> & {
  if?: Given;
  of?: Given;
  inputFormat?: Given;
  outputFormat?: Given;
  /** Where `conv=notrunc` was given. */
  keepsRest?: TokenReference | undefined;
};

/**
 * Reads the tokens behind `dd`: operands as `name=value`, mixed with options in qemu-img's spelling. The last of a
 * repeated operand or option wins (`--allow-path` adds up). Nothing is opened or looked up.
 *
 * Whether the parts fit together (say `seek=` with an output format that is not raw) is for the engine to say, which has to
 * check calls that no tokens were behind, too.
 *
 * @param tokens command-line arguments, for example `['if=a.qcow2', 'of=b.raw', 'bs=1M', '-f', 'qcow2']`
 * @throws {@link OperandError} on the first mistake; options are looked at before operands
 */
export function parseDd(tokens: readonly string[]): DdOperands | DdHelp {
  const draft: Draft = {
    bs: DD_DEFAULT_BLOCK_SIZE,
    skip: 0n,
    conv: { sparse: false },
    forceShare: false,
    force: false,
    progress: false,
    quiet: false,
    verbose: false,
    json: false,
    noClobber: false,
    strict: false,
    sandbox: 'auto',
    allowPaths: [],
    backing: true,
    limits: {},
  };

  const operands: TokenReference[] = [];
  for (const scanned of scanTokens<OptionName>(tokens, OPTIONS)) {
    if (scanned.kind === 'operand') operands.push(scanned.at);
    else if (scanned.name === 'help') return { kind: 'help' };
    else applyOption(draft, scanned.name, scanned.value, scanned.at);
  }
  for (const operand of operands) applyOperand(draft, operand);
  checkKeepsRest(draft);

  const { if: input, of: output, inputFormat, outputFormat, keepsRest: _, ...rest } = draft;
  if (input === undefined || output === undefined) throw missingOperand(input, output);
  return {
    kind: 'dd',
    if: fileName('if', input),
    of: fileName('of', output),
    ...(inputFormat === undefined ? {} : { inputFormat: notEmpty(inputFormat, 'input format', '-f') }),
    outputFormat:
      outputFormat === undefined
        ? 'raw'
        : oneOf(OUTPUT_FORMATS, outputFormat.text, 'UNKNOWN_OUTPUT_FORMAT', 'output format', outputFormat.at),
    ...rest,
  };
}

function applyOption(draft: Draft, name: Exclude<OptionName, 'help'>, value: string, at: TokenReference): void {
  switch (name) {
    case 'inputFormat':
      draft.inputFormat = { text: value, at };
      return;
    case 'outputFormat':
      draft.outputFormat = { text: value, at };
      return;
    case 'forceShare':
      draft.forceShare = true;
      return;
    case 'force':
      draft.force = true;
      return;
    case 'progress':
      draft.progress = true;
      return;
    case 'quiet':
      draft.quiet = true;
      return;
    case 'verbose':
      draft.verbose = true;
      return;
    case 'json':
      draft.json = true;
      return;
    case 'strict':
      draft.strict = true;
      return;
    case 'noClobber':
      draft.noClobber = true;
      return;
    case 'sandbox':
      draft.sandbox = oneOf(SANDBOX_MODES, value, 'UNKNOWN_SANDBOX', 'sandbox', at);
      return;
    case 'allowPath':
      draft.allowPaths = [...draft.allowPaths, notEmpty({ text: value, at }, 'directory', '--allow-path')];
      return;
    case 'noBacking':
      draft.backing = false;
      return;
    case 'limitVirtualSize':
      draft.limits = { ...draft.limits, virtualSize: size('--limit-virtual-size', value, at) };
      return;
    case 'limitOutputSize':
      draft.limits = { ...draft.limits, outputSize: size('--limit-output-size', value, at) };
      return;
    case 'limitTime':
      draft.limits = { ...draft.limits, timeMs: parseDuration(value, at) };
      return;
    case 'limitCpu':
      draft.limits = { ...draft.limits, cpuMs: parseDuration(value, at) };
      return;
    case 'limitIdle':
      draft.limits = { ...draft.limits, idleMs: parseDuration(value, at) };
      return;
    case 'imageOpts':
      throw unsupported('--image-opts', 'an input is one file: give its name as if=FILE and its format with -f', at);
    case 'object':
      throw unsupported('--object', 'there are no objects to define: leave it out', at);
  }
}

function applyOperand(draft: Draft, at: TokenReference): void {
  const { token } = at;
  const equals = token.indexOf('=');
  if (equals === -1) {
    const message = `${quote(token)} is neither an operand nor an option: operands are written name=value, as in if=disk.qcow2`;
    throw new OperandError('NOT_AN_OPERAND', message, at);
  }
  const name = token.slice(0, equals);
  const value = token.slice(equals + 1);
  const valueAt = { token, position: { index: at.position.index, offset: equals + 1 } };
  if (!isOperandName(name)) throw unknownOperand(name, at);
  switch (name) {
    case 'if':
    case 'of':
      draft[name] = { text: value, at: valueAt };
      return;
    case 'bs':
      draft.bs = blockSize(value, valueAt);
      return;
    case 'count':
    case 'skip':
    case 'seek':
    case 'isize':
    case 'osize':
      draft[name] = size(name, value, valueAt);
      return;
    case 'conv':
      applyConversions(draft, value, valueAt);
      return;
    case 'iflag':
      words(INPUT_FLAGS, value, 'UNKNOWN_FLAG', 'input flag', valueAt);
      return;
    case 'oflag':
      words([], value, 'UNKNOWN_FLAG', 'output flag', valueAt);
      return;
    case 'status':
      draft.status = oneOf(STATUS_MODES, value, 'UNKNOWN_STATUS', 'status', valueAt);
      return;
  }
}

function isOperandName(name: string): name is OperandName {
  return (OPERAND_NAMES as readonly string[]).includes(name);
}

function size(name: OperandName | `--${string}`, text: string, at: TokenReference): bigint {
  const reading = readSize(text);
  if (reading.ok) return reading.value;
  throw new OperandError(
    reading.code,
    `${name.startsWith('--') ? name : `${name}=`}: ${quote(text)} ${reading.problem}`,
    at,
  );
}

function blockSize(text: string, at: TokenReference): bigint {
  const bytes = size('bs', text, at);
  if (bytes === 0n) {
    throw new OperandError('ZERO_BLOCK_SIZE', 'bs=: the block size is 0: expected at least 1 byte', at);
  }
  if (bytes > DD_MAX_BLOCK_SIZE) {
    const message = `bs=: ${quote(text)} is too large: expected 1 to ${DD_MAX_BLOCK_SIZE} bytes; count= and skip= count blocks`;
    throw new OperandError('SIZE_OUT_OF_RANGE', message, at);
  }
  return bytes;
}

/** A comma-separated list of words. */
function words<Choice extends string>(
  choices: readonly Choice[],
  text: string,
  code: OperandErrorCode,
  what: string,
  at: TokenReference,
): Choice[] {
  return text.split(',').map((word) => {
    const known = (choices as readonly string[]).includes(word);
    const why = !known && Object.hasOwn(REFUSED_WORDS, word) ? REFUSED_WORDS[word] : undefined;
    if (why !== undefined) throw new OperandError(code, `the ${what} ${quote(word)} is not offered: ${why}`, at);
    if (choices.length > 0) return oneOf(choices, word, code, what, at);
    throw new OperandError(code, `unknown ${what} ${quote(word)}: none is offered, leave it out`, at);
  });
}

function applyConversions(draft: Draft, text: string, at: TokenReference): void {
  const found = words(CONVERSIONS, text, 'UNKNOWN_CONVERSION', 'conversion', at);
  draft.conv = { sparse: found.includes('sparse') };
  draft.keepsRest = found.includes('notrunc') ? at : undefined;
}

/** An output without `seek=` is a new file. */
function checkKeepsRest({ keepsRest, seek }: Draft): void {
  if (keepsRest === undefined || seek !== undefined) return;
  const message = `the conversion 'notrunc' needs seek=: without it the output is replaced; write seek=0 to keep what lies behind`;
  throw new OperandError('UNKNOWN_CONVERSION', message, keepsRest);
}

function oneOf<Choice extends string>(
  choices: readonly Choice[],
  text: string,
  code: OperandErrorCode,
  what: string,
  at: TokenReference,
): Choice {
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw new OperandError(code, `unknown ${what} ${quote(text)}: expected ${choices.join(', ')}`, at);
}

function fileName(name: 'if' | 'of', { text, at }: Given): string {
  if (text !== '') return text;
  throw new OperandError('EMPTY_FILE_NAME', `'${name}=' names no file: write ${name}=FILE`, at);
}

function notEmpty({ text, at }: Given, what: string, option: string): string {
  if (text !== '') return text;
  throw new OperandError('EMPTY_OPTION_ARGUMENT', `the ${what} is empty: name one, or leave ${option} out`, at);
}

function unknownOperand(name: string, at: TokenReference): OperandError {
  const lower = name.toLowerCase();
  const known = OPERAND_NAMES.join(', ');
  const advice = isOperandName(lower) ? `operands are lower case: write ${lower}=` : `expected one of ${known}`;
  return new OperandError('UNKNOWN_OPERAND', `unknown operand ${quote(`${name}=`)}: ${advice}`, at);
}

function missingOperand(input: Given | undefined, output: Given | undefined): OperandError {
  if (input === undefined && output === undefined) {
    return new OperandError('MISSING_OPERAND', 'neither input nor output was given: add if=FILE and of=FILE');
  }
  return new OperandError(
    'MISSING_OPERAND',
    input === undefined ? 'no input was given: add if=FILE' : 'no output was given: add of=FILE',
  );
}

function unsupported(option: string, instead: string, at: TokenReference): OperandError {
  return new OperandError('UNSUPPORTED_OPTION', `option '${option}' is not supported: ${instead}`, at);
}
