import { openChain, type Chain } from '../chain.js';
import { forcedFormat } from '../formats.js';
import { openInput } from '../input-file.js';
import { IMAGE_DIRECTORY_ONLY, type PathPolicy } from '../path-policy.js';
import type { GuestSession } from '../session/session.js';
import type { SnapshotSelector } from '../snapshot.js';
import { dataFilePutBack } from './data-file.js';

/** How an image is opened for an operation that reads it. */
export interface ReadOptions {
  /** Format that is forced instead of a probe. */
  readonly format?: string | undefined;
  /** Which files the image may draw in (default: those of its own directory). */
  readonly pathPolicy?: PathPolicy | undefined;
  /** Read an image that another process has locked. */
  readonly forceShare?: boolean | undefined;
  /** Refuse an image that is not whole, in place of a warning. */
  readonly strict?: boolean | undefined;
  /** Internal snapshot that is read in the place of the image (qcow2). The virtual size is that of the image. */
  readonly snapshot?: SnapshotSelector | undefined;
}

/**
 * Opens an image with everything that it reads from.
 * @param role what it is to the operation (default `IMAGE`)
 * @throws EngineError
 */
export async function openForReading(
  file: string,
  options: ReadOptions,
  session: GuestSession,
  role?: number,
): Promise<Chain> {
  const format = forcedFormat(options.format, file);
  const forceShare = options.forceShare === true;
  const references = options.pathPolicy ?? IMAGE_DIRECTORY_ONLY;
  const putBack = dataFilePutBack(session.context, references);
  const input = await openInput(file, forceShare, session.context, putBack);
  const { snapshot } = options;
  const policy = { references, forceShare, strict: options.strict === true, snapshot };
  const chain = await openChain(input, format, policy, session, role);
  chain.doubts.forEach((doubt) => session.context.onWarning?.(doubt));
  return chain;
}
