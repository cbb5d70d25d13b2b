import {
  CHECKSUM_ALGORITHMS,
  CONVERT_FORMATS,
  convert,
  EngineError,
  escapeText,
  type ChecksumAlgorithm,
  type ConvertEndpoint,
  type SnapshotSelector,
} from '@instar/engine';
import { EXIT_CODES } from '../exit-codes.js';
import { CACHE_MODES } from './cache-modes.js';
import { defineCommand, type CommandRun } from './define-command.js';
import { DATA_FILE_NOTES } from './edit-options.js';
import { parseImageOptions } from './image-opts.js';
import { notMade, refuseOptions, secretsOf } from '../qemu-img/creation.js';
import { outputOptions, outputOptionsHelp, wholeBacking, wholeEncryption } from './output-options.js';
import { inWordsOfCommand } from './words-of-options.js';
import { SNAPSHOT_OPTION, snapshotSelector } from './snapshot-option.js';
import { recordText } from '../render/record.js';
import { standardError, standardOutput } from '../process/standard-streams.js';

interface ConvertFlags {
  readonly format?: string;
  readonly outputFormat: string;
  readonly sparseSize?: bigint;
  readonly clobber?: boolean;
  readonly compress?: boolean;
  readonly compressLevel?: 'fast' | 'default' | 'best';
  readonly options: readonly string[];
  readonly snapshot?: SnapshotSelector;
  readonly backing?: string;
  readonly backingFormat?: string;
  /** False with `-n`. */
  readonly create?: boolean;
  readonly targetIsZero?: boolean;
  readonly checksum?: string;
  readonly targetImageOpts?: boolean;
  readonly copyRangeOffloading?: boolean;
  readonly rateLimit?: bigint;
  readonly reflink?: 'auto' | 'never';
  readonly salvage?: boolean;
  readonly bitmaps?: boolean;
  readonly skipBrokenBitmaps?: boolean;
}

/** What `-m` of qemu-img takes. */
const COROUTINES = Array.from({ length: 16 }, (_, index) => String(index + 1));

/** What `--checksum` names, each once. */
function checksumsOf(text: string | undefined): readonly ChecksumAlgorithm[] | undefined {
  const names = [...new Set(text?.split(','))];
  const known = CHECKSUM_ALGORITHMS.filter((name) => names.includes(name));
  const unknown = names.find((name) => !known.some((algorithm) => algorithm === name));
  if (unknown === undefined) return text === undefined ? undefined : known;
  throw new EngineError(
    'INVALID_OPTION',
    `--checksum: found ${escapeText(unknown)}, expected some of ${CHECKSUM_ALGORITHMS.join(', ')} with commas between`,
  );
}

/**
 * The output, and its format, where `--target-image-opts` describes it.
 * @throws EngineError `INVALID_OPTION`
 */
function describedOutput(output: string, flags: ConvertFlags): { readonly output: string; readonly format: string } {
  if (flags.targetImageOpts !== true) return { output, format: flags.outputFormat };
  if (flags.create !== false) throw new EngineError('INVALID_OPTION', '--target-image-opts requires use of -n flag');
  const { file, format = 'raw' } = parseImageOptions(output);
  return { output: file, format };
}

/** Whether bitmaps are copied. @throws EngineError `INVALID_OPTION` in the words of qemu-img */
function bitmapsOf({ bitmaps, skipBrokenBitmaps }: ConvertFlags, inputs: number): boolean | 'skipBroken' | undefined {
  if (skipBrokenBitmaps === true && bitmaps !== true) {
    throw new EngineError('INVALID_OPTION', 'Use of --skip-broken-bitmaps requires --bitmaps');
  }
  if (bitmaps === true && inputs > 1) {
    throw new EngineError('INVALID_OPTION', 'Copying bitmaps only possible with single source');
  }
  return bitmaps === true && skipBrokenBitmaps === true ? 'skipBroken' : bitmaps;
}

