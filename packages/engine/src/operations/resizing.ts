import { EngineError } from '../errors.js';
import type { OperationControl } from '../operation.js';
import { IMAGE_DIRECTORY_ONLY, type PathPolicy } from '../path-policy.js';
import type { OwnSecret } from '../secrets.js';
import { requireDataFileApart } from './data-file-apart.js';
import { editing, type Editing, type EditOptions } from './edit.js';
import { openResizedDataFile, type NewDisk, type ResizedDataFile } from './resized-data-file.js';

/** An edit that may give the disk another size. */
export interface ResizeEditOptions extends EditOptions {
  /** Where the external data file of an image may be written to: in the directories that this allows by name (default: nowhere). */
  readonly pathPolicy?: PathPolicy | undefined;
}

/** An image that is being edited, and may get another size. */
export interface Resizing extends Editing {
  /**
   * To be called before the guest is asked for another size: gives the external data file what the disk gets. What the disk loses is
   * cut off there when the image is complete.
   * @returns whether the image has such a file
   */
  readonly prepareDataFile: (disk: NewDisk) => Promise<boolean>;
}

/**
 * Edits an image in place, as `editing` does, together with the length of its data file.
 * @throws EngineError; both files are then as they were, or the data file is longer
 */
export async function resizing<T>(
  path: string,
  { pathPolicy = IMAGE_DIRECTORY_ONLY, ...options }: ResizeEditOptions,
  control: OperationControl,
  work: (resizing: Resizing) => Promise<T>,
  secrets: readonly OwnSecret[] = [],
): Promise<T> {
  let dataFile: ResizedDataFile | undefined;
  const withDataFile = async (edited: Editing): Promise<T> => {
    const prepareDataFile = async (disk: NewDisk): Promise<boolean> => {
      await requireDataFileApart(edited.file, edited.info, pathPolicy, control);
      dataFile = await openResizedDataFile(edited.file, edited.info, pathPolicy);
      await dataFile?.grow(disk);
      return dataFile !== undefined;
    };
    return work({ ...edited, prepareDataFile });
  };
  try {
    const result = await editing(path, { ...options, references: pathPolicy }, control, withDataFile, secrets).catch(
      async (error: unknown) => {
        // An image that may have its new size, or get it yet, keeps the bytes for that.
        const isAsItWas =
          options.undo !== false && !(error instanceof EngineError && error.code === 'EDIT_INTERRUPTED');
        if (isAsItWas) await dataFile?.undo();
        throw error;
      },
    );
    await dataFile?.cut();
    return result;
  } finally {
    await dataFile?.close();
  }
}
