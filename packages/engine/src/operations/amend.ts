import { EDIT_ACTION, EDIT_FLAG } from '@instar/shared-abi';
import { EngineError } from '../errors.js';
import type { OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import { checkAmendment, checkEditOptions } from '../options/edits.js';
import { checkFileName } from '../options/operations.js';
import { editing, type EditedImage, type EditOptions } from './edit.js';
import { formatName } from '../format-names.js';

/** Options of an image that are changed; what is absent stays as it is. */
export interface Amendment {
  /** Version of the format: 2 (`compat=0.10`) or 3 (`compat=1.1`). */
  readonly version?: 2 | 3 | undefined;
  /** Whether refcounts are updated late. */
  readonly lazyRefcounts?: boolean | undefined;
  /** Width of a refcount in bits: a power of two up to 64. */
  readonly refcountBits?: number | undefined;
  /** Bytes of the disk; data behind them is cut off. */
  readonly size?: bigint | number | undefined;
}

const { LAZY_OFF, LAZY_ON, SHRINK, VERSION_2, VERSION_3 } = EDIT_FLAG.values;

function flagsOf({ version, lazyRefcounts }: Amendment): number {
  const ofVersion = version === undefined ? 0 : version === 2 ? VERSION_2 : VERSION_3;
  return ofVersion | (lazyRefcounts === undefined ? 0 : lazyRefcounts ? LAZY_ON : LAZY_OFF);
}

/**
 * Changes options of an image that it was created with (qcow2).
 * @throws EngineError `INVALID_OPTION`, `IMAGE_UNSUPPORTED_EDIT`; the image is then as it was
 */
export async function amend(
  file: string,
  givenAmendment: Amendment,
  givenOptions: EditOptions = {},
  givenControl: OperationControl = {},
): Promise<EditedImage> {
  checkFileName(file);
  const { size, ...wish } = checkAmendment(givenAmendment);
  const bits = wish.refcountBits ?? 16;
  if (bits < 1 || bits > 64 || (bits & (bits - 1)) !== 0) {
    throw new EngineError('INVALID_OPTION', `the refcount width is ${bits}, expected a power of two up to 64`);
  }
  const options = checkEditOptions(givenOptions);
  return editing(file, options, checkControl(givenControl), async ({ info, isRaw, edit }) => {
    const format = formatName(info.format);
    if (isRaw) {
      throw new EngineError('UNSUPPORTED_FORMAT', `images of format ${format} have no options to amend`, { file });
    }
    const request = { action: EDIT_ACTION.values.AMEND, flags: flagsOf(wish), number: wish.refcountBits ?? 0 };
    let { virtual_size: virtualSize } = await edit(request);
    if (size !== undefined) {
      const resized = await edit({ action: EDIT_ACTION.values.RESIZE, size, flags: SHRINK });
      virtualSize = resized.virtual_size;
    }
    return { format, virtualSize };
  });
}
