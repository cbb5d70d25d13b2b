import { apart, pathOf, type FileName } from './api.js';
import { withJson } from './json.js';
import type { OperationControl } from './operation.js';
import { amend as amendPlain, type AmendedImage, type Amendment, type AmendOptions } from './operations/amend.js';
import { bench as benchPlain, type BenchOptions, type BenchReport } from './operations/bench.js';
import { editBitmap as editBitmapPlain, type BitmapAction, type BitmapOptions } from './operations/bitmaps.js';
import { commit as commitPlain, type CommitOptions, type CommittedImage } from './operations/commit.js';
import type { EditedImage, EditOptions } from './operations/edit.js';
import { rebase as rebasePlain, type RebaseOptions } from './operations/rebase.js';
import { repair as repairPlain, type RepairOptions, type RepairReport } from './operations/repair.js';
import { resize as resizePlain, type NewSize, type ResizeOptions } from './operations/resize.js';
import * as snapshots from './operations/snapshots.js';
import type { BackingFile } from './output/backing.js';

// Edits of images, in the shape of the other functions. Each is a transaction: the image is in the end what it was, or what it was
// to become, also where the process is killed. Whoever opens it next puts back what it was, where that is needed.

/**
 * Takes an internal snapshot of an image's disk (qcow2).
 * @param name of at most 255 bytes, what is longer is cut; several snapshots may have one name
 * @throws EngineError `IMAGE_UNSUPPORTED_EDIT` where the image can have none, `IMAGE_REPAIR_FIRST`; it is then as it was
 */
export async function createSnapshot(
  file: FileName,
  name: string,
  options: EditOptions & OperationControl = {},
): Promise<EditedImage> {
  return withJson(await snapshots.createSnapshot(pathOf(file), name, ...apart<EditOptions>(options, {})));
}

/**
 * Makes the disk of an image what it was when a snapshot was taken, its size included. All snapshots stay.
 * @param name id of the snapshot, or else its name
 * @throws EngineError `IMAGE_SNAPSHOT_MISSING`, `IMAGE_UNSUPPORTED_EDIT`, `IMAGE_REPAIR_FIRST`; it is then as it was
 */
export async function applySnapshot(
  file: FileName,
  name: string,
  options: EditOptions & OperationControl = {},
): Promise<EditedImage> {
  return withJson(await snapshots.applySnapshot(pathOf(file), name, ...apart<EditOptions>(options, {})));
}

/**
 * Removes an internal snapshot: the first that has this name.
 * @throws EngineError `IMAGE_SNAPSHOT_MISSING`, `IMAGE_UNSUPPORTED_EDIT`, `IMAGE_REPAIR_FIRST`; it is then as it was
 */
export async function deleteSnapshot(
  file: FileName,
  name: string,
  options: EditOptions & OperationControl = {},
): Promise<EditedImage> {
  return withJson(await snapshots.deleteSnapshot(pathOf(file), name, ...apart<EditOptions>(options, {})));
}

/**
 * Gives the disk of an image another size. Those of raw and qcow2 images become larger and smaller, those of vmdk (of one sparse
 * file), vdi, vpc, vhdx, luks and qed larger; those of vpc may be rounded up to a geometry. The
 * data file of a qcow2 image gets the length of the disk, where `pathPolicy` allows its directory by name; stopped halfway, it is
 * longer than that.
 * @param size bytes, or a function of what it has; whole sectors of 512 but for raw
 * @throws EngineError `INVALID_OPTION`, `IMAGE_UNSUPPORTED_EDIT`, `IMAGE_REPAIR_FIRST`, `PATH_REFUSED`; it is then as it was
 */
export async function resize(
  file: FileName,
  size: NewSize,
  options: ResizeOptions & OperationControl = {},
): Promise<EditedImage> {
  return withJson(await resizePlain(pathOf(file), size, ...apart<ResizeOptions>(options, {})));
}

/**
 * Checks an image's metadata, and makes it agree with itself, as `qemu-img check -r` does (qcow2, qed, parallels, vhdx, and
 * vdi). Where nothing is wrong, nothing is changed.
 * @throws EngineError `UNSUPPORTED_FORMAT` for formats that are not repaired; the image is then as it was
 */
export async function repair(file: FileName, options: RepairOptions & OperationControl = {}): Promise<RepairReport> {
  return withJson(await repairPlain(pathOf(file), ...apart<RepairOptions>(options, {})));
}

/**
 * Changes a persistent bitmap of an image (qcow2): all that is asked, in the order in which it is asked, or nothing.
 * @throws EngineError `IMAGE_BITMAP_MISSING`, `IMAGE_BITMAP_EXISTS`, `IMAGE_UNSUPPORTED_EDIT`; the image is then as it was
 */
export async function editBitmap(
  file: FileName,
  name: string,
  actions: readonly BitmapAction[],
  options: BitmapOptions & OperationControl = {},
): Promise<EditedImage> {
  return withJson(await editBitmapPlain(pathOf(file), name, actions, ...apart<BitmapOptions>(options, {})));
}

/**
 * Changes options of an image that it was created with (qcow2), or the passphrases that open it (qcow2 and luks, with LUKS 1). A slot
 * that loses the key is empty at once; its stripes are overwritten in a second step, of which no undo log keeps a copy.
 * @throws EngineError `INVALID_OPTION`, `IMAGE_UNSUPPORTED_EDIT`, `IMAGE_ENCRYPTED`; the image is then as it was
 */
export async function amend(
  file: FileName,
  amendment: Amendment,
  options: AmendOptions & OperationControl = {},
): Promise<AmendedImage> {
  return withJson(await amendPlain(pathOf(file), amendment, ...apart<AmendOptions>(options, {})));
}

/**
 * Gives an image another backing file, or none, as `qemu-img rebase` does (qcow2, differencing vpc and vhdx). What the disk shows stays: what reads
 * differently through the new one is copied into the image first.
 * @param backing name as the image is to hold it, relative to the image, and format; undefined for none
 * @throws EngineError; the image is then as it was
 */
export async function rebase(
  file: FileName,
  backing: BackingFile | undefined,
  options: RebaseOptions & OperationControl = {},
): Promise<EditedImage> {
  return withJson(await rebasePlain(pathOf(file), backing, ...apart<RebaseOptions>(options, {})));
}

/**
 * Copies what an image holds into an image below it, as `qemu-img commit` does, of every format that is written in place. The image is emptied
 * afterwards, unless it is to keep its content; first the one below is complete.
 * @throws EngineError; both images are then as they were, or the one below has the content and the image has kept it as well
 */
export async function commit(file: FileName, options: CommitOptions & OperationControl = {}): Promise<CommittedImage> {
  return withJson(await commitPlain(pathOf(file), ...apart<CommitOptions>(options, {})));
}

/**
 * Measures how fast the disk of an image is read or, with a `pattern`, written, as `qemu-img bench` does.
 * @throws EngineError `INVALID_OPTION` where a request would end behind the disk; the image is then as it was
 */
export async function bench(file: FileName, options: BenchOptions & OperationControl = {}): Promise<BenchReport> {
  return withJson(await benchPlain(pathOf(file), ...apart<BenchOptions>(options, {})));
}
