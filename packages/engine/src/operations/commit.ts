import { lockInput, quoteName, systemErrorName } from '@instar/host-files';
import { DEVICE_ROLE, EDIT_ACTION, EDIT_FLAG, IMAGE_FORMAT } from '@instar/shared-abi';
import { openChain, type Chain, type Layer } from '../chain.js';
import { EngineError, withEngineErrors } from '../errors.js';
import { formatName } from '../format-names.js';
import { forcedFormat } from '../formats.js';
import { identityOf, openInput } from '../input-file.js';
import { guestContext, type OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import { checkCommitOptions } from '../options/edits.js';
import { checkFileName } from '../options/operations.js';
import { combinePath, IMAGE_DIRECTORY_ONLY, type PathPolicy } from '../path-policy.js';
import { GuestSession } from '../session/session.js';
import type { ImageInfo } from '../session/look.js';
import { dataFilePutBack } from './data-file.js';
import { editInSession, editing, type EditOptions } from './edit.js';
import { relink } from './relink.js';

/** How an image is committed. */
export interface CommitOptions extends EditOptions {
  /** Name of the image of its chain that gets the content, from the image above it or from here (default: the one directly below). */
  readonly base?: string | undefined;
  /** Whether the image keeps its content (default: only with a `base`). */
  readonly keep?: boolean | undefined;
  /** Which files the image may draw in (default: those of its own directory). */
  readonly pathPolicy?: PathPolicy | undefined;
  /** Most bytes that are written in a second (default: no limit). */
  readonly writeRate?: bigint | number | undefined;
}

/** What a commit came to. */
export interface CommittedImage {
  /** Name of the image that got the content. */
  readonly base: string;
  /** Format of that. */
  readonly format: string;
  /** Bytes of its disk. */
  readonly virtualSize: bigint;
}

/** How deep in a chain the image lies that gets the content. */
function depthOf({ layers }: Chain, file: string, base: string | undefined): number {
  if (layers.length === 1) throw new EngineError('INVALID_OPTION', 'the image has no backing file', { file });
  if (base === undefined) return 1;
  // By what it names: ./base and base are one file.
  const found = layers.findIndex(({ file: { identity: own } }, depth) => {
    const above = layers[depth - 1];
    return above !== undefined && [combinePath(above.file.path, base), base].some((name) => identityOf(name) === own);
  });
  if (found === -1) throw new EngineError('INVALID_OPTION', `did not find '${base}' in the backing chain`, { file });
  return found;
}

function layerAt({ layers }: Chain, depth: number): Layer {
  const layer = layers[depth];
  if (layer === undefined) throw new RangeError(`no layer ${depth}`);
  return layer;
}

/**
 * Copies what an image holds into an image below it, as `qemu-img commit` does. The image is emptied afterwards, unless it
 * is to keep its content; first the one below is complete.
 * @throws EngineError; both images are then as they were, or the one below has the content and the image has kept it as well
 */
export async function commit(
  file: string,
  givenOptions: CommitOptions = {},
  givenControl: OperationControl = {},
): Promise<CommittedImage> {
  checkFileName(file);
  const { base, keep = base !== undefined, pathPolicy, writeRate, ...options } = checkCommitOptions(givenOptions);
  const control = checkControl(givenControl);
  const context = { ...guestContext(control), writeRate };
  const forced = forcedFormat(options.format, file);
  const policy = { references: pathPolicy ?? IMAGE_DIRECTORY_ONLY, forceShare: true, strict: false };
  let replaces = true;
  const attempt = async (): Promise<CommittedImage & { linked: Linked | undefined }> => {
    const session = new GuestSession(context, { inOrder: true });
    // Without locks of its own: what is edited is locked when it is, the others here.
    const putBack = dataFilePutBack(session.context, policy.references);
    const top = await openInput(file, true, { onWarning: session.context.onWarning }, putBack);
    const chain = await openChain(top, forced, policy, session, DEVICE_ROLE.values.COMPARED);
    try {
      const depth = depthOf(chain, file, base);
      const target = layerAt(chain, depth);
      const { VMDK } = IMAGE_FORMAT.values;
      if (layerAt(chain, depth - 1).info.format === VMDK && target.info.format === VMDK) {
        // It knows the content below by a number, which changes, and would show nothing any more.
        const problem = 'is not committed into a vmdk image; convert the chain into a new one';
        throw new EngineError('IMAGE_UNSUPPORTED_EDIT', problem, { file });
      }
      for (const layer of chain.layers) if (layer !== target) lockInput(layer.file.fd, layer.file.path);
      const { path, size, identity } = target.file;
      const above = chain.layers.slice(0, depth);
      const room = above.reduce((sum, layer) => sum + (layer.file.size + (layer.dataFile?.size ?? 0n)) * 2n, size);
      const beside = chain.files.filter((other) => other !== target.dataFile);
      const format = target.info.format;
      const about = {
        path,
        identity,
        format,
        undo: options.undo,
        room,
        references: policy.references,
        beside,
        onProgress: control.onProgress,
      };
      return await editInSession(session, about, async ({ edit, file: opened }) => {
        const replacing = replaces && format === IMAGE_FORMAT.values.QCOW2 && target.dataFile === undefined;
        const flags = replacing && opened.releases() ? EDIT_FLAG.values.REPLACE : 0;
        const edited = await edit({ action: EDIT_ACTION.values.COMMIT, flags, number: depth }, true);
        const { info: overlay, file: child } = layerAt(chain, depth - 1);
        // A VHD keeps its unique id, whatever is written to it.
        const linked =
          overlay.format === IMAGE_FORMAT.values.VHDX ? nameBelow(child.path, overlay, identity) : undefined;
        return { base: path, format: formatName(format), virtualSize: edited.virtual_size, linked };
      });
    } finally {
      await chain.close();
    }
  };
  const result = await withEngineErrors(attempt).catch(async (error: unknown) => {
    // A file of twice the length may be more than there can be.
    if (!isTooLong(error)) throw error;
    replaces = false;
    return withEngineErrors(attempt);
  });
  const { linked, ...committed } = result;
  // Its content is another now, by which the image above knows it.
  if (linked !== undefined) {
    const { child, name, parent } = linked;
    const how = { undo: options.undo, pathPolicy, parent };
    try {
      await relink(child, { file: name, format: committed.format }, how, { ...control, onWarning: undefined });
    } catch (error) {
      throw notLinked(child, committed.base, error);
    }
  }
  if (!keep) {
    try {
      await editing(file, options, control, async ({ edit, file: opened }) => {
        // Asked, so that what the guest releases is given back to the file system.
        opened.releases();
        await edit({ action: EDIT_ACTION.values.EMPTY }, true);
      });
    } catch (error) {
      throw notEmptied(file, committed.base, error);
    }
  }
  return committed;
}

/** Whether a file would have become longer than its file system, or a limit of the process, allows. */
function isTooLong(error: unknown): boolean {
  return error instanceof EngineError && systemErrorName(error.cause) === 'EFBIG';
}

/** The name that an image has for the one below it, and what that is. */
interface Linked {
  readonly child: string;
  readonly name: string;
  readonly parent: string;
}

/** The name that an image has for the one below it. */
function nameBelow(child: string, info: ImageInfo, parent: string): Linked {
  const bytes = info.backing_file.subarray(0, info.backing_file_len);
  return { child, name: Buffer.from(bytes).toString(), parent };
}

/** Why an image could not be linked again to the one that has got its content: nothing is lost, and that is to be known. */
function notLinked(file: string, base: string, error: unknown): unknown {
  if (!(error instanceof EngineError)) return error;
  const what = `was committed into ${quoteName(base)}, which has another identity now, but not linked to it again (rebase -u does that)`;
  return new EngineError(error.code, `${what}: ${error.reason}`, { file, cause: error });
}

/** Why an image could not be emptied whose content the one below has got: nothing is lost, and that is to be known. */
function notEmptied(file: string, base: string, error: unknown): unknown {
  if (!(error instanceof EngineError)) return error;
  const why = error.message.startsWith(`${file}: `) ? error.message.slice(file.length + 2) : error.message;
  return new EngineError(error.code, `was committed into ${quoteName(base)}, but not emptied: ${why}`, {
    file,
    cause: error,
  });
}
