import { EngineError, measure, measureSize, type MeasureTarget, type Measurement } from '@instar/engine';
import { OperandError, parseSize } from '@instar/operands';
import { EXIT_CODES } from '../exit-codes.js';
import { toJson } from '../render/json.js';
import { defineCommand, type CommandRun } from './define-command.js';

interface MeasureFlags {
  readonly format?: string;
  readonly outputFormat?: string;
  readonly options: readonly string[];
  readonly size?: bigint;
}

function invalid(what: string): EngineError {
  return new EngineError('INVALID_OPTION', `${what}; see instar measure --help`);
}

const BOOLEANS: Readonly<Record<string, boolean>> = {
  on: true,
  yes: true,
  true: true,
  y: true,
  off: false,
  no: false,
  false: false,
  n: false,
};

function yesNo(key: string, value: string): boolean {
  const found = Object.hasOwn(BOOLEANS, value) ? BOOLEANS[value] : undefined;
  if (found === undefined) throw invalid(`-o ${key} is '${value}', expected on or off`);
  return found;
}

function number(key: string, value: string): number {
  try {
    return Number(parseSize(value));
  } catch (error) {
    if (!(error instanceof OperandError)) throw error;
    throw invalid(`-o ${key} is '${value}', expected a size`);
  }
}

/** Options of the target that do not change its length. */
const WITHOUT_EFFECT = new Set(['compat', 'compression_type', 'lazy_refcounts', 'backing_fmt', 'size', 'nocow']);

/** The target that `-O` and `-o` describe. */
function targetOf({ outputFormat: format, options }: MeasureFlags): MeasureTarget {
  const target: { -readonly [K in keyof MeasureTarget]: MeasureTarget[K] } = { format };
  for (const item of options.flatMap((text) => text.split(','))) {
    const [key = '', ...rest] = item.split('=');
    const value = rest.length === 0 ? 'on' : rest.join('=');
    if (format !== 'qcow2' && key !== 'size' && key !== 'preallocation')
      throw invalid(`-o ${key} is not known for ${format ?? 'raw'}`);
    if (key === 'cluster_size') target.clusterSize = number(key, value);
    else if (key === 'refcount_bits') target.refcountBits = number(key, value);
    else if (key === 'extended_l2') target.extendedL2 = yesNo(key, value);
    else if (key === 'preallocation')
      target.allocated = value === 'full' || value === 'falloc' || target.allocated === true;
    else if (key === 'backing_file') target.allocated = true;
    else if (!WITHOUT_EFFECT.has(key)) throw invalid(`-o ${key} is not known`);
  }
  return target;
}

function print({ required, fullyAllocated, bitmaps }: Measurement, json: boolean): void {
  if (json) {
    process.stdout.write(`${toJson({ bitmaps, required, 'fully-allocated': fullyAllocated })}\n`);
    return;
  }
  const rest = bitmaps === undefined ? '' : `bitmaps size: ${bitmaps}\n`;
  process.stdout.write(`required size: ${required}\nfully allocated size: ${fullyAllocated}\n${rest}`);
}

async function run({ files, flags, json, control, pathPolicy }: CommandRun<MeasureFlags>): Promise<number> {
  const [file] = files;
  if ((file === undefined) === (flags.size === undefined)) throw invalid('either a file or --size is needed');
  const target = targetOf(flags);
  const { format, forceShare, size } = flags;
  if (size !== undefined) print(measureSize(size, target), json);
  else if (file !== undefined) print(await measure(file, { format, forceShare, pathPolicy, target }, control), json);
  return EXIT_CODES.OK;
}

/** `instar measure` */
export const measureCommand = defineCommand<MeasureFlags>({
  name: 'measure',
  about: 'Says how long an output becomes before it is written.',
  operands: [['[file]', 'the image that would be converted']],
  options: (command, values) =>
    command
      .option('-f, --format <fmt>', 'format of the image; it is then not probed')
      .option('-O, --output-format <fmt>', 'format of the output: raw or qcow2', 'raw')
      .option(
        '-o, --options <list>',
        'options of the output, such as cluster_size=2M,extended_l2=on',
        (value: string, earlier: readonly string[]) => [...earlier, value],
        [],
      )
      .option('--size <size>', 'measure for a disk of this size, in place of an image', values.size),
  notes: 'Exit codes: 0 done, 1 refused or failed, 130 interrupted.',
  run,
});
