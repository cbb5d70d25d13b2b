import { lockInput } from '@instar/host-files';
import { DEVICE_ROLE, EDIT_ACTION, IMAGE_FORMAT, INFO_FLAG } from '@instar/shared-abi';
import { openChain } from '../chain.js';
import { withEngineErrors } from '../errors.js';
import { formatName } from '../format-names.js';
import { forcedFormat } from '../formats.js';
import { openInput } from '../input-file.js';
import { guestContext, type OperationControl } from '../operation.js';
import { IMAGE_DIRECTORY_ONLY } from '../path-policy.js';
import { GuestSession } from '../session/session.js';
import type { ImageInfo } from '../session/look.js';
import { editInSession, type EditedImage } from './edit.js';
import type { ResizeEditOptions } from './resizing.js';

/**
 * Whether a disk becomes larger whose image has another one below it and ends within a cluster: what that one holds of the cluster is not to
 * show behind the old end, so that the images below have to be read.
 * @param size what it becomes (bytes)
 */
export function endsWithinCluster(info: ImageInfo, size: bigint): boolean {
  const { BACKING_FILE, DATA_FILE } = INFO_FLAG.values;
  const { format, flags, virtual_size: before, cluster_size: cluster } = info;
  const isOverlay = (flags & BACKING_FILE) !== 0 && (flags & DATA_FILE) === 0;
  const isWithin = cluster > 0 && before % BigInt(cluster) !== 0n;
  return format === IMAGE_FORMAT.values.QCOW2 && isOverlay && isWithin && size > before;
}

/**
 * Gives the disk of such an image more bytes.
 * @throws EngineError; the image is then as it was
 */
export async function growOverlay(
  file: string,
  size: bigint,
  { format: given, undo, pathPolicy = IMAGE_DIRECTORY_ONLY }: ResizeEditOptions,
  control: OperationControl,
): Promise<EditedImage> {
  const policy = { references: pathPolicy, forceShare: true, strict: false };
  return withEngineErrors(async () => {
    const session = new GuestSession(guestContext(control), { inOrder: true });
    // Without a lock of its own: it is locked when it is edited, the others here.
    const top = await openInput(file, true, { onWarning: session.context.onWarning });
    const chain = await openChain(top, forcedFormat(given, file), policy, session, DEVICE_ROLE.values.COMPARED);
    try {
      for (const layer of chain.layers) if (layer.file !== top) lockInput(layer.file.fd, layer.file.path);
      const { format, cluster_size: room } = chain.layers[0].info;
      const about = {
        path: file,
        identity: top.identity,
        format,
        undo,
        room: top.size + BigInt(room),
        references: pathPolicy,
        onProgress: control.onProgress,
      };
      return await editInSession(session, about, async ({ edit }) => {
        const edited = await edit({ action: EDIT_ACTION.values.RESIZE, size }, true);
        return { format: formatName(format), virtualSize: edited.virtual_size };
      });
    } finally {
      await session.close();
      await chain.close();
    }
  });
}
