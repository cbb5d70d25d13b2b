import { editBitmap, EngineError, escapeText, type BitmapAction } from '@instar/engine';
import { parseSize } from '@instar/operands';
import type { Command } from 'commander';
import { EXIT_CODES } from '../exit-codes.js';
import { defineCommand, type CommandRun } from './define-command.js';
import { EDIT_NOTES, editing, editOptions, type EditFlags } from './edit-options.js';
import { recordText } from '../render/record.js';
import { standardOutput } from '../process/standard-streams.js';

interface BitmapFlags extends EditFlags {
  readonly granularity?: string;
  readonly sourceFile?: string;
  readonly sourceFormat?: string;
  /** Actions in the order of the command line; commander keeps none. */
  readonly actions?: readonly BitmapAction[];
}

const PLAIN = ['remove', 'clear', 'enable', 'disable'] as const;

/** Options that ask for actions, each of which is put behind those before it. */
function actionOptions(command: Command): Command {
  const actions: BitmapAction[] = [];
  const take = (action: BitmapAction): void => {
    actions.push(action);
    command.setOptionValue('actions', actions);
  };
  command.option('--add', 'make the bitmap').on('option:add', () => {
    take({ action: 'add' });
  });
  const about = {
    remove: 'remove it',
    clear: 'clear all its bits',
    enable: 'have it record writes',
    disable: 'have it record none',
  } as const;
  for (const action of PLAIN) {
    command.option(`--${action}`, about[action]).on(`option:${action}`, () => {
      take({ action });
    });
  }
  return command
    .option('--merge <bitmap>', 'add the bits of another bitmap of the image')
    .on('option:merge', (source: string) => {
      take({ action: 'merge', source });
    });
}

/** An error about bitmaps, with the action that failed. */
function inWordsOfBitmaps(
  error: EngineError,
  file: string,
  name: string,
  actions: readonly BitmapAction[],
): EngineError {
  const failed = (action: string, why: string): EngineError =>
    new EngineError(error.code, `operation ${action} on bitmap '${escapeText(name)}' failed: ${why}`, {
      file,
      cause: error,
    });
  if (error.message.startsWith('the granularity is ')) return failed('add', error.message);
  if (error.code === 'IMAGE_BITMAP_EXISTS') return failed('add', 'it exists already');
  if (error.code !== 'IMAGE_BITMAP_MISSING') return error;
  const merged = actions.flatMap((wish) => (wish.action === 'merge' ? [wish.source] : []));
  const missing = merged.find((source) => error.message.endsWith(`: ${source}`));
  if (missing !== undefined) return failed('merge', `there is no bitmap '${escapeText(missing)}'`);
  const first = actions.find(({ action }) => action !== 'add')?.action ?? 'add';
  return failed(first, `there is no bitmap '${escapeText(name)}'`);
}

async function run({ files, flags, json, control }: CommandRun<BitmapFlags>): Promise<number> {
  const [file, name] = files;
  if (file === undefined || name === undefined) {
    throw new EngineError(
      'INVALID_OPTION',
      'needs an image and the name of a bitmap, as in bitmap --add disk.qcow2 b0',
    );
  }
  const granularity = flags.granularity === undefined ? undefined : parseSize(flags.granularity);
  const actions = (flags.actions ?? []).map((wish) => (wish.action === 'add' ? { ...wish, granularity } : wish));
  if (actions.length === 0) {
    throw new EngineError('INVALID_OPTION', 'needs one of --add, --remove, --clear, --enable, --disable and --merge');
  }
  if (granularity !== undefined && !actions.some(({ action }) => action === 'add')) {
    throw new EngineError('INVALID_OPTION', '-g is of use with --add only');
  }
  const { sourceFile, sourceFormat } = flags;
  if (sourceFile !== undefined && !actions.some(({ action }) => action === 'merge')) {
    throw new EngineError('INVALID_OPTION', 'Merge bitmap source file only supported with --merge');
  }
  if (sourceFile === undefined && sourceFormat !== undefined) {
    throw new EngineError('INVALID_OPTION', '-F only supported with -b');
  }
  const from = sourceFile === undefined ? undefined : { file: sourceFile, format: sourceFormat };
  const result = await editBitmap(file, name, actions, { ...editOptions(flags), from, ...control }).catch(
    (error: unknown) => {
      throw error instanceof EngineError ? inWordsOfBitmaps(error, file, name, actions) : error;
    },
  );
  if (json) standardOutput.write(recordText({ result: { filename: file, bitmap: name, ...result } }));
  return EXIT_CODES.OK;
}

/** `instar bitmap` */
export const bitmapCommand = defineCommand<BitmapFlags>({
  name: 'bitmap',
  about:
    'Changes a persistent bitmap of an image (qcow2). Several actions are done in the order in which they are given.',
  namesOneImage: true,
  operands: [
    ['[file]', 'the image'],
    ['[bitmap]', 'name of the bitmap'],
  ],
  options: (command) =>
    editing(
      actionOptions(command)
        .option('-g, --granularity <size>', 'bytes that a bit of a new bitmap stands for')
        .option('-b, --source-file <file>', 'with --merge: the other bitmap is in this image')
        .option('-F, --source-format <fmt>', 'format of that image'),
    ),
  notes: EDIT_NOTES,
  run,
});
