import { statFile } from '@instar/host-files';
import { EDIT_ACTION, EDIT_FLAG, IMAGE_FORMAT } from '@instar/shared-abi';
import { EngineError } from '../errors.js';
import { formatName } from '../format-names.js';
import type { OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import { checkResizeOptions } from '../options/edits.js';
import { checkFileName } from '../options/operations.js';
import { allocate } from './allocate.js';
import { endsWithinCluster, growOverlay, type Preallocation } from './grow-overlay.js';
import type { EditedImage } from './edit.js';
import { resizing, type ResizeEditOptions, type Resizing } from './resizing.js';

/** How an image is resized. */
export interface ResizeOptions extends ResizeEditOptions {
  /** Whether it may become smaller, which takes data away (default false). */
  readonly shrink?: boolean | undefined;
  /**
   * What is added has its place in the file at once: `metadata` (qcow2), or is allocated on the file system as well: `falloc` and
   * `full` (raw, qcow2; default `off`).
   */
  readonly preallocation?: Preallocation | undefined;
}

/** Bytes of a disk, or what they are to become, by what they are now. */
export type NewSize = bigint | number | ((before: bigint) => bigint);

const SECTOR = 512n;
const RAW_PREALLOCATIONS: readonly string[] = ['falloc', 'full'];
const QCOW2_PREALLOCATIONS: readonly string[] = ['metadata', 'falloc', 'full'];

/**
 * Gives the disk of an image another size. Those of raw and qcow2 images become larger and smaller, those of vmdk (of one sparse
 * file), vdi, vpc, vhdx, luks and qed larger; those of vpc may be rounded up to a geometry. The
 * data file of a qcow2 image gets the length of the disk; it is longer than that where this is stopped halfway.
 * @param size bytes, whole sectors of 512 but for raw
 * @throws EngineError `INVALID_OPTION`, `IMAGE_UNSUPPORTED_EDIT`, `IMAGE_REPAIR_FIRST`, `PATH_REFUSED`; it is then as it was
 */
export async function resize(
  file: string,
  size: NewSize,
  givenOptions: ResizeOptions = {},
  givenControl: OperationControl = {},
): Promise<EditedImage> {
  checkFileName(file);
  const {
    size: given,
    shrink = false,
    preallocation = 'off',
    ...options
  } = checkResizeOptions({ ...givenOptions, size });
  let overlaySize = 0n;
  const work = async (resized: Resizing): Promise<EditedImage | undefined> => {
    const { file: edited, info, isRaw, edit, prepareDataFile } = resized;
    const { virtual_size: before } = info;
    const bytes = typeof given === 'bigint' ? given : given(before);
    const refuse = (what: string): EngineError => new EngineError('INVALID_OPTION', what, { file });
    if (bytes <= 0n) throw refuse(`would have ${bytes} bytes, expected a size that is positive`);
    if (bytes < before && !shrink) {
      throw refuse(
        `would become smaller, from ${before} to ${bytes} bytes, which takes data away; allow that with --shrink`,
      );
    }
    if (!isRaw && bytes % SECTOR !== 0n) throw refuse(`would have ${bytes} bytes, expected a multiple of ${SECTOR}`);
    if (preallocation !== 'off') {
      if (bytes < before) throw refuse('preallocation can only be used for growing images');
      const known = isRaw ? RAW_PREALLOCATIONS : info.format === IMAGE_FORMAT.values.QCOW2 ? QCOW2_PREALLOCATIONS : [];
      if (!known.includes(preallocation)) throw refuse(`unsupported preallocation mode: ${preallocation}`);
    }
    if (endsWithinCluster(info, bytes)) {
      overlaySize = bytes;
      return undefined;
    }
    const { SHRINK, PREALLOCATE } = EDIT_FLAG.values;
    const preallocated = preallocation !== 'off';
    const allocated = preallocation === 'falloc' || preallocation === 'full';
    const flags = (shrink ? SHRINK : 0) | (preallocated && !isRaw ? PREALLOCATE : 0);
    const hasDataFile = await prepareDataFile({ before, after: bytes, preallocated, allocated });
    const { size: end } = statFile(edited.fd);
    const { virtual_size: virtualSize } = await edit({ action: EDIT_ACTION.values.RESIZE, size: bytes, flags }, true);
    const { size: newEnd } = statFile(edited.fd);
    if (allocated && !hasDataFile && newEnd > end) allocate(edited.fd, end, newEnd - end, file);
    return { format: formatName(info.format), virtualSize };
  };
  const control = checkControl(givenControl);
  return (
    (await resizing(file, options, control, work)) ?? growOverlay(file, overlaySize, preallocation, options, control)
  );
}
