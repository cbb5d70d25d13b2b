import { commit } from '@instar/engine';
import { EXIT_CODES } from '../exit-codes.js';
import { CACHE_MODES } from './cache-modes.js';
import { defineCommand, type CommandRun } from './define-command.js';
import { DATA_FILE_NOTES, EDIT_NOTES, editing, editOptions, type EditFlags } from './edit-options.js';
import { recordText } from '../render/record.js';
import { standardOutput } from '../process/standard-streams.js';

interface CommitFlags extends EditFlags {
  readonly base?: string;
  readonly drop?: boolean;
  readonly rate?: bigint;
}

async function run({ files, flags, json, control, pathPolicy, done, say }: CommandRun<CommitFlags>): Promise<number> {
  const [file = ''] = files;
  const { base, drop, rate } = flags;
  const writeRate = rate === 0n ? undefined : rate;
  // `-d` says that the image is not worth emptying, because it is deleted next.
  const options = { ...editOptions(flags), base, pathPolicy, writeRate, ...(drop === true ? { keep: true } : {}) };
  const result = await commit(file, { ...options, ...control });
  done();
  if (json) standardOutput.write(recordText({ result: { filename: file, ...result } }));
  else say('Image committed.');
  return EXIT_CODES.OK;
}

/** `instar commit` */
export const commitCommand = defineCommand<CommitFlags>({
  name: 'commit',
  about:
    'Copies what an image holds into an image below it (raw, qcow2, vdi, vpc, vhdx, vmdk, qed, parallels, qcow), and empties it.',
  operands: [['<file>', 'the image']],
  options: (command, values) =>
    editing(command)
      .option('-b, --base <name>', 'the image of its chain that gets the content; the image is then not emptied')
      .option('-d, --drop', 'do not empty the image')
      .option('-r, --rate <rate>', 'most bytes that are written in a second, such as 50M', values.size)
      .option('-p, --progress', 'show how far it is; with --json as records on standard error')
      .option('-t, --cache <mode>', 'without effect', values.oneOf(CACHE_MODES)),
  showsProgress: true,
  notes: `A VHDX that lies over another one is linked to it again when that has got the content. Where the command is killed between the\ntwo, all content is there, and the image is refused until rebase -u links it.\n${DATA_FILE_NOTES}\n${EDIT_NOTES}`,
  run,
});
