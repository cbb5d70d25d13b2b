import { closeFile, lockInput } from '@instar/host-files';
import { DEVICE_ROLE, EDIT_ACTION, IMAGE_FORMAT } from '@instar/shared-abi';
import { openChain } from '../chain.js';
import { EngineError, withEngineErrors } from '../errors.js';
import { formatName } from '../format-names.js';
import { forcedFormat } from '../formats.js';
import { identityOf, openInput } from '../input-file.js';
import { guestContext, type OperationControl } from '../operation.js';
import type { BackingFile } from '../output/backing.js';
import { combinePath, IMAGE_DIRECTORY_ONLY, type PathPolicy } from '../path-policy.js';
import { GuestSession } from '../session/session.js';
import { editInSession, editName, otherName, type EditedImage, type EditOptions } from './edit.js';

/** Formats whose images know what is below them not by its name only. */
const BY_IDENTITY: readonly number[] = [IMAGE_FORMAT.values.VPC, IMAGE_FORMAT.values.VHDX];

/** Whether images of a format know the image below them by an identity of its own. */
export function knowsByIdentity(format: number): boolean {
  return BY_IDENTITY.includes(format);
}

/** How an image is linked to the one below it. */
export interface RelinkOptions extends EditOptions {
  readonly pathPolicy?: PathPolicy | undefined;
  /** What the file below must be, where its name is that of the image and not of the caller. */
  readonly parent?: string | undefined;
}

/**
 * Names the image below a differencing disk, and what that is known by now, whatever either shows.
 * @param backing its name as the image is to hold it
 * @throws EngineError; the image is then as it was
 */
export async function relink(
  file: string,
  backing: BackingFile,
  options: RelinkOptions,
  control: OperationControl,
): Promise<EditedImage> {
  return withEngineErrors(async () => {
    const session = new GuestSession(guestContext(control), { inOrder: true });
    const below = await openInput(combinePath(file, backing.file), true, { onWarning: session.context.onWarning });
    const policy = {
      references: options.pathPolicy ?? IMAGE_DIRECTORY_ONLY,
      forceShare: true,
      strict: false,
      alone: true,
    };
    const own = identityOf(file);
    const problem =
      own === below.identity
        ? new EngineError('SAME_FILE', 'would be its own backing file', { file })
        : options.parent !== undefined && options.parent !== below.identity
          ? new EngineError('INPUT_IN_USE', 'was exchanged for another file meanwhile', { file: below.path })
          : undefined;
    if (problem !== undefined) {
      await closeFile(below.fd);
      throw problem;
    }
    const number = forcedFormat(backing.format, below.path);
    const chain = await openChain(below, number, policy, session, DEVICE_ROLE.values.BACKING);
    try {
      lockInput(below.fd, below.path);
      const about = {
        path: file,
        format: forcedFormat(options.format, file),
        undo: options.undo,
      };
      return await editInSession(session, about, async ({ edit, info }) => {
        const names = { ...editName(backing.file), ...otherName(backing.format) };
        const edited = await edit({ action: EDIT_ACTION.values.SET_BACKING, ...names }, true);
        return { format: formatName(info.format), virtualSize: edited.virtual_size };
      });
    } finally {
      await session.close();
      await chain.close();
    }
  });
}
