import { closeFile, openFile, statFile } from '@instar/host-files';
import { openBeneath, VmmError } from '@instar/vmm-native';
import { constants } from 'node:fs';
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { EngineError, describeSystemError, fileError, systemErrorName } from './errors.js';
import { quoteName } from './escape.js';

/**
 * Which files an image may draw in. Every caller decides; {@link IMAGE_DIRECTORY_ONLY} is the safe decision.
 */
export interface PathPolicy {
  /** Whether an image may name another file at all. */
  readonly references: 'refuse' | 'within-directories';
  /** Directories besides that of the image that names the file. */
  readonly allowedDirectories: readonly string[];
}

/** A referenced file must lie, after all symbolic links, in the directory of the image that names it. */
export const IMAGE_DIRECTORY_ONLY: PathPolicy = { references: 'within-directories', allowedDirectories: [] };
/** No image may name another file. */
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

/** The path that a name in an image leads to: relative names begin in the image's directory. Nothing is normalised. */
export function combinePath(image: string, name: string): string {
  return path.isAbsolute(name) ? name : `${image.slice(0, image.lastIndexOf('/') + 1)}${name}`;
}

/** A referenced file that was opened. */
export interface OpenedReference {
  readonly fd: number;
  /** Path as composed from the name, for messages. */
  readonly path: string;
}

async function resolveDirectory(directory: string): Promise<string | undefined> {
  try {
    return await realpath(directory);
  } catch {
    // A directory that does not exist allows nothing.
    return undefined;
  }
}

function relativeInside(directory: string, file: string): string | undefined {
  const relative = path.relative(directory, file);
  const outside = relative === '' || relative === '..' || relative.startsWith(`..${path.sep}`);
  return outside || path.isAbsolute(relative) ? undefined : relative;
}

/**
 * Opens a file that an image names, read-only, if the policy allows it. The check is made on what the name leads to
 * after all symbolic links, and the open itself cannot leave the allowed directory (openat2, RESOLVE_BENEATH).
 * Names are plain paths: no protocol prefix means anything.
 * @throws EngineError `PATH_REFUSED`, `REFERENCE_MISSING` or `READ_FAILED`
 */
export async function openReference(reference: Reference, policy: PathPolicy): Promise<OpenedReference> {
  const { role, name, image } = reference;
  const quoted = quoteName(name);
  if (policy.references === 'refuse') {
    throw new EngineError('PATH_REFUSED', `names the ${role} ${quoted}, and references are switched off`, {
      file: image,
    });
  }
  const imageDirectory = path.dirname(image);
  const target = combinePath(image, name);
  let real: string;
  try {
    real = await realpath(target);
  } catch (error) {
    const why = describeSystemError(systemErrorName(error) ?? 'EIO');
    throw new EngineError('REFERENCE_MISSING', `its ${role} ${quoted} cannot be found: ${why}`, {
      file: image,
      cause: error,
    });
  }
  for (const allowed of [imageDirectory, ...policy.allowedDirectories]) {
    const directory = await resolveDirectory(allowed);
    const relative = directory === undefined ? undefined : relativeInside(directory, real);
    if (directory === undefined || relative === undefined) continue;
    const fd = await openInside(directory, relative, reference);
    if (!(await statFile(fd)).isFile()) {
      await closeFile(fd);
      throw new EngineError('PATH_REFUSED', `its ${role} ${quoted} is not a regular file`, { file: image });
    }
    return { fd, path: target };
  }
  throw new EngineError(
    'PATH_REFUSED',
    `its ${role} ${quoted} lies outside the directories that it may use; allow its directory with --allow-path if you ` +
      'trust the image',
    { file: image },
  );
}

async function openInside(directory: string, relative: string, { role, name, image }: Reference): Promise<number> {
  try {
    return openBeneath(directory, relative);
  } catch (error) {
    if (error instanceof VmmError && error.code === 'ENOSYS') return openWithoutBeneath(directory, relative, image);
    throw fileError('READ_FAILED', image, `its ${role} ${quoteName(name)} cannot be opened`, error);
  }
}

/** For kernels without openat2 (before 5.6): the last component is no link, and what was opened is compared. */
async function openWithoutBeneath(directory: string, relative: string, image: string): Promise<number> {
  const file = path.join(directory, relative);
  const fd = await openFile(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  if ((await realpath(`/proc/self/fd/${fd}`)) === file) return fd;
  await closeFile(fd);
  throw new EngineError('PATH_REFUSED', 'a referenced file was replaced while it was opened', { file: image });
}
