import { lockInput, statFile } from '@instar/host-files';
import { DEVICE_ROLE, EDIT_ACTION, EDIT_FLAG, IMAGE_FORMAT, INFO_FLAG } from '@instar/shared-abi';
import { openChain } from '../chain.js';
import { EngineError, withEngineErrors } from '../errors.js';
import { formatName } from '../format-names.js';
import { forcedFormat } from '../formats.js';
import { openInput } from '../input-file.js';
import { guestContext, type OperationControl } from '../operation.js';
import { IMAGE_DIRECTORY_ONLY } from '../path-policy.js';
import { GuestSession } from '../session/session.js';
import type { ImageInfo } from '../session/look.js';
import { allocate } from './allocate.js';
import { dataFilePutBack } from './data-file.js';
import { editInSession, type EditedImage } from './edit.js';
import type { ResizeEditOptions } from './resizing.js';

/** Which places are taken at once for what a disk gets. */
export type Preallocation = 'off' | 'metadata' | 'falloc' | 'full';

/**
 * Whether a disk becomes larger whose image has another one below it and ends within a cluster: what that one holds of the cluster is not to
 * show behind the old end, so that the images below have to be read.
 * @param size what it becomes (bytes)
 */
export function endsWithinCluster(info: ImageInfo, size: bigint): boolean {
  const { BACKING_FILE } = INFO_FLAG.values;
  const { format, flags, virtual_size: before, cluster_size: cluster } = info;
  const isOverlay = (flags & BACKING_FILE) !== 0;
  const isWithin = cluster > 0 && before % BigInt(cluster) !== 0n;
  return format === IMAGE_FORMAT.values.QCOW2 && isOverlay && isWithin && size > before;
}

/**
 * Gives the disk of such an image more bytes.
 * @param preallocation what is added has its place in the file at once; of a data file nothing is allocated on the file system
 * @throws EngineError; the image is then as it was
 */
export async function growOverlay(
  file: string,
  size: bigint,
  preallocation: Preallocation,
  { format: given, undo, pathPolicy = IMAGE_DIRECTORY_ONLY }: ResizeEditOptions,
  control: OperationControl,
): Promise<EditedImage> {
  const policy = { references: pathPolicy, forceShare: true, strict: false };
  return withEngineErrors(async () => {
    const session = new GuestSession(guestContext(control), { inOrder: true });
    // Without a lock of its own: it is locked when it is edited, the others here.
    const putBack = dataFilePutBack(session.context, pathPolicy);
    const top = await openInput(file, true, { onWarning: session.context.onWarning }, putBack);
    const chain = await openChain(top, forcedFormat(given, file), policy, session, DEVICE_ROLE.values.COMPARED);
    try {
      for (const layer of chain.layers) if (layer.file !== top) lockInput(layer.file.fd, layer.file.path);
      const [{ info, dataFile }] = chain.layers;
      const { format, cluster_size: room } = info;
      const allocates = preallocation === 'falloc' || preallocation === 'full';
      if (dataFile !== undefined && allocates) {
        const problem = `ends within a cluster, and grows so with a data file only without preallocation or with that of metadata`;
        throw new EngineError('IMAGE_UNSUPPORTED_EDIT', problem, { file });
      }
      const about = {
        path: file,
        identity: top.identity,
        format,
        undo,
        room: top.size + BigInt(room),
        references: pathPolicy,
        beside: chain.files.filter((other) => other !== dataFile),
        onProgress: control.onProgress,
      };
      return await editInSession(session, about, async ({ edit, file: opened }) => {
        const { size: end } = statFile(opened.fd);
        const flags = preallocation === 'off' ? 0 : EDIT_FLAG.values.PREALLOCATE;
        const edited = await edit({ action: EDIT_ACTION.values.RESIZE, size, flags }, true);
        const { size: newEnd } = statFile(opened.fd);
        if (allocates && newEnd > end) allocate(opened.fd, end, newEnd - end, file);
        return { format: formatName(format), virtualSize: edited.virtual_size };
      });
    } finally {
      await session.close();
      await chain.close();
    }
  });
}
