import {
  closeFile,
  identity,
  lockOutput,
  quoteName,
  settleForReading,
  statFile,
  type EditedFile,
  type OpenSecond,
  type SecondFile,
} from '@instar/host-files';
import { DEVICE_ROLE, IMAGE_FORMAT, INFO_FLAG, NO_PARENT } from '@instar/shared-abi';
import { inputDevice, storedName } from '../chain.js';
import { EngineError, withEngineErrors } from '../errors.js';
import { identityOf } from '../input-file.js';
import { combinePath, openReference, type PathPolicy, type ReferenceFile } from '../path-policy.js';
import type { GuestContext } from '../session/context.js';
import { look, type ImageInfo } from '../session/look.js';
import { GuestSession } from '../session/session.js';

// The external data file of an image that is edited is a second file that is written to, because an image says so: only in a directory
// that the user has allowed by name.

const ROLE = 'external data file';

/** Whether an image has its data in another file. */
export function hasDataFile(info: ImageInfo): boolean {
  return (info.flags & INFO_FLAG.values.DATA_FILE) !== 0;
}

/** Opens the data file that an image names, for writing. @throws EngineError */
async function openNamed(image: string, info: ImageInfo, policy: PathPolicy): Promise<ReferenceFile> {
  if (info.data_file_len === 0) {
    throw new EngineError('REFERENCE_MISSING', `needs an ${ROLE} but names none`, { file: image });
  }
  const name = storedName(info.data_file, info.data_file_len, ROLE, image);
  return openReference({ role: ROLE, name, image }, policy, 'writing');
}

/** Refuses a data file that is something else of the image as well. */
function requireApart(fd: number, path: string, image: EditedFile, info: ImageInfo): void {
  const own = identity(statFile(fd));
  const refuse = (what: string): EngineError =>
    new EngineError('CHAIN_LOOP', `refers to ${quoteName(path)}, which is ${what}`, { file: image.path });
  if (own === identity(statFile(image.fd))) throw refuse('already part of its chain');
  if (image.log !== undefined && own === identity(statFile(image.log))) throw refuse('its undo log');
  if (info.backing_file_len === 0) return;
  const name = storedName(info.backing_file, info.backing_file_len, 'backing file', image.path);
  if (own === identityOf(combinePath(image.path, name))) throw refuse('already part of its chain');
}

/**
 * Opens the external data file of an image that is edited, for writing, and locks it.
 * @param policy it is written to only in a directory that this allows by name: what the image says is not enough
 * @throws EngineError `PATH_REFUSED`, `REFERENCE_MISSING`, `READ_FAILED`, `CHAIN_LOOP`, `INPUT_IN_USE`, `EDIT_INTERRUPTED`
 */
export async function openDataFile(image: EditedFile, info: ImageInfo, policy: PathPolicy): Promise<ReferenceFile> {
  const opened = await openNamed(image.path, info, policy);
  const { fd, path } = opened;
  try {
    requireApart(fd, path, image, info);
    await withEngineErrors(async () => {
      lockOutput(fd, path);
      await settleForReading(fd, path, false);
    });
    return opened;
  } catch (error) {
    await closeFile(fd);
    throw error;
  }
}

/**
 * How the data file is opened of an image whose edit was interrupted, so that both are put back: the one that the image names, as it was
 * before the edit. Undefined where the policy allows writing nowhere.
 */
export function dataFilePutBack(context: GuestContext, policy: PathPolicy | undefined): OpenSecond | undefined {
  if (policy === undefined || policy.references === 'refuse' || policy.allowedDirectories.length === 0)
    return undefined;
  return async ({ fd, path }: SecondFile) => {
    const { size, blocks } = statFile(fd);
    const image = { fd, path, size, allocated: blocks * 512n, identity: '' };
    const session = new GuestSession({ ...context, onDetail: undefined });
    let info: ImageInfo;
    try {
      // No other format has a data file.
      const { QCOW2 } = IMAGE_FORMAT.values;
      const device = session.add(inputDevice(image, DEVICE_ROLE.values.IMAGE, QCOW2, NO_PARENT));
      info = await look(session, device, true);
    } finally {
      await session.close();
    }
    if (!hasDataFile(info)) throw new EngineError('REFERENCE_MISSING', `has no ${ROLE}`, { file: path });
    const opened = await openNamed(path, info, policy);
    try {
      lockOutput(opened.fd, opened.path);
      return opened;
    } catch (error) {
      await closeFile(opened.fd);
      throw error;
    }
  };
}
