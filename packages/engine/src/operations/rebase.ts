import { closeFile, lockInput } from '@instar/host-files';
import { DEVICE_ROLE, EDIT_ACTION, IMAGE_FORMAT } from '@instar/shared-abi';
import { openChain, type Chain } from '../chain.js';
import { EngineError, withEngineErrors } from '../errors.js';
import { formatName } from '../format-names.js';
import { forcedFormat } from '../formats.js';
import { openInput } from '../input-file.js';
import { guestContext, type OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import { checkRebaseOptions } from '../options/edits.js';
import { checkFileName } from '../options/operations.js';
import type { BackingFile } from '../output/backing.js';
import { combinePath, IMAGE_DIRECTORY_ONLY, requirePlainName, type PathPolicy } from '../path-policy.js';
import { GuestSession } from '../session/session.js';
import { dataFilePutBack } from './data-file.js';
import { knowsByIdentity, relink } from './relink.js';
import { editImage, editInSession, editName, otherName, type EditedImage, type EditOptions } from './edit.js';

/** How an image gets another backing file. */
export interface RebaseOptions extends EditOptions {
  /** Only change the name, and look at neither backing file: the disk then shows what the new one holds (default false). */
  readonly unsafe?: boolean | undefined;
  /** What is copied into the image is compressed where that makes it shorter (default false). */
  readonly compress?: boolean | undefined;
  /** Which files the image and its backing files may draw in (default: those of their own directories). */
  readonly pathPolicy?: PathPolicy | undefined;
}

/** `number` of a REBASE that compresses what it copies. */
const COMPRESSED = 1;

/**
 * Gives an image another backing file, or none, as `qemu-img rebase` does (qcow2, differencing vpc and vhdx). What the disk shows stays: what reads
 * differently through the new one is copied into the image first.
 * @param backing name as the image is to hold it, relative to the image, and format; undefined for none
 * @throws EngineError; the image is then as it was
 */
export async function rebase(
  file: string,
  backing: BackingFile | undefined,
  givenOptions: RebaseOptions = {},
  givenControl: OperationControl = {},
): Promise<EditedImage> {
  checkFileName(file);
  const {
    unsafe = false,
    compress = false,
    pathPolicy,
    backing: wanted,
    ...options
  } = checkRebaseOptions({ ...givenOptions, backing });
  const control = checkControl(givenControl);
  const names = { ...editName(wanted?.file ?? ''), ...otherName(wanted?.format ?? '') };
  if (unsafe && wanted !== undefined && knowsByIdentity(forcedFormat(wanted.format, file))) {
    return relink(file, wanted, { ...options, pathPolicy }, control);
  }
  if (unsafe) {
    return editImage(file, options, control, (_, isRaw) => {
      if (isRaw) throw new EngineError('UNSUPPORTED_FORMAT', 'images of format raw have no backing file', { file });
      return { action: EDIT_ACTION.values.SET_BACKING, ...names };
    });
  }
  if (wanted !== undefined) requirePlainName('backing', wanted.file);
  const context = guestContext(control);
  const forced = forcedFormat(options.format, file);
  const policy = { references: pathPolicy ?? IMAGE_DIRECTORY_ONLY, forceShare: true, strict: false };
  return withEngineErrors(async () => {
    const session = new GuestSession(context, { inOrder: true });
    // Without locks of its own: what is edited is locked when it is, the others here.
    const putBack = dataFilePutBack(session.context, policy.references);
    const top = await openInput(file, true, { onWarning: session.context.onWarning }, putBack);
    const chains: Chain[] = [await openChain(top, forced, policy, session, DEVICE_ROLE.values.COMPARED)];
    const [old] = chains;
    try {
      if (old === undefined) throw new RangeError('no chain');
      if (old.layers[0].info.format === IMAGE_FORMAT.values.RAW) {
        throw new EngineError('UNSUPPORTED_FORMAT', 'images of format raw have no backing file', { file });
      }
      if (wanted !== undefined) {
        const below = await openInput(combinePath(file, wanted.file), true, { onWarning: session.context.onWarning });
        if (below.identity === top.identity) {
          await closeFile(below.fd);
          throw new EngineError('SAME_FILE', 'would be its own backing file', { file });
        }
        const number = forcedFormat(wanted.format, below.path);
        chains.push(await openChain(below, number, policy, session, DEVICE_ROLE.values.BACKING));
      }
      const layers = chains.flatMap((chain) => chain.layers);
      for (const layer of layers) if (layer.file !== top) lockInput(layer.file.fd, layer.file.path);
      const room = layers.reduce((sum, layer) => sum + layer.info.virtual_size, top.size);
      const { format } = old.layers[0].info;
      const about = {
        path: file,
        identity: top.identity,
        format,
        undo: options.undo,
        room,
        references: policy.references,
        beside: chains.flatMap(({ files }) => files).filter((other) => other !== old.layers[0].dataFile),
        onProgress: control.onProgress,
      };
      return await editInSession(session, about, async ({ edit }) => {
        const number = compress ? COMPRESSED : 0;
        const edited = await edit({ action: EDIT_ACTION.values.REBASE, number, ...names }, true);
        return { format: formatName(format), virtualSize: edited.virtual_size };
      });
    } finally {
      await session.close();
      for (const chain of chains) await chain.close();
    }
  });
}