/** What the operands name: `-` is a standard stream, but to qemu-img a file of that name. */
function endpoints(
  inputs: readonly string[],
  output: string,
  { additions, requireOpen }: CommandRun<ConvertFlags>,
): readonly [inputs: readonly ConvertEndpoint[], output: ConvertEndpoint] {
  if (!additions) return [inputs, output];
  const ends = (name: string, fd: 0 | 1): ConvertEndpoint => {
    if (name !== '-') return name;
    requireOpen(fd);
    return { stream: fd };
  };
  if (output === '-' && standardOutput.isTTY) {
    throw new EngineError('INVALID_OPTION', '- would write a disk to a terminal: redirect standard output');
  }
  return [inputs.map((name) => ends(name, 0)), ends(output, 1)];
}

async function run(command: CommandRun<ConvertFlags>): Promise<number> {
  const { files, flags, json, control, pathPolicy } = command;
  const { format, forceShare, strict, clobber, compress, compressLevel, targetIsZero, snapshot } = flags;
  const help = outputOptionsHelp(flags.options, flags.outputFormat);
  if (help !== undefined) {
    standardOutput.write(help);
    return EXIT_CODES.OK;
  }
  const [inputs, [named]] = [files.slice(0, -1), files.slice(-1)];
  if (inputs.length === 0 || named === undefined) {
    throw new EngineError('INVALID_OPTION', 'needs an input and an output');
  }
  const { output, format: outputFormat } = describedOutput(named, flags);
  if (flags.copyRangeOffloading === true && (flags.sparseSize !== undefined || compress === true)) {
    const other = compress === true ? '-c' : '-S';
    throw new EngineError('INVALID_OPTION', `Cannot enable copy offloading when ${other} is used`);
  }
  if (flags.copyRangeOffloading === true && flags.salvage === true) {
    throw new EngineError('INVALID_OPTION', 'Cannot use copy offloading in salvaging mode');
  }
  if (compress === true && outputFormat !== 'qcow2' && outputFormat !== 'vmdk') {
    throw new EngineError('INVALID_OPTION', `-c: only qcow2 outputs are compressed, not ${escapeText(outputFormat)}`);
  }
  const letters = { backing_file: flags.backing, backing_fmt: flags.backingFormat };
  if (!command.additions)
    refuseOptions(
      { format: outputFormat, lists: flags.options, letters, hasSecret: secretsOf(command.passphrase) },
      output,
    );
  const given = outputOptions(flags.options, outputFormat, letters);
  // qemu-img reads it and then does without it.
  if (given.size !== undefined && command.additions)
    throw new EngineError('INVALID_OPTION', '-o size: the size of the disk is that of the input');
  const existing = flags.create === false;
  if (existing && flags.options.length > 0) {
    throw new EngineError('INVALID_OPTION', '-o: says how an output is created, and with -n none is');
  }
  // What vmdk has of compressed images is a subformat of its own.
  const packed = compress === true && (outputFormat === 'qcow2' || given.layout.subformat !== 'streamOptimized');
  const options = {
    format,
    outputFormat,
    forceShare,
    // With qemu-img -U says how inputs are opened, and nothing of the output.
    ...(command.additions ? {} : { replaceInUse: false }),
    strict,
    pathPolicy,
    noClobber: clobber === false,
    layout: { ...given.layout, ...(packed ? { compress } : {}), compressLevel },
    backing: wholeBacking(given),
    encryption: wholeEncryption(given, command.passphrase),
    sparse: flags.sparseSize !== 0n,
    sparseSize: flags.sparseSize,
    existing,
    targetIsZero,
    snapshot,
    checksums: checksumsOf(flags.checksum),
    salvage: flags.salvage,
    bitmaps: bitmapsOf(flags, inputs.length),
    reflink: flags.reflink,
    // No rate is no bound, as with qemu-img.
    writeRate: flags.rateLimit === 0n ? undefined : flags.rateLimit,
  };
  const [from, to] = endpoints(inputs, output, command);
  const copying = inWordsOfCommand(async () => convert(from, to, options, control));
  const result = await (command.additions || existing
    ? copying
    : copying.catch((error: unknown) =>
        Promise.reject(notMade(error, output, `error while converting ${outputFormat}: `)),
      ));
  const { warnings } = command;
  // Where the disk goes to standard output, nothing else may.
  const printer = typeof to === 'string' ? standardOutput : standardError;
  if (json) printer.write(recordText({ result: { ...result, warnings } }));
  else
    Object.entries(result.checksums ?? {}).forEach(([name, sum]) => {
      printer.write(`${name}: ${sum}\n`);
    });
  return EXIT_CODES.OK;
}

