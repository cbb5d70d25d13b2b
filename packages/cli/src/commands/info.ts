import {
  EngineError,
  info,
  infoOfEach,
  inspect,
  inspectEach,
  READABLE_FORMATS,
  type ImageDescription,
  type InfoOptions,
  type Isolation,
  type OperationControl,
  type SafetyVerdict,
} from '@instar/engine';
import { EXIT_CODES } from '../exit-codes.js';
import { coloursOf } from '../render/colours.js';
import { errorRecord, printError } from '../render/errors.js';
import { infoRecord } from '../render/info-json.js';
import { infoText, type PaintVerdict } from '../render/info-text.js';
import { toJson, toJsonLine } from '../render/json.js';
import { namesOf } from '../names-in-stream.js';
import { SCHEMA_VERSION } from '../render/record.js';
import { defineCommand, type CommandRun } from './define-command.js';
import { standardOutput } from '../process/standard-streams.js';

interface InfoFlags {
  readonly format?: string;
  readonly backingChain?: boolean;
  readonly requireSafe?: boolean;
  readonly stdin0?: boolean;
  readonly isolation: Isolation;
}

/** How images are shown. */
interface Style {
  readonly json: boolean;
  readonly chain: boolean;
  /** One of several: JSON is one line then. */
  readonly among: boolean;
  /** Whether the verdict is shown, and what was recognised. */
  readonly additions: boolean;
  readonly paint: PaintVerdict;
}

function printJson(value: unknown, { among }: Style): void {
  standardOutput.write(`${among ? toJsonLine(value) : toJson(value)}\n`);
}

function print(images: readonly ImageDescription[], style: Style): void {
  if (style.json) {
    const records = images.map(infoRecord);
    printJson(style.chain ? records : records[0], style);
  } else {
    standardOutput.write(images.map((image) => infoText(image, style)).join('\n'));
  }
}

function printUnsafe(file: string, verdict: SafetyVerdict, style: Style): void {
  if (style.json) {
    printJson(
      { ...(style.among ? { filename: file } : {}), instar: { schemaVersion: SCHEMA_VERSION, safety: verdict } },
      style,
    );
    return;
  }
  const failed = verdict.checks.filter((check) => !check.passed);
  const reasons = failed.map((check) => `${check.name}: ${check.evidence}`).join('; ');
  printError('info', new EngineError('IMAGE_NOT_SAFE', `not safe (${reasons})`, { file }), undefined);
}

/** One image that was looked at, or why it could not be. */
type Found =
  | { readonly file: string; readonly images: readonly ImageDescription[]; readonly verdict?: SafetyVerdict }
  | { readonly file: string; readonly error: EngineError };

type LookOptions = InfoOptions & { readonly requireSafe: boolean };

async function* lookAt(
  files: Iterable<string> | AsyncIterable<string>,
  { requireSafe, ...options }: LookOptions,
  control: OperationControl,
): AsyncGenerator<Found> {
  if (requireSafe) {
    for await (const { file, value, error } of inspectEach(files, options, control)) {
      // A safe image refers to no other file, so it is all of its chain.
      const images = value?.description === undefined ? [] : [value.description];
      yield value === undefined ? { file, error } : { file, images, verdict: value.verdict };
    }
  } else {
    for await (const { file, value, error } of infoOfEach(files, options, control)) {
      yield value === undefined ? { file, error } : { file, images: [...value] };
    }
  }
}

/** The same for one image, without what many at a time are kept in order by. */
async function lookAtOne(
  file: string,
  { requireSafe, ...options }: LookOptions,
  control: OperationControl,
): Promise<Found> {
  if (!requireSafe) return { file, images: [...(await info(file, options, control))] };
  const { verdict, description } = await inspect(file, options, control);
  return { file, images: description === undefined ? [] : [description], verdict };
}

function show(found: Exclude<Found, { error: EngineError }>, style: Style): number {
  const { file, images, verdict } = found;
  if (verdict !== undefined && (!verdict.safe || images.length === 0)) {
    printUnsafe(file, verdict, style);
    return EXIT_CODES.NOT_SAFE;
  }
  print(images, style);
  return EXIT_CODES.OK;
}

