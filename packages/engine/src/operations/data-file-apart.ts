import { openFile, statFile, type EditedFile } from '@instar/host-files';
import { IMAGE_FORMAT, INFO_FLAG } from '@instar/shared-abi';
import { constants } from 'node:fs';
import { openChain } from '../chain.js';
import { EngineError } from '../errors.js';
import { guestContext, type OperationControl } from '../operation.js';
import type { PathPolicy } from '../path-policy.js';
import { GuestSession } from '../session/session.js';
import type { ImageInfo } from '../session/look.js';

/**
 * Refuses to give another length to a data file that is an image below its own one as well: however deep that lies, as far as the chain
 * can be read. What cannot be read is not refused for that.
 * @param image is open and being edited; nothing else of its chain is locked yet
 * @throws EngineError `CHAIN_LOOP`
 */
export async function requireDataFileApart(
  image: EditedFile,
  info: ImageInfo,
  references: PathPolicy,
  control: OperationControl,
): Promise<void> {
  const { BACKING_FILE, DATA_FILE } = INFO_FLAG.values;
  if ((info.flags & BACKING_FILE) === 0 || (info.flags & DATA_FILE) === 0) return;
  const { path } = image;
  const fd = await openFile(`/proc/self/fd/${image.fd}`, constants.O_RDONLY);
  const { size, blocks } = statFile(fd);
  const top = { fd, path, size, allocated: blocks * 512n, identity: '' };
  // It is looked at once more by who opens it for writing, who tells of it.
  const context = { ...guestContext(control), onDetail: undefined, onWarning: undefined };
  const policy = { references, forceShare: true, strict: false };
  try {
    const chain = await openChain(top, IMAGE_FORMAT.values.QCOW2, policy, new GuestSession(context));
    await chain.close();
  } catch (error) {
    if (error instanceof EngineError && error.code === 'CHAIN_LOOP') throw error;
  }
}
