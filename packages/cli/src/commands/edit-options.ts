import type { EditOptions } from '@instar/engine';
import type { Command } from 'commander';
import type { ImageFlags } from './define-command.js';

/** Flags of every command that edits an image. */
export interface EditFlags {
  readonly undo: boolean;
}

/** Options of every command that edits an image. */
export function editing(command: Command): Command {
  return command
    .option('-f, --format <fmt>', 'format of the image; it is then not probed')
    .option('-q, --quiet', 'say nothing')
    .option('--no-undo', 'write no undo log: an edit that is interrupted then leaves the image half edited');
}

/** What they say. */
export function editOptions({ format, undo }: EditFlags & ImageFlags): EditOptions {
  return { format, undo };
}

/** For the help of commands that write content. */
export const DATA_FILE_NOTES =
  'Content of a qcow2 image with an external data file is written into that, where its directory is allowed with --allow-path; both\n' +
  'files are then as they were, or both as they were to become. Put back is what was interrupted by whoever opens the image and allows\n' +
  'the same.';

/** For the help of commands. */
export const EDIT_NOTES =
  'While the image is edited, what is overwritten stands in FILE.instar-undo beside it. In the end the image is as it was or\n' +
  'as it was to become, also when the command is killed: whoever opens the image next puts back what it was.\n' +
  'Exit codes: 0 done, 1 refused or failed, 130 interrupted.';
