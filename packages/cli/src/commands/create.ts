import { create, EngineError, escapeText, WRITABLE_FORMATS } from '@instar/engine';
import { parseSize } from '@instar/operands';
import { EXIT_CODES } from '../exit-codes.js';
import { outputOptions, outputOptionsHelp, wholeBacking, wholeEncryption } from './output-options.js';
import { inWordsOfCommand } from './words-of-options.js';
import { formatting, notMade, refuseCreation, secretsOf } from '../qemu-img/creation.js';
import { defineCommand, type CommandRun } from './define-command.js';
import { recordText } from '../render/record.js';
import { standardOutput } from '../process/standard-streams.js';

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
    standardOutput.write(help);
    return EXIT_CODES.OK;
  }
  const [output, size, further] = files;
  if (further !== undefined) throw new EngineError('INVALID_OPTION', `Unexpected argument: ${escapeText(further)}`);
  if (!additions && output === undefined)
    throw new EngineError('INVALID_OPTION', 'missing required argument; see instar create --help');
  const below = { backing_file: flags.backing, backing_fmt: flags.backingFormat };
  const behindName = size === undefined ? undefined : parseSize(size);
  if (!additions && output !== undefined) {
    const described = { name: output, format, lists: flags.options, letters: below, size: behindName };
    const hasSecret = secretsOf(passphrase);
    await refuseCreation({ ...described, hasSecret, looksBelow: flags.unsafe !== true, say }, control);
  }
  const given = outputOptions(flags.options, format, below, additions);
  const backing = wholeBacking(given);
  if (output === undefined || (size === undefined && given.size === undefined && backing === undefined)) {
    throw new EngineError('INVALID_OPTION', 'needs a name and a size, as in create -f qcow2 disk.qcow2 10G');
  }
  if (behindName !== undefined && given.size !== undefined)
    throw new EngineError('INVALID_OPTION', '-o size: the size stands behind the name as well; give it once');
  const bytes = behindName ?? given.size;
  const options = {
    format,
    // qemu-img's has no such option.
    replaceInUse: additions && flags.forceShare === true,
    noClobber: clobber === false,
    layout: given.layout,
    backing,
    encryption: wholeEncryption(given, passphrase),
  };
  const checked = { ...options, checkBacking: flags.unsafe !== true };
  const announce = (known: bigint): void => {
    say(formatting(output, format, known, given.words));
  };
  // What is announced is announced before it fails.
  if (!additions && bytes !== undefined) announce(bytes);
  const making = inWordsOfCommand(async () => create(output, bytes, checked, control));
  const result = await (additions ? making : making.catch((error: unknown) => Promise.reject(notMade(error, output))));
  if (json) standardOutput.write(recordText({ result: { filename: output, ...result } }));
  else if (additions || bytes === undefined) announce(bytes ?? result.virtualSize);
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
      .allowExcessArguments()
      .option('-f, --format <fmt>', `format of the image: ${WRITABLE_FORMATS.join(', ')}`, 'raw')
      .option(
        '-o, --options <options>',
        'options of the image, such as cluster_size=2M; help lists them',
        (value: string, earlier: readonly string[]) => [...earlier, value],
        [],
      )
      .option('-q, --quiet', 'say nothing')
      .option(
        '-b, --backing <file>',
        'the image below, which is shown until something is written (qcow2, qed, qcow; vpc and vhdx: of the same format)',
      )
      .option('-F, --backing-format <fmt>', 'format of that image')
      .option('-u, --unsafe', 'do not look at the image below')
      .option('--no-clobber', 'refuse an output that exists'),
  endsWithOutput: true,
  notes:
    'The image appears under its name when it is complete. Exit codes: 0 done, 1 refused or failed, 130 interrupted.',
  run,
});
