import { EDIT_ACTION, EDIT_FLAG } from '@instar/shared-abi';
import { EngineError } from '../errors.js';
import type { OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import { checkResizeOptions } from '../options/edits.js';
import { checkFileName } from '../options/operations.js';
import { editImage, type EditedImage, type EditOptions } from './edit.js';

/** How an image is resized. */
export interface ResizeOptions extends EditOptions {
  /** Whether it may become smaller, which takes data away (default false). */
  readonly shrink?: boolean | undefined;
}

/** Bytes of a disk, or what they are to become, by what they are now. */
export type NewSize = bigint | number | ((before: bigint) => bigint);

const SECTOR = 512n;

/**
 * Gives the disk of an image another size (raw, qcow2).
 * @param size bytes; of qcow2 whole sectors of 512
 * @throws EngineError `INVALID_OPTION`, `IMAGE_UNSUPPORTED_EDIT`, `IMAGE_REPAIR_FIRST`; it is then as it was
 */
export async function resize(
  file: string,
  size: NewSize,
  givenOptions: ResizeOptions = {},
  givenControl: OperationControl = {},
): Promise<EditedImage> {
  checkFileName(file);
  const { size: given, shrink = false, ...options } = checkResizeOptions({ ...givenOptions, size });
  return editImage(file, options, checkControl(givenControl), ({ virtual_size: before }, isRaw) => {
    const bytes = typeof given === 'bigint' ? given : given(before);
    const refuse = (what: string): EngineError => new EngineError('INVALID_OPTION', what, { file });
    if (bytes <= 0n) throw refuse(`would have ${bytes} bytes, expected a size that is positive`);
    if (bytes < before && !shrink) {
      throw refuse(
        `would become smaller, from ${before} to ${bytes} bytes, which takes data away; allow that with --shrink`,
      );
    }
    if (!isRaw && bytes % SECTOR !== 0n) throw refuse(`would have ${bytes} bytes, expected a multiple of ${SECTOR}`);
    return { action: EDIT_ACTION.values.RESIZE, size: bytes, flags: shrink ? EDIT_FLAG.values.SHRINK : 0 };
  });
}
