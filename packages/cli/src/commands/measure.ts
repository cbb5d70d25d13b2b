import {
  EngineError,
  measure,
  measureSize,
  WRITABLE_FORMATS,
  type MeasureTarget,
  type Measurement,
  type SnapshotSelector,
} from '@instar/engine';
import { EXIT_CODES } from '../exit-codes.js';
import { toJson } from '../render/json.js';
import { defineCommand, type CommandRun } from './define-command.js';
import { refuseMeasured } from '../qemu-img/creation.js';
import { outputOptions } from './output-options.js';
import { inWordsOfCommand } from './words-of-options.js';
import { SNAPSHOT_OPTION, snapshotSelector } from './snapshot-option.js';
import { standardOutput } from '../process/standard-streams.js';

interface MeasureFlags {
  readonly format?: string;
  readonly outputFormat?: string;
  readonly options: readonly string[];
  readonly size?: bigint;
  readonly snapshot?: SnapshotSelector;
}

function invalid(what: string): EngineError {
  return new EngineError('INVALID_OPTION', `${what}; see instar measure --help`);
}

/** The target that `-O` and `-o` describe. */
function targetOf({ outputFormat: format = 'raw', options }: MeasureFlags): MeasureTarget {
  const { layout, backing, encryption } = outputOptions(options, format);
  const luksVersion = encryption?.version;
  return { ...layout, format, luksVersion, ...(backing === undefined ? {} : { allocated: true }) };
}

function print({ required, fullyAllocated, bitmaps }: Measurement, json: boolean): void {
  if (json) {
    standardOutput.write(`${toJson({ bitmaps, required, 'fully-allocated': fullyAllocated })}\n`);
    return;
  }
  const rest = bitmaps === undefined ? '' : `bitmaps size: ${bitmaps}\n`;
  standardOutput.write(`required size: ${required}\nfully allocated size: ${fullyAllocated}\n${rest}`);
}

async function run({ files, flags, json, control, pathPolicy, additions }: CommandRun<MeasureFlags>): Promise<number> {
  const [file] = files;
  if (file !== undefined && flags.size !== undefined) throw invalid('both a file and --size were given');
  if (file === undefined && flags.size === undefined) throw invalid('either a file or --size is needed');
  if (!additions) {
    const described = { format: flags.outputFormat ?? 'raw', lists: flags.options, letters: {} };
    refuseMeasured({ ...described, hasSecret: () => true });
  }
  const target = targetOf(flags);
  const { format, forceShare, size, snapshot } = flags;
  if (size !== undefined && snapshot !== undefined) throw invalid('--size has no snapshots: -l needs a file');
  const measured = await inWordsOfCommand(async () =>
    file === undefined
      ? measureSize(size ?? 0n, target, control)
      : measure(file, { format, forceShare, pathPolicy, target, snapshot }, control),
  );
  print(measured, json);
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
      .option('-O, --output-format <fmt>', `format of the output: ${WRITABLE_FORMATS.join(', ')}`, 'raw')
      .option(
        '-o, --options <list>',
        'options of the output, such as cluster_size=2M,extended_l2=on',
        (value: string, earlier: readonly string[]) => [...earlier, value],
        [],
      )
      .option(...SNAPSHOT_OPTION, snapshotSelector)
      .option('--size <size>', 'measure for a disk of this size, in place of an image', values.size),
  notes: 'Exit codes: 0 done, 1 refused or failed, 130 interrupted.',
  readsRemote: true,
  run,
});
