import {
  EngineError,
  info,
  inspect,
  READABLE_FORMATS,
  type ImageDescription,
  type InfoOptions,
  type OperationControl,
  type SafetyVerdict,
} from '@instar/engine';
import { EXIT_CODES } from '../exit-codes.js';
import { errorRecord, printError } from '../render/errors.js';
import { infoRecord } from '../render/info-json.js';
import { infoText } from '../render/info-text.js';
import { toJson, toJsonLine } from '../render/json.js';
import { defineCommand, type CommandRun } from './define-command.js';

interface InfoFlags {
  readonly format?: string;
  readonly backingChain?: boolean;
  readonly requireSafe?: boolean;
}

/** How images are shown. */
interface Style {
  readonly json: boolean;
  readonly chain: boolean;
  /** One of several: JSON is one line then. */
  readonly among: boolean;
  /** Whether the verdict is shown, and what was recognised. */
  readonly additions: boolean;
}

function printJson(value: unknown, { among }: Style): void {
  process.stdout.write(`${among ? toJsonLine(value) : toJson(value)}\n`);
}

function print(images: readonly ImageDescription[], style: Style): void {
  if (style.json) {
    const records = images.map(infoRecord);
    printJson(style.chain ? records : records[0], style);
  } else {
    process.stdout.write(images.map((image) => infoText(image, style)).join('\n'));
  }
}

function printUnsafe(file: string, verdict: SafetyVerdict, style: Style): void {
  if (style.json) {
    printJson({ ...(style.among ? { filename: file } : {}), instar: { safety: verdict } }, style);
    return;
  }
  const failed = verdict.checks.filter((check) => !check.passed);
  const reasons = failed.map((check) => `${check.name}: ${check.evidence}`).join('; ');
  printError('info', new EngineError('IMAGE_NOT_SAFE', `not safe (${reasons})`, { file }), undefined);
}

async function describe(
  file: string,
  options: InfoOptions & { readonly requireSafe: boolean },
  control: OperationControl,
  style: Style,
): Promise<number> {
  const { requireSafe, ...rest } = options;
  if (!requireSafe) {
    print(await info(file, rest, control), style);
    return EXIT_CODES.OK;
  }
  const { verdict, description } = await inspect(file, rest, control);
  if (!verdict.safe || description === undefined) {
    printUnsafe(file, verdict, style);
    return EXIT_CODES.NOT_SAFE;
  }
  // A safe image refers to no other file, so it is all of its chain.
  print([description], style);
  return EXIT_CODES.OK;
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
  const { format, forceShare, strict, requireSafe = false } = flags;
  const chain = flags.backingChain === true;
  const backingChain = chain ? pathPolicy : undefined;
  const options = { format, forceShare, strict, backingChain, requireSafe };
  const [file = '', ...more] = files;
  const style = { json, chain, among: more.length > 0, additions };
  if (!style.among) return describe(file, options, control, style);
  let code: number = EXIT_CODES.OK;
  for (const [index, each] of files.entries()) {
    try {
      const found = await describe(each, options, control, style);
      if (code === EXIT_CODES.OK) code = found;
      if (!json && index < files.length - 1) process.stdout.write('\n');
    } catch (error) {
      if (signal.aborted || !(error instanceof EngineError)) throw error;
      // The others are described all the same.
      if (json) printJson(errorRecord('info', error), style);
      else printError('info', error, undefined);
      code = EXIT_CODES.FAILURE;
    }
  }
  return code;
}

/** `instar info` */
export const infoCommand = defineCommand<InfoFlags>({
  name: 'info',
  about: 'Says what an image is, without trusting it: the image is parsed inside a sandbox only.',
  operands: [['<file...>', 'the image; of several, each is described, as JSON one a line']],
  options: (command) =>
    command
      .option('-f, --format <fmt>', `format of the image: ${READABLE_FORMATS.join(', ')}; it is then not probed`)
      .option('--backing-chain', 'describe the backing images as well')
      .option('--strict', 'refuse an image that is not whole, in place of a warning')
      .option('--require-safe', `exit with ${EXIT_CODES.NOT_SAFE} unless every safety check passes`),
  notes:
    'Limits count for each image; no passphrase is needed to describe one. Dumps are off by default: they hold data of the\n' +
    'image (mode 0600; *.zst is compressed).\n' +
    'Exit codes: 0 done, 1 refused or failed, 3 not safe (with --require-safe), 130 interrupted.',
  run,
});