/** `instar convert` */
export const convertCommand = defineCommand<ConvertFlags>({
  name: 'convert',
  about: 'Copies the disk of an image into an image of another format.',
  operands: [
    ['[files...]', 'the image, or several whose disks become one, and what is written; - is a standard stream'],
  ],
  options: (command, values) =>
    command
      .option('-f, --format <fmt>', 'format of the input; it is then not probed')
      .option('-O, --output-format <fmt>', `format of the output: ${CONVERT_FORMATS.join(', ')}`, 'raw')
      .option(
        '-S, --sparse-size <size>',
        'least zeros that are left out (4k); 0 leaves none out (raw, qcow2)',
        values.size,
      )
      .option('-c, --compress', 'compress what becomes smaller by it (qcow2)')
      .option(
        '--compress-level <level>',
        'fast, default or best (qcow2, streamOptimized vmdk)',
        values.oneOf(['fast', 'default', 'best'] as const),
      )
      .option(
        '--checksum <algorithms>',
        'print checksums of the disk as it reads back from the output (of a stream: as the input reads): sha256, or several as in sha256,md5',
      )
      .option('-B, --backing <file>', 'the output holds only what differs from this image (qcow2, qed, qcow)')
      .option('-F, --backing-format <fmt>', 'format of that image')
      .option(
        '-n, --no-create',
        'write into an output that exists and has room, in place; it keeps what it was made with',
      )
      .option('--target-is-zero', 'with -n: the output reads as zeros, which need not be written')
      .option(
        '-o, --options <options>',
        'options of the output, such as cluster_size=2M,compression_type=zstd; help lists them',
        (value: string, earlier: readonly string[]) => [...earlier, value],
        [],
      )
      .option(...SNAPSHOT_OPTION, snapshotSelector)
      .option('-p, --progress', 'show how far it is; with --json as records on standard error')
      .option('-q, --quiet', 'no warnings')
      .option('--strict', 'refuse an image that is not whole')
      .option('--no-clobber', 'refuse an output that exists')
      .option('--target-image-opts', 'with -n: the output is driver=raw,file.filename=FILE instead of a name')
      .option('-r, --rate-limit <rate>', 'most bytes that are written in a second, such as 50M', values.size)
      .option(
        '--reflink <when>',
        'auto: with -S 0, file systems that can may share blocks of the input (default); never: they may not',
        values.oneOf(['auto', 'never'] as const),
      )
      .option('--bitmaps', 'copy the persistent bitmaps of the image as well (qcow2)')
      .option('--skip-broken-bitmaps', 'with --bitmaps: warn of those that were not saved properly')
      .option('--salvage', 'go on where the input cannot be read: the output has zeros there, and warnings say where')
      .option('-C, --copy-range-offloading', 'without effect: the kernel copies where it can')
      .option('-m, --parallel <number>', 'without effect', values.oneOf(COROUTINES))
      .option('-W, --out-of-order', 'without effect')
      .option('-t, --target-cache <mode>', 'without effect', values.oneOf(CACHE_MODES))
      .option('-T, --source-cache <mode>', 'without effect', values.oneOf(CACHE_MODES)),
  showsProgress: true,
  recordsWarnings: true,
  endsWithOutput: true,
  notes: `The output appears under its name when it is complete.\n${DATA_FILE_NOTES}\nExit codes: 0 done, 1 refused or failed, 130 interrupted.`,
  readsRemote: true,
  run,
});
