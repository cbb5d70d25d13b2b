import { EngineError, resize, type NewSize } from '@instar/engine';
import { parseSize } from '@instar/operands';
import { EXIT_CODES } from '../exit-codes.js';
import { defineCommand, type CommandRun } from './define-command.js';
import { asCommand } from './description.js';
import { EDIT_NOTES, editing, editOptions, type EditFlags } from './edit-options.js';
import { recordText } from '../render/record.js';
import { standardOutput } from '../process/standard-streams.js';

const PREALLOCATIONS = ['off', 'metadata', 'falloc', 'full'] as const;

interface ResizeFlags extends EditFlags {
  readonly shrink?: boolean;
  readonly preallocation?: (typeof PREALLOCATIONS)[number];
}

/** What its help says of data files. */
const DATA_FILE_NOTES =
  'The external data file of a qcow2 image gets the length of the disk, where its directory is allowed with --allow-path. It grows\n' +
  'before the image and shrinks after it; stopped between the two, it is longer than the disk.';

/** `10G`, or `+10G` and `-10G` by what it is now. */
function newSize(text: string): NewSize {
  const [, sign = '', amount = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  const bytes = parseSize(amount);
  if (sign === '') return bytes;
  return (before) => (sign === '+' ? before + bytes : before - bytes);
}

async function run({ files, flags, json, control, pathPolicy, say }: CommandRun<ResizeFlags>): Promise<number> {
  const [file = '', size] = files;
  if (size === undefined) {
    throw new EngineError('INVALID_OPTION', 'needs an image and a size, as in resize disk.qcow2 +10G');
  }
  const options = { ...editOptions(flags), shrink: flags.shrink, preallocation: flags.preallocation, pathPolicy };
  const result = await resize(file, newSize(size), { ...options, ...control });
  if (json) standardOutput.write(recordText({ result: { filename: file, ...result } }));
  else say('Image resized.');
  return EXIT_CODES.OK;
}

const command = defineCommand<ResizeFlags>({
  name: 'resize',
  about:
    'Gives the disk of an image another size. Those of raw and qcow2 images also become smaller; those of vmdk, vdi, vpc, vhdx, ' +
    'luks and qed become larger.',
  namesOneImage: true,
  operands: [
    ['<file>', 'the image'],
    ['[size]', 'bytes, such as 10G; +10G and -10G add to what it has and take from it'],
  ],
  options: (command, values) =>
    editing(
      command
        .option('--shrink', 'allow that data is cut off')
        .option(
          '--preallocation <mode>',
          'what is added has its place at once: metadata (qcow2), falloc or full (raw, qcow2)',
          values.oneOf(PREALLOCATIONS),
        ),
    ),
  notes: `${DATA_FILE_NOTES}\n${EDIT_NOTES}`,
  run,
});

/** `instar resize`. `-1G` is a size wherever it stands: no option begins with a digit. */
export const resizeCommand = asCommand(
  (tokens, habits) => {
    const at = tokens.includes('--') ? -1 : tokens.findIndex((token) => /^-\d/.test(token));
    const [size] = tokens.slice(at);
    if (at === -1 || size === undefined) return command(tokens, habits);
    return command([...tokens.slice(0, at), ...tokens.slice(at + 1), '--', size], habits);
  },
  () => command.describe(),
);
