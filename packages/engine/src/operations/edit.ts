import { closeFile, identity, openEdited, statFile, type EditedFile } from '@instar/host-files';
import type { ValueOf } from '@instar/layout';
import {
  DEVICE_FLAG,
  DEVICE_ROLE,
  EDIT_RESULT_MAGIC,
  EditConfig,
  EditResult,
  IMAGE_FORMAT,
  NO_PARENT,
} from '@instar/shared-abi';
import { deviceSize } from '@instar/vmm-native';
import { EngineError, withEngineErrors } from '../errors.js';
import { formatName } from '../format-names.js';
import { forcedFormat } from '../formats.js';
import { guestContext, type OperationControl } from '../operation.js';
import { WAS_PUT_BACK, type InputFile } from '../input-file.js';
import { NO_REFERENCES, type PathPolicy } from '../path-policy.js';
import type { OwnSecret } from '../secrets.js';
import type { GuestDevice } from '../session/context.js';
import { look, type ImageInfo } from '../session/look.js';
import { perform } from '../session/operation.js';
import { impossibleResult } from '../session/outcome.js';
import { GuestSession } from '../session/session.js';
import { requireVirtualSize } from '../size-limits.js';
import { dataFilePutBack, hasDataFile, openDataFile } from './data-file.js';

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

/** What is asked of the guest. */
export type EditRequest = Partial<ValueOf<typeof EditConfig>>;

/** An image that is being edited. */
export interface Editing {
  /** The guest. Its first device is the image. */
  readonly session: GuestSession;
  readonly file: EditedFile;
  readonly info: ImageInfo;
  readonly isRaw: boolean;
  /** Has the guest edit the image. @param last no other request follows */
  readonly edit: (request: EditRequest, last?: boolean) => Promise<ValueOf<typeof EditResult>>;
}

/** Longest file that there can be (bytes). */
export const MOST_LENGTH = (1n << 63n) - 1n;
/** What an edit may write beside what the file has: tables, and what counts them (bytes). */
const ROOM = 1n << 30n;

const encoder = new TextEncoder();

/** A name in the place of a config that it has. */
function inPlace(name: string, what: string): Uint8Array<ArrayBuffer> {
  const most = EditConfig.zero().name.length;
  const bytes = encoder.encode(name);
  if (bytes.length > most) {
    throw new EngineError('INVALID_OPTION', `the ${what} has ${bytes.length} bytes, expected at most ${most}`);
  }
  const padded = new Uint8Array(most);
  padded.set(bytes);
  return padded;
}

const NANOSECONDS = 1_000_000n;

/** When an edit is made: snapshots say it, and what identifies a content is made of it. */
function now(): Pick<ValueOf<typeof EditConfig>, 'time' | 'time_nsec'> {
  const milliseconds = BigInt(Date.now());
  return { time: milliseconds / 1000n, time_nsec: Number((milliseconds % 1000n) * NANOSECONDS) };
}

/** The name that an edit is about. @throws EngineError `INVALID_OPTION` */
export function editName(name: string): Pick<ValueOf<typeof EditConfig>, 'name' | 'name_len'> {
  return { name: inPlace(name, 'name'), name_len: encoder.encode(name).length };
}

/** The other name that an edit is about. @throws EngineError `INVALID_OPTION` */
export function otherName(name: string): Pick<ValueOf<typeof EditConfig>, 'other' | 'other_len'> {
  return { other: inPlace(name, 'name'), other_len: encoder.encode(name).length };
}

/** What is edited in a session. */
interface Edited {
  readonly path: string;
  /** What the file must be, where it is open already. */
  readonly identity?: string;
  /** Number of its format, PROBE to find out. */
  readonly format: number;
  readonly undo: boolean | undefined;
  /** Bytes that are written beside what the file has. */
  readonly room?: bigint;
  /** Where its external data file may be written to (default: nowhere). */
  readonly references?: PathPolicy | undefined;
  /** Content is written: into its external data file, where it has one. Files that are read meanwhile, but for its own. */
  readonly beside?: readonly InputFile[];
  readonly onProgress?: OperationControl['onProgress'];
}

/**
 * Edits an image in place. In the end it is as it was or as it was to become: also where the process is killed, once it is
 * opened again.
 * @param work what is done; the guest has ended when its file is completed
 * @param secrets what the guest needs beside the passphrases of the image
 * @throws EngineError; the image is then as it was
 */
export async function editing<T>(
  path: string,
  { format, undo, references }: EditOptions & Pick<Edited, 'references'>,
  control: OperationControl,
  work: (editing: Editing) => Promise<T>,
  secrets: readonly OwnSecret[] = [],
): Promise<T> {
  const context = guestContext(control, secrets);
  const forced = forcedFormat(format, path);
  // One command after the other: what is overwritten is in the log by then.
  const session = new GuestSession(context, { inOrder: true });
  const declared = forced !== IMAGE_FORMAT.values.PROBE;
  const told = async (edited: Editing): Promise<T> => {
    const { format: found, virtual_size: virtualSize } = edited.info;
    context.onDetail?.({ kind: 'image', path, format: formatName(found), declared, virtualSize, edited: true });
    return work(edited);
  };
  return withEngineErrors(async () => editInSession(session, { path, format: forced, undo, references }, told));
}