const plainly: PaintVerdict = (_safe, text) => text;

async function painter(): Promise<PaintVerdict> {
  const colours = await coloursOf(standardOutput);
  return (safe, text) => (safe ? colours.green(text) : colours.red(text));
}

async function run({
  files,
  flags,
  json,
  control,
  signal,
  pathPolicy,
  additions,
}: CommandRun<InfoFlags>): Promise<number> {
  const { format, forceShare, strict, requireSafe = false, stdin0 = false } = flags;
  if (stdin0 === files.length > 0) {
    const what = stdin0 ? '--stdin0: found operands, expected none' : "missing required argument 'file'";
    throw new EngineError('INVALID_OPTION', `${what}; see instar info --help`);
  }
  if (!additions && files.length > 1) {
    const what = `too many arguments. Expected 1 argument but got ${files.length}.`;
    throw new EngineError('INVALID_OPTION', `${what}; see instar info --help`);
  }
  const chain = flags.backingChain === true;
  const backingChain = chain ? pathPolicy : undefined;
  const options = { format, forceShare, strict, backingChain, pathPolicy, requireSafe };
  const paint = additions && !json ? await painter() : plainly;
  const style = { json, chain, among: stdin0 || files.length > 1, additions, paint };
  // Of several, one follows the other in the same sandboxes.
  const how: OperationControl = style.among ? { ...control, isolation: flags.isolation } : control;
  const [only] = files;
  const each =
    only === undefined || style.among
      ? lookAt(stdin0 ? namesOf(process.stdin) : files, options, how)
      : [await lookAtOne(only, options, how)];
  try {
    return await showEach(each, style, signal);
  } catch (error) {
    // What is no list of names ends it; who reads line by line is told so in one as well.
    if (!json || signal.aborted || !(error instanceof EngineError) || error.code !== 'INVALID_OPTION') throw error;
    if (!style.among) throw error;
    printJson(errorRecord('info', error), style);
    return EXIT_CODES.FAILURE;
  }
}

/** Shows what was found, one after the other, and tells the exit code of all. */
async function showEach(
  each: Iterable<Found> | AsyncIterable<Found>,
  style: Style,
  signal: AbortSignal,
): Promise<number> {
  const { json } = style;
  let code: number = EXIT_CODES.OK;
  let shown = 0;
  for await (const found of each) {
    // A line between two, where the last was shown.
    if (!json && shown > 0) standardOutput.write('\n');
    shown = 'error' in found ? 0 : shown + 1;
    if ('error' in found) {
      if (signal.aborted || !style.among) throw found.error;
      // The others are described all the same.
      if (json) printJson(errorRecord('info', found.error), style);
      else printError('info', found.error, undefined);
      code = EXIT_CODES.FAILURE;
    } else {
      const shownAs = show(found, style);
      if (code === EXIT_CODES.OK) code = shownAs;
    }
  }
  return code;
}

/** `instar info` */
export const infoCommand = defineCommand<InfoFlags>({
  name: 'info',
  about: 'Says what an image is, without trusting it: the image is parsed inside a sandbox only.',
  operands: [['[file...]', 'the image; of several, each is described, as JSON one a line']],
  options: (command, values) =>
    command
      .option('-f, --format <fmt>', `format of the image: ${READABLE_FORMATS.join(', ')}; it is then not probed`)
      .option('--backing-chain', 'describe the backing images as well')
      .option('--strict', 'refuse an image that is not whole, in place of a warning')
      .option('--require-safe', `exit with ${EXIT_CODES.NOT_SAFE} unless every safety check passes`)
      .option('--stdin0', 'read the names of the images from standard input, each with a zero byte behind it')
      .option(
        '--isolation <kind>',
        'of several images: pooled (sandboxes are restored for the next one) or fresh',
        values.oneOf(['pooled', 'fresh'] as const),
        'pooled',
      ),
  notes:
    'Limits count for each image; no passphrase is needed to describe one. Dumps are off by default: they hold data of the\n' +
    'image (mode 0600; *.zst is compressed).\n' +
    'Exit codes: 0 done, 1 refused or failed, 3 not safe (with --require-safe), 130 interrupted.',
  readsRemote: true,
  run,
});
