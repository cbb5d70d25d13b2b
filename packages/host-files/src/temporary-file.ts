import { CURRENT_DIRECTORY, linkAt, linkDescriptor, randomBytes, renameAt, statAt, unlinkAt } from '@instar/vmm-native';
import { constants } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { carryOver } from './carry-over.js';
import {
  closeFile,
  fsync,
  hasProc,
  identity,
  O_TMPFILE,
  openIn,
  rename,
  reopenDirectory,
  statFile,
} from './descriptors.js';
import { systemErrorName } from './system-errors.js';
import { tryLock } from './locks.js';
import { inDirectory } from './names.js';
import type { ResolvedName } from './resolve.js';
import { statOrUndefined } from './resolve.js';
import { forgetName, rememberName, temporaryName } from './temporary-names.js';

const ATTEMPTS = 16;
const { O_CREAT, O_EXCL, O_RDWR } = constants;

/** Where a file is to appear. */
export type Place = Pick<ResolvedName, 'directory' | 'directoryName' | 'leaf'>;

/** A file that has not got its final name yet. Its lock says that someone is writing it, also across containers. */
export interface TemporaryFile {
  readonly fd: number;
  /** Gives it its final name, in place of what has that now. */
  replace(): Promise<void>;
  /** Gives it its final name. `EEXIST` where that is taken, also when it was taken meanwhile. */
  publish(): Promise<void>;
  /** Takes its temporary name away, where it has one. Does not close the descriptor. */
  discard(): void;
}

/** Its temporary name was taken away, or another file has it. */
class NameLost extends Error {
  constructor() {
    super('its temporary file was removed while it was written');
  }
}

function createNameless(place: Place, mode: number): number | undefined {
  if (!hasProc()) return undefined;
  try {
    return reopenDirectory(place.directory, O_RDWR | O_TMPFILE, mode);
  } catch {
    // The file system knows no files without names, or nothing can be made there, which shows next.
    return undefined;
  }
}

/**
 * Creates a file of a temporary name, which is remembered before it is there: whoever is terminated in between learns neither
 * that the file was made nor that it was to be remembered.
 */
async function createNamed(place: Place, mode: number): Promise<{ fd: number; name: Buffer }> {
  for (let attempt = 1; ; attempt += 1) {
    const name = temporaryName(place.leaf, randomBytes);
    rememberName(place.directory, name);
    try {
      const fd = await openIn(place.directory, name, O_RDWR | O_CREAT | O_EXCL, mode);
      return { fd, name };
    } catch (error) {
      forgetName(place.directory, name);
      if (systemErrorName(error) !== 'EEXIST' || attempt === ATTEMPTS) throw error;
    }
  }
}

/**
 * Creates a file that is to appear under a name: one without a name where the file system has such, so that not even
 * a killed process leaves anything; else, or with `visible`, `.<name>.instar-<pid>-<random>.tmp` beside it.
 * @param mode permissions, before the umask
 */
export async function createTemporary(place: Place, mode: number, visible: boolean): Promise<TemporaryFile> {
  const nameless = visible ? undefined : createNameless(place, mode);
  if (nameless !== undefined) {
    tryLock(nameless);
    return temporaryFile(place, nameless, undefined);
  }
  for (let attempt = 1; ; attempt += 1) {
    const { fd, name } = await createNamed(place, mode);
    // Between its creation and its lock another run may have taken it for a leftover.
    if (tryLock(fd) !== false && isStill(place, name, fd)) return temporaryFile(place, fd, name);
    forgetName(place.directory, name);
    await closeFile(fd);
    if (attempt === ATTEMPTS) throw new NameLost();
  }
}

function isStill({ directory }: Place, name: Buffer, fd: number): boolean {
  const found = statOrUndefined(directory, name);
  return found !== undefined && identity(found) === identity(statFile(fd));
}

function temporaryFile(place: Place, fd: number, given: Buffer | undefined): TemporaryFile {
  const { directory, leaf } = place;
  let name = given;
  let named = fd;
  const forget = (): void => {
    if (name !== undefined) forgetName(directory, name);
    name = undefined;
  };
  const discard = (): void => {
    if (name === undefined) return;
    try {
      unlinkAt(directory, name);
    } catch {
      // It is gone, or stays as a leftover, which the next run to the same output removes.
    }
    forget();
  };
  const checked = (): Buffer => {
    if (name === undefined || !isStill(place, name, named)) {
      forget();
      throw new NameLost();
    }
    return name;
  };
  const giveName = async (): Promise<void> => {
    const wanted = temporaryName(leaf, randomBytes);
    rememberName(directory, wanted);
    try {
      linkDescriptor(fd, directory, wanted);
      name = wanted;
    } catch {
      forgetName(directory, wanted);
      const copy = await copyWithName(place, fd);
      name = copy.name;
      named = copy.fd;
    }
  };
  const rename = async (take: (from: Buffer) => Promise<void> | void): Promise<void> => {
    try {
      if (name === undefined) await giveName();
      await take(checked());
      forget();
    } finally {
      if (named !== fd) await closeFile(named);
      named = fd;
    }
  };
  return {
    fd,
    discard,
    async replace() {
      await rename(async (from) => renameInto(place, from));
    },
    async publish() {
      if (name === undefined) {
        try {
          linkDescriptor(fd, directory, leaf);
          return;
        } catch (error) {
          if (systemErrorName(error) === 'EEXIST') throw error;
        }
      }
      await rename((from) => {
        takeFreeName(directory, from, leaf);
      });
    },
  };
}

/**
 * Renames within the directory that was opened. By the names that the user gave where they still lead there, so that
 * whoever watches (audit, traces) reads what the user typed.
 */
async function renameInto({ directory, directoryName, leaf }: Place, from: Buffer): Promise<void> {
  const here = statAt(directory, Buffer.alloc(0));
  if (identityOfName(directoryName) !== identity(here)) {
    renameAt(directory, from, leaf, true);
    return;
  }
  await rename(inDirectory(directoryName, from), inDirectory(directoryName, leaf));
}

function identityOfName(name: Buffer): string | undefined {
  try {
    return identity(statAt(CURRENT_DIRECTORY, name, true));
  } catch {
    return undefined;
  }
}

/** Gives a file its final name, which must be free; in one step where the file system can rename so. */
function takeFreeName(directory: number, from: Buffer, to: Buffer): void {
  try {
    renameAt(directory, from, to, false);
    return;
  } catch (error) {
    if (systemErrorName(error) === 'EEXIST') throw error;
  }
  linkAt(directory, from, to);
  try {
    unlinkAt(directory, from);
  } catch {
    // The output is there under its name; a second one does it no harm, and the next run to it removes that.
  }
}

/** For file systems that make files without names but cannot give them one later. */
async function copyWithName(place: Place, from: number): Promise<{ fd: number; name: Buffer }> {
  const copy = await createNamed(place, 0o600);
  try {
    tryLock(copy.fd);
    await copyFile(`/proc/self/fd/${from}`, `/proc/self/fd/${copy.fd}`);
    await carryOver(from, copy.fd);
    await fsync(copy.fd);
    return copy;
  } catch (error) {
    unlinkAt(place.directory, copy.name);
    forgetName(place.directory, copy.name);
    await closeFile(copy.fd);
    throw error;
  }
}
