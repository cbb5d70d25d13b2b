import { filesBinding } from './binding.js';
import { toVmmError } from './errors.js';
import type { FileAttribute, FileStatus, FileSystemStatus } from './generated/files.js';

export type { FileAttribute, FileStatus, FileSystemStatus } from './generated/files.js';

/** In place of a directory's descriptor: names are relative to the current directory. */
export const CURRENT_DIRECTORY = -100;

function guarded<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw toVmmError(error);
  }
}

// Names are bytes and relative to `dir`, the descriptor of a directory. Every call throws a VmmError whose code is the
// name of a system error.

/** Opens a name with flags of open(2); O_CLOEXEC is added. The caller closes the descriptor. @param mode before the umask */
export function openAt(dir: number, name: Uint8Array, flags: number, mode = 0): number {
  return guarded(() => filesBinding().openAt(dir, name, flags, mode));
}

/** What a name is; the empty name is `dir` itself. @param follow a symbolic link at the end is followed */
export function statAt(dir: number, name: Uint8Array, follow = false): FileStatus {
  return guarded(() => filesBinding().statAt(dir, name, follow));
}

/** The text of a symbolic link. */
export function readLinkAt(dir: number, name: Uint8Array): Buffer {
  return guarded(() => filesBinding().readLinkAt(dir, name));
}

/** Gives an open file that has no name (O_TMPFILE) one. */
export function linkDescriptor(fd: number, dir: number, name: Uint8Array): void {
  guarded(() => {
    filesBinding().linkDescriptor(fd, dir, name);
  });
}

/** Gives a file of a directory another name in it, which must be free. */
export function linkAt(dir: number, from: Uint8Array, to: Uint8Array): void {
  guarded(() => {
    filesBinding().linkAt(dir, from, to);
  });
}

/** Renames within a directory. @param replace what has the new name is replaced; else that is `EEXIST` */
export function renameAt(dir: number, from: Uint8Array, to: Uint8Array, replace: boolean): void {
  guarded(() => {
    filesBinding().renameAt(dir, from, to, replace);
  });
}

/** Random bytes of the system, at most 255, for names that nobody guesses. Loading `node:crypto` takes milliseconds. */
export function randomBytes(count: number): Buffer {
  return guarded(() => filesBinding().randomBytes(count));
}

/** Removes a name that is no directory. */
export function unlinkAt(dir: number, name: Uint8Array): void {
  guarded(() => {
    filesBinding().unlinkAt(dir, name);
  });
}

/** The names in a directory that is open for reading. */
export function readDirectory(dir: number): Buffer[] {
  return guarded(() => filesBinding().readDirectory(dir));
}

/** Room on the file system of a descriptor (bytes). */
export function fileSystemStatus(fd: number): FileSystemStatus {
  return guarded(() => filesBinding().fileSystemStatus(fd));
}

/** The extended attributes of an open file that this process may see. */
export function listAttributes(fd: number): FileAttribute[] {
  return guarded(() => filesBinding().listAttributes(fd));
}

/** Sets an extended attribute of an open file. */
export function setAttribute(fd: number, name: Uint8Array, value: Uint8Array): void {
  guarded(() => {
    filesBinding().setAttribute(fd, name, value);
  });
}

/** Removes an extended attribute of an open file. */
export function removeAttribute(fd: number, name: Uint8Array): void {
  guarded(() => {
    filesBinding().removeAttribute(fd, name);
  });
}

/**
 * Removes a name when this thread of JavaScript ends, also when it is terminated, unless it is kept before. The directory
 * must stay open.
 * @returns a number for `keepName`
 */
export function removeNameAtEnd(dir: number, name: Uint8Array): number {
  return guarded(() => filesBinding().removeNameAtEnd(dir, Buffer.from(name)));
}

/** Takes back what `removeNameAtEnd` promised. */
export function keepName(number: number): void {
  guarded(() => {
    filesBinding().keepName(number);
  });
}
