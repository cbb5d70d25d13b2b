import {
  directoryOf,
  escapeText,
  HostFileError,
  type OpenedReference,
  openReference as openBelow,
  quoteName,
  type ReferenceAccess,
} from '@instar/host-files';
import { EngineError } from './errors.js';

/**
 * Which files an image may draw in. Every caller decides; {@link NO_REFERENCES} is the decision for images from strangers.
 */
export interface PathPolicy {
  /** Whether an image may name another file at all. */
  readonly references: 'refuse' | 'within-directories';
  /**
   * Directories besides that of the image that names the file. All below them is allowed, block devices too; beside the
   * image only files that are not hidden, and none of its subdirectories.
   */
  readonly allowedDirectories: readonly string[];
}

/**
 * A referenced file must lie, after all symbolic links, in the directory of the image that names it; one of no format must
 * have the size of a disk. Not for directories in which images of several people lie: another one's image could be drawn
 * in.
 */
export const IMAGE_DIRECTORY_ONLY: PathPolicy = { references: 'within-directories', allowedDirectories: [] };
/** No image may name another file: the policy for images from strangers. */
export const NO_REFERENCES: PathPolicy = { references: 'refuse', allowedDirectories: [] };

/** A name that an image holds. */
export interface Reference {
  /** What it is for, in words: `backing file`, `external data file`. */
  readonly role: string;
  /** The name as stored, decoded as UTF-8. */
  readonly name: string;
  /** Path of the image that holds it. */
  readonly image: string;
}

/** What other programs take for more than a name; `file:` is the plain name behind it. */
const PROTOCOL =
  /^(?:json|nbd|nbd\+unix|https?|ftps?|ssh|sftp|iscsi|rbd|nfs|gluster(?:\+\w+)?|fat|vvfat|host_device|host_cdrom|blkdebug|blkverify|quorum|nvme|null-co|null-aio|fd):/;
const PLAIN_FILE = /^file:(?:\/\/(?=\/))?/;

/** What QEMU takes for a protocol, known or not: all in front of a colon that no slash precedes. */
const ANY_PROTOCOL = /^[^/:]*:/;

/**
 * Refuses to put a name of a file into an image that would lead whoever opens the image elsewhere.
 * @param option what names the file
 * @throws EngineError `INVALID_OPTION`
 */
export function requirePlainName(option: string, name: string): void {
  const protocol = ANY_PROTOCOL.exec(name)?.[0];
  if (protocol === undefined || PLAIN_FILE.test(name)) return;
  throw new EngineError(
    'INVALID_OPTION',
    `${option}: ${quoteName(name)} would be taken for ${quoteName(protocol)}, a protocol, in the image; write ./ in front`,
  );
}

/** The path that a name in an image leads to: relative names begin in the image's directory. Nothing is normalised. */
export function combinePath(image: string, name: string): string {
  const plain = name.replace(PLAIN_FILE, '');
  return plain.startsWith('/') ? plain : `${image.slice(0, image.lastIndexOf('/') + 1)}${plain}`;
}

/** A file that an image names and that is open, with its path as composed from the name, for messages. */
export type ReferenceFile = OpenedReference & { readonly path: string };

/**
 * Opens a file that an image names, if the policy allows it: for reading, or for writing where its directory is allowed by name. The text of the name is decided on before anything
 * is looked up; a refused name touches nothing, and the refusal is the same whether or not there is such a file.
 * Names are plain paths: no protocol means anything.
 * @param access what is done with it
 * @throws EngineError `PATH_REFUSED`, `REFERENCE_MISSING` or `READ_FAILED`
 */
export async function openReference(
  reference: Reference,
  policy: PathPolicy,
  access: ReferenceAccess = 'reading',
): Promise<ReferenceFile> {
  const { role, name, image } = reference;
  const quoted = quoteName(name);
  if (policy.references === 'refuse') {
    throw new EngineError('PATH_REFUSED', `names the ${role} ${quoted}, and references are switched off`, {
      file: image,
    });
  }
  const protocol = PROTOCOL.exec(name)?.[0];
  if (protocol !== undefined) {
    const problem = `its ${role} ${quoted} is written as ${protocol} and only plain file names are followed`;
    throw new EngineError('PATH_REFUSED', problem, { file: image });
  }
  try {
    const allowed = policy.allowedDirectories.map((path) => ({ path, scope: 'below' }) as const);
    // Nobody but the image says that what lies beside it is its own: enough for reading.
    const beside = access === 'reading' ? [{ path: directoryOf(image), scope: 'beside' } as const] : [];
    const opened = await openBelow(image, name.replace(PLAIN_FILE, ''), [...allowed, ...beside], access);
    return { ...opened, path: combinePath(image, name) };
  } catch (error) {
    if (!(error instanceof HostFileError)) throw error;
    throw new EngineError(error.code, `its ${role} ${quoted} ${escapeText(error.problem)}`, {
      file: image,
      cause: error.cause,
    });
  }
}