/**
 * The same in a session that has other files already. It is closed in the end.
 * @throws EngineError, HostFileError; the image is then as it was
 */
export async function editInSession<T>(
  session: GuestSession,
  edited: Edited,
  work: (editing: Editing) => Promise<T>,
): Promise<T> {
  const { path, identity: known, format, undo = true, room = 0n, onProgress } = edited;
  const { limits, onWarning } = session.context;
  const file = await openEdited(path, undo, dataFilePutBack(session.context, edited.references));
  let kept = MOST_LENGTH;
  let result: T;
  try {
    try {
      if (known !== undefined && identity(statFile(file.fd)) !== known) {
        throw new EngineError('INPUT_IN_USE', 'was exchanged for another file meanwhile', { file: path });
      }
      if (file.wasPutBack) onWarning?.(`${path}: ${WAS_PUT_BACK}`);
      if (file.resizable && file.names > 1 && file.log !== undefined) {
        const others = `has ${file.names} names (hard links): if this edit is interrupted, open it by this one, which finds what it was before`;
        onWarning?.(`${path}: ${others}`);
      }
      // What a disk may become is bounded where it is asked for; a raw image is as long as its disk.
      const device = session.add(editedDevice(file, format, file.resizable ? MOST_LENGTH : file.size));
      const info = await look(session, device, false, undefined, true);
      requireVirtualSize(info.virtual_size, limits, path);
      session.describe(device, { format: info.format });
      if (edited.beside !== undefined && hasDataFile(info)) {
        session.add(await joinDataFile(file, info, device, edited.references ?? NO_REFERENCES, edited.beside));
      }
      const refresh = (): bigint => {
        const { size } = file.resizable ? statFile(file.fd) : file;
        session.describe(device, { file_size: size });
        return size;
      };
      const edit = async (request: EditRequest, last = false): Promise<ValueOf<typeof EditResult>> => {
        const size = refresh();
        const answer = await perform(session, {
          config: EditConfig.encode({ ...now(), ...request }),
          result: EditResult,
          magic: EDIT_RESULT_MAGIC,
          outputBytes: (size + room) * 2n + ROOM,
          subject: path,
          last,
          ...(onProgress === undefined ? {} : { onProgress }),
        });
        if (!file.resizable && answer.file_length < file.size) throw impossibleResult(path);
        if (answer.file_length < kept) kept = answer.file_length;
        // What will be cut off is not looked at any more.
        const length = refresh();
        session.describe(device, { file_size: kept < length ? kept : length });
        return answer;
      };
      result = await work({ session, file, info, isRaw: info.format === IMAGE_FORMAT.values.RAW, edit });
    } finally {
      await session.close();
    }
  } catch (error) {
    await file.abandon();
    throw error;
  }
  await file.complete(kept);
  return result;
}

/**
 * Edits an image by one request.
 * @throws EngineError; the image is then as it was
 */
export async function editImage(
  path: string,
  options: EditOptions,
  control: OperationControl,
  requestOf: (info: ImageInfo, isRaw: boolean) => EditRequest,
  secrets: readonly OwnSecret[] = [],
): Promise<EditedImage> {
  const work = async ({ info, isRaw, edit }: Editing): Promise<EditedImage> => {
    const { virtual_size: virtualSize } = await edit(requestOf(info, isRaw), true);
    return { format: formatName(info.format), virtualSize };
  };
  return editing(path, options, control, work, secrets);
}

/**
 * Has the external data file of an image be edited together with it.
 * @param beside files that are read meanwhile
 */
async function joinDataFile(
  image: EditedFile,
  info: ImageInfo,
  parent: number,
  policy: PathPolicy,
  beside: readonly InputFile[],
): Promise<GuestDevice> {
  const opened = await openDataFile(image, info, policy);
  const { fd, path } = opened;
  try {
    const status = statFile(fd);
    const own = identity(status);
    if (beside.some((file) => file.identity === own)) {
      throw new EngineError('SAME_FILE', 'is read and would be written at the same time', { file: path });
    }
    await withEngineErrors(async () => image.join(opened));
    const size = status.isFile() ? status.size : deviceSize(fd);
    const { log } = image;
    const device = editedDevice({ fd, path, size, log }, 0, status.isFile() ? MOST_LENGTH : size);
    return {
      ...device,
      entry: { ...device.entry, role: DEVICE_ROLE.values.DATA_FILE, parent },
      options: { ...device.options, ...(log === undefined ? {} : { isSecond: true }) },
    };
  } catch (error) {
    await closeFile(fd);
    throw error;
  }
}

/** A file that is edited, for a session. */
export function editedDevice(
  file: Pick<EditedFile, 'fd' | 'path' | 'size' | 'log'>,
  format: number,
  limit: bigint,
): GuestDevice {
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
