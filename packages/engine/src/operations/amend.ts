import { EDIT_ACTION, EDIT_FLAG } from '@instar/shared-abi';
import { EngineError } from '../errors.js';
import type { OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import { checkAmendment, checkAmendOptions } from '../options/edits.js';
import { checkFileName } from '../options/operations.js';
import { editName, type EditedImage } from './edit.js';
import {
  checkKeySlotChange,
  numbersOf,
  requestOf,
  requireKeySlots,
  secretsOf,
  wipe,
  type KeySlotChange,
} from './key-slots.js';
import { endsWithinCluster, growOverlay } from './grow-overlay.js';
import { resizing, type ResizeEditOptions, type Resizing } from './resizing.js';
import { formatName } from '../format-names.js';

/** How options of an image are changed. */
export interface AmendOptions extends ResizeEditOptions {
  /**
   * Key slots that hold the key are filled anew, empty ones are overwritten again, and the last that holds it is emptied: nobody
   * can read the disk then (default false).
   */
  readonly force?: boolean | undefined;
}

/** What an amendment came to. */
export interface AmendedImage extends EditedImage {
  /** Numbers of the key slots that were changed, where that was asked for. */
  readonly keySlots?: readonly number[];
}

/** Options of an image that are changed; what is absent stays as it is. */
export interface Amendment {
  /** Version of the format: 2 (`compat=0.10`) or 3 (`compat=1.1`). */
  readonly version?: 2 | 3 | undefined;
  /** Whether refcounts are updated late. */
  readonly lazyRefcounts?: boolean | undefined;
  /** Width of a refcount in bits: a power of two up to 64. */
  readonly refcountBits?: number | undefined;
  /**
   * Name of the external data file as the image is to hold it, of an image that has one. The file is not looked at: it must have
   * what the old one has.
   */
  readonly dataFile?: string | undefined;
  /** `false`: the external data file need not be a raw image any more. `true` is refused where it need not be one so far. */
  readonly dataFileRaw?: boolean | undefined;
  /** Bytes of the disk; data behind them is cut off. */
  readonly size?: bigint | number | undefined;
  /** Which passphrases open it, where it is encrypted with LUKS: one that does is among those of the operation. */
  readonly keySlots?: KeySlotChange | undefined;
}

const { DATA_FILE, DATA_FILE_RAW_OFF, DATA_FILE_RAW_ON, LAZY_OFF, LAZY_ON, SHRINK, VERSION_2, VERSION_3 } =
  EDIT_FLAG.values;

function flagsOf({ version, lazyRefcounts, dataFile, dataFileRaw }: Amendment): number {
  const ofVersion = version === undefined ? 0 : version === 2 ? VERSION_2 : VERSION_3;
  const ofRaw = dataFileRaw === undefined ? 0 : dataFileRaw ? DATA_FILE_RAW_ON : DATA_FILE_RAW_OFF;
  const ofDataFile = dataFile === undefined ? 0 : DATA_FILE;
  return ofVersion | ofRaw | ofDataFile | (lazyRefcounts === undefined ? 0 : lazyRefcounts ? LAZY_ON : LAZY_OFF);
}

/**
 * Changes options of an image that it was created with (qcow2), or its key slots (qcow2, luks).
 * @throws EngineError `INVALID_OPTION`, `IMAGE_UNSUPPORTED_EDIT`, `IMAGE_ENCRYPTED`; the image is then as it was
 */
export async function amend(
  file: string,
  givenAmendment: Amendment,
  givenOptions: AmendOptions = {},
  givenControl: OperationControl = {},
): Promise<AmendedImage> {
  checkFileName(file);
  const { size, keySlots: change, ...wish } = checkAmendment(givenAmendment);
  const bits = wish.refcountBits ?? 16;
  if (bits < 1 || bits > 64 || (bits & (bits - 1)) !== 0) {
    throw new EngineError('INVALID_OPTION', `the refcount width is ${bits}, expected a power of two up to 64`);
  }
  if (size !== undefined && wish.dataFile !== undefined) {
    throw new EngineError(
      'INVALID_OPTION',
      'the disk gets its size with the data file that it has; amend the name of that alone',
    );
  }
  const { force = false, ...options } = checkAmendOptions(givenOptions);
  const control = checkControl(givenControl);
  let slots = 0;
  const work = async ({ info, isRaw, edit, prepareDataFile }: Resizing): Promise<EditedImage | undefined> => {
    const format = formatName(info.format);
    if (isRaw) {
      throw new EngineError('UNSUPPORTED_FORMAT', `images of format ${format} have no options to amend`, { file });
    }
    if (size !== undefined && endsWithinCluster(info, size)) {
      if (change === undefined && Object.values(wish).every((value) => value === undefined)) return undefined;
      const problem = 'ends within a cluster of which its backing file may show something; amend its size alone';
      throw new EngineError('IMAGE_UNSUPPORTED_EDIT', problem, { file });
    }
    let virtualSize = info.virtual_size;
    if (change !== undefined) {
      requireKeySlots(info, file);
      checkKeySlotChange(change);
      ({ key_slots: slots } = await edit(requestOf(change, info, force)));
    }
    if (change === undefined || Object.values(wish).some((value) => value !== undefined)) {
      const how = { flags: flagsOf(wish), number: wish.refcountBits ?? 0, ...editName(wish.dataFile ?? '') };
      const request = { action: EDIT_ACTION.values.AMEND, ...how };
      ({ virtual_size: virtualSize } = await edit(request));
    }
    if (size !== undefined) {
      const { virtual_size: before } = info;
      await prepareDataFile({ before, after: size, preallocated: false, allocated: false });
      const resized = await edit({ action: EDIT_ACTION.values.RESIZE, size, flags: SHRINK });
      virtualSize = resized.virtual_size;
    }
    return { format, virtualSize };
  };
  const amended = await resizing(file, options, control, work, change === undefined ? [] : secretsOf(change));
  const edited = amended ?? (await growOverlay(file, size ?? 0n, 'off', options, control));
  if (change === undefined) return edited;
  if (change.state === 'inactive' && slots !== 0) await wipe(file, options, slots, control);
  return { ...edited, keySlots: numbersOf(slots) };
}
