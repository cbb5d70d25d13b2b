import { convert, EngineError, escapeText, WRITABLE_FORMATS } from '@instar/engine';
import { EXIT_CODES } from '../exit-codes.js';
import { toJson } from '../render/json.js';
import { CACHE_MODES } from './cache-modes.js';
import { defineCommand, type CommandRun } from './define-command.js';
import { outputOptions, outputOptionsHelp } from './output-options.js';

interface ConvertFlags {
  readonly format?: string;
  readonly outputFormat: string;
  readonly sparseSize?: bigint;
  readonly clobber?: boolean;
  readonly compress?: boolean;
  readonly options: readonly string[];
}

/** Options of qemu-img that are not there yet, and what is said of them. */
const NOT_YET = {
  '-B <file>': 'an output with a backing file is not written yet',
  '-n': 'an output that exists is not written through yet; use dd with seek=0 for raw ones',
  '-l <snapshot>': 'internal snapshots are not read yet',
} as const;

/** What `-m` of qemu-img takes. */
const COROUTINES = Array.from({ length: 16 }, (_, index) => String(index + 1));

const SECTOR = 512n;
const MOST_SPARSE_SIZE = 1n << 24n;

/** `-S` within the bounds of qemu-img. Pieces have 4 KiB, whatever size is given. */
function sparseSize(bytes: bigint): bigint {
  if (bytes % SECTOR !== 0n || bytes > MOST_SPARSE_SIZE) {
    throw new EngineError('INVALID_OPTION', `-S: expected a multiple of 512 up to 16M, or 0, found ${bytes}`);
  }
  return bytes;
}

async function run({ files, flags, json, control, pathPolicy }: CommandRun<ConvertFlags>): Promise<number> {
  const { format, outputFormat, forceShare, strict, clobber, compress } = flags;
  const help = outputOptionsHelp(flags.options, outputFormat);
  if (help !== undefined) {
    process.stdout.write(help);
    return EXIT_CODES.OK;
  }
  const [input, output, ...more] = files;
  if (input === undefined || output === undefined)
    throw new EngineError('INVALID_OPTION', 'needs an input and an output');
  if (more.length > 0) {
    throw new EngineError('INVALID_OPTION', 'takes one input; several that become one disk are not read yet');
  }
  if (compress === true && outputFormat !== 'qcow2') {
    throw new EngineError('INVALID_OPTION', `-c: only qcow2 outputs are compressed, not ${escapeText(outputFormat)}`);
  }
  const layout = { ...outputOptions(flags.options, outputFormat), ...(compress === true ? { compress } : {}) };
  const options = { format, outputFormat, forceShare, strict, pathPolicy, noClobber: clobber === false, layout };
  const result = await convert(input, output, { ...options, sparse: flags.sparseSize !== 0n }, control);
  if (json) process.stdout.write(`${toJson({ result })}\n`);
  return EXIT_CODES.OK;
}

/** `instar convert` */
export const convertCommand = defineCommand<ConvertFlags>({
  name: 'convert',
  about: 'Copies the disk of an image into an image of another format.',
  operands: [['[files...]', 'the image, and what is written']],
  options: (command, values) => {
    command
      .option('-f, --format <fmt>', 'format of the input; it is then not probed')
      .option('-O, --output-format <fmt>', `format of the output: ${WRITABLE_FORMATS.join(', ')}`, 'raw')
      .option(
        '-S, --sparse-size <size>',
        'zeros are left out in pieces of 4k; 0 leaves none out (raw, qcow2)',
        (value: string) => sparseSize(values.size(value)),
      )
      .option('-c, --compress', 'compress what becomes smaller by it (qcow2)')
      .option(
        '-o, --options <options>',
        'options of the output, such as cluster_size=2M,compression_type=zstd; help lists them',
        (value: string, earlier: readonly string[]) => [...earlier, value],
        [],
      )
      .option('-p, --progress', 'show how far it is')
      .option('-q, --quiet', 'no warnings')
      .option('--strict', 'refuse an image that is not whole')
      .option('--no-clobber', 'refuse an output that exists')
      .option('-m, --parallel <number>', 'without effect', values.oneOf(COROUTINES))
      .option('-W, --out-of-order', 'without effect')
      .option('-t, --target-cache <mode>', 'without effect', values.oneOf(CACHE_MODES))
      .option('-T, --source-cache <mode>', 'without effect', values.oneOf(CACHE_MODES));
    for (const [option, why] of Object.entries(NOT_YET)) {
      command.option(option, '', () => {
        throw new EngineError('INVALID_OPTION', `${option.slice(0, 2)}: ${why}`);
      });
    }
    return command;
  },
  showsProgress: true,
  endsWithOutput: true,
  notes: `The output appears under its name when it is complete. Exit codes: 0 done, 1 refused or failed, 130 interrupted.`,
  run,
});
