import { EngineError, escapeText, READABLE_FORMATS, rebase } from '@instar/engine';
import { EXIT_CODES } from '../exit-codes.js';
import { CACHE_MODES } from './cache-modes.js';
import { defineCommand, type CommandRun } from './define-command.js';
import { DATA_FILE_NOTES, EDIT_NOTES, editing, editOptions, type EditFlags } from './edit-options.js';
import { recordText } from '../render/record.js';
import { standardOutput } from '../process/standard-streams.js';

interface RebaseFlags extends EditFlags {
  readonly backing?: string;
  readonly backingFormat?: string;
  readonly backingUnsafe?: boolean;
  readonly compress?: boolean;
}

async function run({ files, flags, json, control, pathPolicy, additions }: CommandRun<RebaseFlags>): Promise<number> {
  const [file = ''] = files;
  const { backing, backingFormat: format, backingUnsafe: unsafe, compress } = flags;
  if (backing === undefined && unsafe !== true) {
    throw new EngineError('INVALID_OPTION', 'needs a backing file (-b), or -u for none');
  }
  const knows = (READABLE_FORMATS as readonly string[]).includes(format ?? 'raw');
  if (!additions && !knows)
    throw new EngineError('INVALID_OPTION', `Invalid format name: '${escapeText(format ?? '')}'`);
  const named = backing === undefined || backing === '' ? undefined : backing;
  if (named !== undefined && format === undefined) {
    throw new EngineError(
      'INVALID_OPTION',
      `-b needs the format of '${escapeText(named)}' (-F): nobody is to guess it later`,
    );
  }
  const below = named === undefined || format === undefined ? undefined : { file: named, format };
  const result = await rebase(file, below, { ...editOptions(flags), unsafe, compress, pathPolicy, ...control });
  if (json) standardOutput.write(recordText({ result: { filename: file, ...result } }));
  return EXIT_CODES.OK;
}

/** `instar rebase` */
export const rebaseCommand = defineCommand<RebaseFlags>({
  name: 'rebase',
  about:
    'Gives an image another backing file (qcow2, differencing vpc and vhdx). What its disk shows stays, without -u.',
  operands: [['<file>', 'the image']],
  options: (command, values) =>
    editing(command)
      .option('-b, --backing <file>', "the new backing file, as the image is to name it; '' for none")
      .option('-F, --backing-format <fmt>', 'its format')
      .option('-u, --backing-unsafe', 'only change the name: the disk shows what the new backing file holds')
      .option('-c, --compress', 'compress what is copied into the image, where that makes it shorter')
      .option('-p, --progress', 'show how far it is; with --json as records on standard error')
      .option('-t, --cache <mode>', 'without effect', values.oneOf(CACHE_MODES))
      .option('-T, --backing-cache <mode>', 'without effect', values.oneOf(CACHE_MODES)),
  showsProgress: true,
  notes: `${DATA_FILE_NOTES}\n${EDIT_NOTES}`,
  run,
});
