import { EDIT_ACTION } from '@instar/shared-abi';
import { EngineError } from '../errors.js';
import { formatName } from '../format-names.js';
import type { OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import { checkBitmapActions, checkEditOptions } from '../options/edits.js';
import { checkFileName } from '../options/operations.js';
import { editing, editName, otherName, type EditedImage, type EditOptions, type EditRequest } from './edit.js';

/** What is done to a bitmap. */
export type BitmapAction =
  | {
      readonly action: 'add';
      /** Bytes that a bit stands for: a power of two from 512 to 2^31 (default: those of a cluster, within 4 KiB to 64 KiB). */
      readonly granularity?: bigint | number | undefined;
    }
  | { readonly action: 'remove' | 'clear' | 'enable' | 'disable' }
  | {
      readonly action: 'merge';
      /** Name of the bitmap whose bits are added. */
      readonly source: string;
    };

const NUMBERS = {
  add: EDIT_ACTION.values.BITMAP_ADD,
  remove: EDIT_ACTION.values.BITMAP_REMOVE,
  clear: EDIT_ACTION.values.BITMAP_CLEAR,
  enable: EDIT_ACTION.values.BITMAP_ENABLE,
  disable: EDIT_ACTION.values.BITMAP_DISABLE,
  merge: EDIT_ACTION.values.BITMAP_MERGE,
} as const;

function granularityBits(granularity: bigint): number {
  const bits = granularity.toString(2).length - 1;
  if (bits < 9 || bits > 31 || granularity !== 1n << BigInt(bits)) {
    throw new EngineError(
      'INVALID_OPTION',
      `the granularity is ${granularity}, expected a power of 2 from 512 to 2^31`,
    );
  }
  return bits;
}

/** @throws EngineError `INVALID_OPTION` */
function requestOf(name: string, wish: BitmapAction): EditRequest {
  return {
    action: NUMBERS[wish.action],
    ...editName(name),
    ...(wish.action === 'merge' ? otherName(wish.source) : {}),
    ...(wish.action === 'add' && wish.granularity !== undefined
      ? { number: granularityBits(BigInt(wish.granularity)) }
      : {}),
  };
}

/**
 * Changes a persistent bitmap of an image (qcow2): all that is asked, in the order in which it is asked, or nothing.
 * @throws EngineError `IMAGE_BITMAP_MISSING`, `IMAGE_BITMAP_EXISTS`, `IMAGE_UNSUPPORTED_EDIT`; the image is then as it was
 */
export async function editBitmap(
  file: string,
  name: string,
  givenActions: readonly BitmapAction[],
  givenOptions: EditOptions = {},
  givenControl: OperationControl = {},
): Promise<EditedImage> {
  checkFileName(file);
  const requests = checkBitmapActions(givenActions).map((action) => requestOf(name, action));
  const options = checkEditOptions(givenOptions);
  return editing(file, options, checkControl(givenControl), async ({ info, edit }) => {
    for (const request of requests) await edit(request);
    return { format: formatName(info.format), virtualSize: info.virtual_size };
  });
}
