import { EDIT_ACTION } from '@instar/shared-abi';
import type { OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import { checkEditOptions } from '../options/edits.js';
import { checkFileName, checkName } from '../options/operations.js';
import { editImage, editName, type EditedImage, type EditOptions } from './edit.js';

async function editSnapshots(
  file: string,
  action: number,
  name: string,
  givenOptions: EditOptions,
  givenControl: OperationControl,
): Promise<EditedImage> {
  checkFileName(file);
  checkName(name);
  const options = checkEditOptions(givenOptions);
  return editImage(file, options, checkControl(givenControl), () => ({
    action,
    ...editName(name),
  }));
}

/** Bytes of a name that an image keeps. */
const MOST_NAME = 255;

/** As much of a name as an image keeps; a character that it has no room for goes as a whole. */
function cutName(name: string): string {
  const bytes = Buffer.from(checkName(name));
  if (bytes.length <= MOST_NAME) return name;
  return new TextDecoder().decode(bytes.subarray(0, MOST_NAME)).replace(/\uFFFD$/u, '');
}

/**
 * Takes an internal snapshot of an image's disk (qcow2).
 * @param name of at most 255 bytes, what is longer is cut; several snapshots may have one name
 * @throws EngineError `IMAGE_UNSUPPORTED_EDIT` where the image can have none, `IMAGE_REPAIR_FIRST`; it is then as it was
 */
export async function createSnapshot(
  file: string,
  name: string,
  options: EditOptions = {},
  control: OperationControl = {},
): Promise<EditedImage> {
  return editSnapshots(file, EDIT_ACTION.values.SNAPSHOT_CREATE, cutName(name), options, control);
}

/**
 * Makes the disk of an image what it was when a snapshot was taken, its size included. All snapshots stay.
 * @param name id of the snapshot, or else its name
 * @throws EngineError `IMAGE_SNAPSHOT_MISSING`, `IMAGE_UNSUPPORTED_EDIT`, `IMAGE_REPAIR_FIRST`; it is then as it was
 */
export async function applySnapshot(
  file: string,
  name: string,
  options: EditOptions = {},
  control: OperationControl = {},
): Promise<EditedImage> {
  return editSnapshots(file, EDIT_ACTION.values.SNAPSHOT_APPLY, name, options, control);
}

/**
 * Removes an internal snapshot: the first that has this name.
 * @throws EngineError `IMAGE_SNAPSHOT_MISSING`, `IMAGE_UNSUPPORTED_EDIT`, `IMAGE_REPAIR_FIRST`; it is then as it was
 */
export async function deleteSnapshot(
  file: string,
  name: string,
  options: EditOptions = {},
  control: OperationControl = {},
): Promise<EditedImage> {
  return editSnapshots(file, EDIT_ACTION.values.SNAPSHOT_DELETE, name, options, control);
}
