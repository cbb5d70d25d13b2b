import { closeFile, identity, lockInput, statFile, type EditedFile } from '@instar/host-files';
import { DEVICE_ROLE, EDIT_ACTION, EDIT_FLAG } from '@instar/shared-abi';
import { openChain, type Chain } from '../chain.js';
import { EngineError } from '../errors.js';
import { formatName } from '../format-names.js';
import { forcedFormat } from '../formats.js';
import { openInput } from '../input-file.js';
import type { OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import { checkBitmapActions, checkBitmapOptions } from '../options/edits.js';
import { NO_REFERENCES } from '../path-policy.js';
import type { GuestSession } from '../session/session.js';
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

/** How bitmaps are changed. */
export interface BitmapOptions extends EditOptions {
  /** The image whose bitmaps `merge` names (default: the edited one). */
  readonly from?: { readonly file: string; readonly format?: string | undefined } | undefined;
}

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
  givenOptions: BitmapOptions = {},
  givenControl: OperationControl = {},
): Promise<EditedImage> {
  checkFileName(file);
  const requests = checkBitmapActions(givenActions).map((action) => requestOf(name, action));
  const { from, ...options } = checkBitmapOptions(givenOptions);
  return editing(file, options, checkControl(givenControl), async ({ session, file: edited, info, edit }) => {
    const other = from && (await openOther(from, edited, session));
    const { BITMAP_MERGE } = EDIT_ACTION.values;
    try {
      for (const request of requests) {
        const merges = other !== undefined && request.action === BITMAP_MERGE;
        await edit(merges ? { ...request, flags: EDIT_FLAG.values.OTHER_IMAGE } : request);
      }
    } finally {
      await other?.close();
    }
    return { format: formatName(info.format), virtualSize: info.virtual_size };
  });
}

/** Opens the image whose bitmaps are taken. @throws EngineError `SAME_FILE` where that is the edited one itself */
async function openOther(
  { file, format }: NonNullable<ReturnType<typeof checkBitmapOptions>['from']>,
  edited: EditedFile,
  session: GuestSession,
): Promise<Chain> {
  const own = identity(statFile(edited.fd));
  // Nobody else has the edited one, which would stand in the way of its own lock.
  const opened = await openInput(file, true, { onWarning: session.context.onWarning });
  if (opened.identity === own) {
    await closeFile(opened.fd);
    throw new EngineError('SAME_FILE', 'is the edited image itself, whose bitmaps are there without it', { file });
  }
  const policy = { references: NO_REFERENCES, forceShare: false, strict: false, alone: true };
  // The chain closes it where it fails.
  const chain = await openChain(opened, forcedFormat(format, file), policy, session, DEVICE_ROLE.values.COMPARED);
  try {
    lockInput(opened.fd, file);
    return chain;
  } catch (error) {
    await chain.close();
    throw error;
  }
}
