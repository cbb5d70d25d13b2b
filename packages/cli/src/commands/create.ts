import { create, EngineError, escapeText, WRITABLE_FORMATS, type Qcow2Layout } from '@instar/engine';
import { parseSize } from '@instar/operands';
import { EXIT_CODES } from '../exit-codes.js';
import { toJson } from '../render/json.js';
import { outputOptions, outputOptionsHelp } from './output-options.js';
import { defineCommand, type CommandRun } from './define-command.js';

interface CreateFlags {
  readonly format: string;
  readonly clobber?: boolean;
  readonly options: readonly string[];
}

/** Options of qemu-img that are not there yet, and what is said of them. */
const NOT_YET = {
  '-b <file>': 'an output with a backing file is not written yet',
  '-F <fmt>': 'an output with a backing file is not written yet',
} as const;

/** What qemu-img says of each format's options, all of which have their defaults. */
const DEFAULTS: Readonly<Record<string, readonly [before: string, behind: string]>> = {
  vmdk: ['', ' compat6=off hwversion=undefined'],
  vdi: ['', ' static=off'],
  vhdx: ['', ' log_size=1048576 block_size=0'],
  parallels: ['', ' cluster_size=1048576'],
};

function qcow2Words({ clusterSize = 65536, compressionType = 'zlib' }: Qcow2Layout): readonly [string, string] {
  const before = `cluster_size=${clusterSize} extended_l2=off compression_type=${compressionType} `;
  return [before, ' lazy_refcounts=off refcount_bits=16'];
}

async function run({ files, flags, json, control, say }: CommandRun<CreateFlags>): Promise<number> {
  const { format, clobber } = flags;
  const help = outputOptionsHelp(flags.options, format);
  if (help !== undefined) {
    process.stdout.write(help);
    return EXIT_CODES.OK;
  }
  const [output, size] = files;
  if (output === undefined || size === undefined) {
    throw new EngineError('INVALID_OPTION', 'needs a name and a size, as in create -f qcow2 disk.qcow2 10G');
  }
  const layout = outputOptions(flags.options, format);
  const [before, behind] = format === 'qcow2' ? qcow2Words(layout) : (DEFAULTS[format] ?? ['', '']);
  const result = await create(output, parseSize(size), { format, noClobber: clobber === false, layout }, control);
  if (json) process.stdout.write(`${toJson({ result: { filename: output, ...result } })}\n`);
  else say(`Formatting '${escapeText(output)}', fmt=${format} ${before}size=${result.virtualSize}${behind}`);
  return EXIT_CODES.OK;
}

/** `instar create` */
export const createCommand = defineCommand<CreateFlags>({
  name: 'create',
  about: 'Creates an image whose disk reads as zeros.',
  operands: [
    ['[file]', 'what is written'],
    ['[size]', 'bytes of the disk, such as 10G; whole sectors of 512 bytes'],
  ],
  options: (command) => {
    command
      .option('-f, --format <fmt>', `format of the image: ${WRITABLE_FORMATS.join(', ')}`, 'raw')
      .option(
        '-o, --options <options>',
        'options of the image, such as cluster_size=2M; help lists them',
        (value: string, earlier: readonly string[]) => [...earlier, value],
        [],
      )
      .option('-q, --quiet', 'say nothing')
      .option('-u, --unsafe', 'without effect')
      .option('--no-clobber', 'refuse an output that exists');
    for (const [option, why] of Object.entries(NOT_YET)) {
      command.option(option, '', () => {
        throw new EngineError('INVALID_OPTION', `${option.slice(0, 2)}: ${why}`);
      });
    }
    return command;
  },
  endsWithOutput: true,
  notes:
    'The image appears under its name when it is complete. Exit codes: 0 done, 1 refused or failed, 130 interrupted.',
  run,
});
