import { openEdited, type EditedFile } from '@instar/host-files';
import {
  DEVICE_FLAG,
  DEVICE_ROLE,
  EDIT_RESULT_MAGIC,
  EditConfig,
  EditResult,
  IMAGE_FORMAT,
  NO_PARENT,
  type ValueOf,
} from '@instar/shared-abi';
import { withEngineErrors } from '../errors.js';
import { formatName } from '../format-names.js';
import { forcedFormat } from '../formats.js';
import { guestContext, type OperationControl } from '../operation.js';
import { look, type ImageInfo } from '../session/look.js';
import { perform } from '../session/operation.js';
import { impossibleResult } from '../session/outcome.js';
import { GuestSession } from '../session/session.js';
import { requireVirtualSize } from '../size-limits.js';

/** How an image is edited. */
export interface EditOptions {
  /** Format that is forced instead of a probe. */
  readonly format?: string | undefined;
  /**
   * Whether an undo log is written beside the image (default true). Without one an edit that is interrupted leaves the image
   * as far as the edit came.
   */
  readonly undo?: boolean | undefined;
}

/** What an edit came to. */
export interface EditedImage {
  readonly format: string;
  /** Bytes of the disk. */
  readonly virtualSize: bigint;
}

/** What an edit asks of the guest. */
export type EditRequest = Partial<ValueOf<typeof EditConfig>>;

/** Longest file that there can be (bytes). */
const MOST_LENGTH = (1n << 63n) - 1n;
/** What an edit may write beside what the file has: tables, and what counts them (bytes). */
const ROOM = 1n << 30n;

const encoder = new TextEncoder();

/** A name for the config of an edit. */
export function editName(name: string): Pick<ValueOf<typeof EditConfig>, 'name' | 'name_len'> {
  const most = EditConfig.zero().name.length;
  const bytes = encoder.encode(name).subarray(0, most);
  const padded = new Uint8Array(most);
  padded.set(bytes);
  return { name: padded, name_len: bytes.length };
}

/**
 * Edits an image in place. In the end it is as it was or as it was to become: also where the process is killed, once it is
 * opened again.
 * @param requestOf what is asked of the guest
 * @throws EngineError; the image is then as it was
 */
export async function editImage(
  path: string,
  { format, undo = true }: EditOptions,
  control: OperationControl,
  requestOf: (info: ImageInfo, isRaw: boolean) => EditRequest,
): Promise<EditedImage> {
  const context = guestContext(control);
  const forced = forcedFormat(format, path);
  return withEngineErrors(async () => {
    const file = await openEdited(path, undo);
    const session = new GuestSession(context);
    let result: ValueOf<typeof EditResult>;
    let info: ImageInfo;
    try {
      try {
        // What a disk may become is bounded where it is asked for; a raw image is as long as its disk.
        const limit = file.resizable ? MOST_LENGTH : file.size;
        const device = session.add(editedDevice(file, forced, limit));
        info = await look(session, device);
        requireVirtualSize(info.virtual_size, context.limits, path);
        session.describe(device, { format: info.format });
        const isRaw = info.format === IMAGE_FORMAT.values.RAW;
        result = await perform(session, {
          config: EditConfig.encode(requestOf(info, isRaw)),
          result: EditResult,
          magic: EDIT_RESULT_MAGIC,
          outputBytes: file.size * 2n + ROOM,
          subject: path,
          last: true,
        });
        if (!file.resizable && result.file_length < file.size) throw impossibleResult(path);
      } finally {
        await session.close();
      }
    } catch (error) {
      await file.abandon();
      throw error;
    }
    try {
      await file.complete(result.file_length);
    } catch (error) {
      await file.abandon();
      throw error;
    }
    return { format: formatName(info.format), virtualSize: result.virtual_size };
  });
}

function editedDevice(file: EditedFile, format: number, limit: bigint): Parameters<GuestSession['add']>[0] {
  const { fd, log } = file;
  return {
    path: file.path,
    entry: {
      role: DEVICE_ROLE.values.IMAGE,
      format,
      parent: NO_PARENT,
      flags: DEVICE_FLAG.values.EDITED,
      file_size: file.size,
      virtual_size: 0n,
      start: 0n,
    },
    options: { fd, access: 'edited', size: limit, ...(log === undefined ? {} : { log }) },
  };
}
