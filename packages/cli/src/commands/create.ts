import { create, EngineError, escapeText, WRITABLE_FORMATS } from '@instar/engine';
import { parseSize } from '@instar/operands';
import { EXIT_CODES } from '../exit-codes.js';
import { inWordsOfCommand, outputOptions, outputOptionsHelp, wholeBacking, wholeEncryption } from './output-options.js';
import { defineCommand, type CommandRun } from './define-command.js';
import { recordText } from '../render/record.js';

interface CreateFlags {
  readonly format: string;
  readonly clobber?: boolean;
  readonly options: readonly string[];
  readonly backing?: string;
  readonly backingFormat?: string;
  readonly unsafe?: boolean;
}

async function run({
  files,
  flags,
  json,
  control,
  say,
  passphrase,
  additions,
}: CommandRun<CreateFlags>): Promise<number> {
  const { format, clobber } = flags;
  const help = outputOptionsHelp(flags.options, format);
  if (help !== undefined) {
    process.stdout.write(help);
    return EXIT_CODES.OK;
  }
  const [output, size] = files;
  const below = { backing_file: flags.backing, backing_fmt: flags.backingFormat };
  const given = outputOptions(flags.options, format, below, additions);
  const backing = wholeBacking(given);
  if (output === undefined || (size === undefined && given.size === undefined && backing === undefined)) {
    throw new EngineError('INVALID_OPTION', 'needs a name and a size, as in create -f qcow2 disk.qcow2 10G');
  }
  const bytes = size === undefined ? given.size : parseSize(size);
  const options = {
    format,
    noClobber: clobber === false,
    layout: given.layout,
    backing,
    encryption: wholeEncryption(given, passphrase),
  };
  const checked = { ...options, checkBacking: flags.unsafe !== true };
  const result = await inWordsOfCommand(async () => create(output, bytes, checked, control));
  const [before, behind] = given.words;
  if (json) process.stdout.write(recordText({ result: { filename: output, ...result } }));
  else say(`Formatting '${escapeText(output)}', fmt=${format} ${before}size=${bytes ?? result.virtualSize}${behind}`);
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
  options: (command) =>
    command
      .option('-f, --format <fmt>', `format of the image: ${WRITABLE_FORMATS.join(', ')}`, 'raw')
      .option(
        '-o, --options <options>',
        'options of the image, such as cluster_size=2M; help lists them',
        (value: string, earlier: readonly string[]) => [...earlier, value],
        [],
      )
      .option('-q, --quiet', 'say nothing')
      .option('-b, --backing <file>', 'the image below, which is shown until something is written (qcow2, qed, qcow)')
      .option('-F, --backing-format <fmt>', 'format of that image')
      .option('-u, --unsafe', 'do not look at the image below')
      .option('--no-clobber', 'refuse an output that exists'),
  endsWithOutput: true,
  notes:
    'The image appears under its name when it is complete. Exit codes: 0 done, 1 refused or failed, 130 interrupted.',
  run,
});
