import { CURRENT_DIRECTORY, openAt as nativeOpenAt } from '@instar/vmm-native';
import {
  close,
  closeSync,
  constants,
  existsSync,
  fchmod as nodeFchmod,
  fchown as nodeFchown,
  fstatSync,
  fsync as nodeFsync,
  ftruncate as nodeFtruncate,
  open,
  openSync,
  rename as nodeRename,
  stat,
  type BigIntStats,
  type PathLike,
} from 'node:fs';
import { promisify } from 'node:util';
import { inDirectory, nameBytes } from './names.js';

/** A function whose promises are made ready at the first call: node takes its time for each, and a program needs few. */
function late<A extends readonly unknown[], R>(make: () => (...given: A) => Promise<R>) {
  let made: ((...given: A) => Promise<R>) | undefined;
  return async (...given: A): Promise<R> => (made ??= make())(...given);
}

const opened = late(() => promisify<string | Buffer, number, number, number>(open));
const closed = late(() => promisify(close));
const truncated = late(() => promisify(nodeFtruncate));
const statusOfName = late(() => promisify<PathLike, { bigint: true }, BigIntStats>(stat));

/** rename(2). */
export const rename = late(() => promisify(nodeRename));
/** fchmod(2). */
export const fchmod = late(() => promisify(nodeFchmod));
/** fchown(2). */
export const fchown = late(() => promisify(nodeFchown));
/** fsync(2). */
export const fsync = late(() => promisify(nodeFsync));

/** Flags of open(2) that node does not name. */
export const O_PATH = 0o10000000;
export const O_TMPFILE = 0o20200000;

/** Opens a name that a user gave; node sets O_CLOEXEC. The caller closes the descriptor. */
export async function openFile(name: string, flags: number, mode = 0o666): Promise<number> {
  return opened(nameBytes(name), flags, mode);
}

let procWorks: boolean | undefined;

/** Whether descriptors can be reached by names below /proc/self/fd. */
export function hasProc(): boolean {
  procWorks ??= existsSync('/proc/self/fd');
  return procWorks;
}

/**
 * Opens a name relative to the descriptor of a directory. Through /proc where that is: node then closes what a worker
 * that is terminated had open.
 */
export async function openIn(directory: number, leaf: Uint8Array, flags: number, mode = 0o666): Promise<number> {
  if (directory < 0) return opened(Buffer.from(leaf), flags, mode);
  if (!hasProc()) return nativeOpenAt(directory, leaf, flags, mode);
  return opened(inDirectory(Buffer.from(`/proc/self/fd/${directory}`), leaf), flags, mode);
}

/** Opens a directory for looking things up in it. @param base descriptor that a relative name begins at */
export function openDirectory(name: Buffer, base = CURRENT_DIRECTORY): number {
  const absolute = name[0] === 0x2f;
  return openInNow(absolute ? CURRENT_DIRECTORY : base, name, O_PATH | constants.O_DIRECTORY);
}

/** Opens the directory that a descriptor stands for once more: for another use (`flags`), or for a file in it without a name. */
export function reopenDirectory(directory: number, flags: number, mode?: number): number {
  return openInNow(directory, Buffer.from('.'), flags, mode);
}

/** As `openIn`, without a turn of node's threads: for directories, which make nobody wait as devices may. */
function openInNow(directory: number, leaf: Uint8Array, flags: number, mode = 0o666): number {
  if (directory < 0) return openSync(Buffer.from(leaf), flags, mode);
  if (!hasProc()) return nativeOpenAt(directory, leaf, flags, mode);
  return openSync(inDirectory(Buffer.from(`/proc/self/fd/${directory}`), leaf), flags, mode);
}

/**
 * Closes a descriptor. What close(2) may report of earlier writes, fsync(2) has reported before for every output that is
 * kept; the descriptor is gone in any case, and a failure now would take a complete output for a failed one.
 * @throws only where the descriptor was not open, which is a mistake of the caller
 */
export async function closeFile(fd: number): Promise<void> {
  try {
    await closed(fd);
  } catch (error) {
    onlyMistakes(error);
  }
}

/**
 * What a descriptor is. Without a turn of node's threads: of a file that has just been opened the system knows it, and a
 * turn takes longer than the call.
 */
export function statFile(fd: number): BigIntStats {
  return fstatSync(fd, { bigint: true });
}

/**
 * Closes a descriptor that was only read, of a directory or a file that has a name: nothing is written or freed then, which would take its
 * time.
 */
export function closeRead(fd: number): void {
  try {
    closeSync(fd);
  } catch (error) {
    onlyMistakes(error);
  }
}

function onlyMistakes(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code === 'EBADF') throw error;
}

/** What a name leads to. */
export async function statName(path: PathLike): Promise<BigIntStats> {
  return statusOfName(path, { bigint: true });
}

/** Sets the length of a file (bytes). */
export async function ftruncate(fd: number, length: bigint): Promise<void> {
  await truncated(fd, Number(length));
}

/** A file's identity: the same for all its names. */
export function identity(status: { readonly dev: bigint; readonly ino: bigint }): string {
  return `${status.dev}:${status.ino}`;
}

const { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } = constants;

/** What a file is, by its mode. */
export type FileKind = 'file' | 'directory' | 'link' | 'fifo' | 'socket' | 'character device' | 'block device';

const KINDS: Readonly<Record<number, FileKind>> = {
  [S_IFBLK]: 'block device',
  [S_IFCHR]: 'character device',
  [S_IFDIR]: 'directory',
  [S_IFIFO]: 'fifo',
  [S_IFLNK]: 'link',
  [S_IFREG]: 'file',
  [S_IFSOCK]: 'socket',
};

/** What a file is. */
export function kindOf({ mode }: { readonly mode: bigint | number }): FileKind {
  return KINDS[Number(mode) & S_IFMT] ?? 'file';
}

/** The same in words, for messages. */
export function kindInWords(status: { readonly mode: bigint | number }): string {
  const kind = kindOf(status);
  if (kind === 'file') return 'a regular file';
  return kind === 'fifo' ? 'a FIFO' : `a ${kind}`;
}
