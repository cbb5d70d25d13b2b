import { applySnapshot, createSnapshot, deleteSnapshot, EngineError, escapeText, info } from '@instar/engine';
import { EXIT_CODES } from '../exit-codes.js';
import { snapshotRecord } from '../render/info-json.js';
import { snapshotLines } from '../render/info-text.js';
import { toJson } from '../render/json.js';
import { defineCommand, type CommandRun } from './define-command.js';
import { EDIT_NOTES, editing, editOptions, type EditFlags } from './edit-options.js';
import { recordText } from '../render/record.js';
import { standardOutput } from '../process/standard-streams.js';

interface SnapshotFlags extends EditFlags {
  readonly list?: boolean;
  readonly apply?: string;
  readonly create?: string;
  readonly delete?: string;
}

const ACTIONS = { apply: applySnapshot, create: createSnapshot, delete: deleteSnapshot } as const;

/** What is to be done with which snapshot; undefined for the list. */
function actionOf(flags: SnapshotFlags): { readonly action: keyof typeof ACTIONS; readonly name: string } | undefined {
  const wanted = (['apply', 'create', 'delete'] as const).flatMap((action) => {
    const name = flags[action];
    return name === undefined ? [] : [{ action, name }];
  });
  if (wanted.length + (flags.list === true ? 1 : 0) > 1) {
    throw new EngineError(
      'INVALID_OPTION',
      "found several of '-l', '-a', '-c', '-d', expected one; see instar snapshot --help",
    );
  }
  return wanted[0];
}

async function run({ files, flags, json, control, additions, say }: CommandRun<SnapshotFlags>): Promise<number> {
  const [file = ''] = files;
  const chosen = actionOf(flags);
  if (chosen === undefined) {
    const { format, forceShare } = flags;
    const { snapshots } = await info(file, { format, forceShare }, control);
    if (json) standardOutput.write(`${toJson(snapshots.map(snapshotRecord))}\n`);
    else {
      // With qemu-img -q leaves out what else is said, of which the list is none.
      const print = (line: string): void => {
        standardOutput.write(`${line}\n`);
      };
      snapshotLines(snapshots).forEach(additions ? say : print);
    }
    return EXIT_CODES.OK;
  }
  const { action, name } = chosen;
  try {
    const result = await ACTIONS[action](file, name, { ...editOptions(flags), ...control });
    if (json) standardOutput.write(recordText({ result: { filename: file, ...result } }));
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'IMAGE_SNAPSHOT_MISSING') throw error;
    const message = `could not ${action} the snapshot: it has none of the ${action === 'apply' ? 'id or name' : 'name'} '${escapeText(name)}'`;
    throw new EngineError(error.code, message, { file, cause: error });
  }
  return EXIT_CODES.OK;
}

/** `instar snapshot` */
export const snapshotCommand = defineCommand<SnapshotFlags>({
  name: 'snapshot',
  about: 'Lists, takes, applies or deletes internal snapshots of an image (qcow2).',
  operands: [['<file>', 'the image']],
  options: (command) =>
    editing(
      command
        .option('-l, --list', 'list the snapshots, as without any of these')
        .option('-c, --create <name>', 'take a snapshot')
        .option('-a, --apply <snapshot>', 'make the disk what it was then, by id or name')
        .option('-d, --delete <name>', 'delete the first snapshot of this name'),
    ),
  notes: EDIT_NOTES,
  run,
});
