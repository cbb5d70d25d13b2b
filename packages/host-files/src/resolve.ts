import { CURRENT_DIRECTORY, fileSystemStatus, readLinkAt, statAt, type FileStatus } from '@instar/vmm-native';
import { readFile } from 'node:fs/promises';
import { closeRead, identity, kindOf, openDirectory, statFile } from './descriptors.js';
import { HostFileError, hostFileError } from './errors.js';
import { systemErrorName } from './system-errors.js';
import { inDirectory, nameBytes, splitName } from './names.js';

/** As the kernel (path_resolution(7)). */
const MAX_LINKS = 40;
/** statfs(2), `f_type` of procfs: what is a link there leads to an open file, not to a name. */
const PROC_SUPER_MAGIC = 0x9fa0;
const STICKY_AND_WRITABLE = 0o1002;

/** Where a name that a user gave leads: a name in a directory that is open. */
export interface ResolvedName {
  /** Descriptor of the directory (O_PATH). */
  readonly directory: number;
  /** The directory as the user and links on the way named it, for calls that want names. */
  readonly directoryName: Buffer;
  /** The name in it. */
  readonly leaf: Buffer;
  /** What stands there; undefined where nothing does. */
  readonly existing: FileStatus | undefined;
  /** The name is a link to an open file (`/proc/self/fd/3`): it is opened, its text is none of a file. */
  readonly magic: boolean;
  /** Closes the directory. */
  close(): void;
}

/** What a name in a directory is; undefined where there is none. */
export function statOrUndefined(directory: number, leaf: Uint8Array, follow = false): FileStatus | undefined {
  try {
    return statAt(directory, leaf, follow);
  } catch (error) {
    if (systemErrorName(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** A link that a stranger put where everybody may (fs.protected_symlinks, which is kept here by hand). */
function isStrangersLink(link: FileStatus, directory: FileStatus): boolean {
  const shared = (directory.mode & STICKY_AND_WRITABLE) === STICKY_AND_WRITABLE;
  return shared && link.uid !== process.geteuid?.() && link.uid !== directory.uid;
}

function isDots(leaf: Buffer): boolean {
  return leaf.equals(Buffer.from('.')) || leaf.equals(Buffer.from('..'));
}

/**
 * Follows a name to where a file is or would be made. Its directory is looked up once; whoever exchanges it later
 * changes nothing.
 * @throws HostFileError `FILE_NOT_USABLE` for names of directories, `WRITE_FAILED` when a directory cannot be reached
 */
export function resolveName(file: string): ResolvedName {
  let directory = CURRENT_DIRECTORY;
  let directoryName: Buffer = Buffer.alloc(0);
  const close = (): void => {
    if (directory !== CURRENT_DIRECTORY) closeRead(directory);
    directory = CURRENT_DIRECTORY;
  };
  try {
    let name = nameBytes(file);
    for (let links = 0; links <= MAX_LINKS; links += 1) {
      const parts = splitName(name);
      const { leaf } = parts;
      if (leaf.length === 0 || isDots(leaf)) {
        const end = leaf.length === 0 ? 'ends in a slash, so it names a directory' : 'is a directory';
        throw new HostFileError('FILE_NOT_USABLE', `${end}: name a file in it`, file);
      }
      const next = openDirectory(parts.directory, directory);
      close();
      directory = next;
      const relative = parts.directory[0] !== 0x2f && directoryName.length > 0;
      directoryName = relative ? inDirectory(directoryName, parts.directory) : parts.directory;
      const existing = statOrUndefined(directory, leaf);
      if (existing === undefined || kindOf(existing) !== 'link') {
        return { directory, directoryName, leaf, existing, magic: false, close };
      }
      if (fileSystemStatus(directory).kind === PROC_SUPER_MAGIC) {
        return { directory, directoryName, leaf, existing: statAt(directory, leaf, true), magic: true, close };
      }
      if (isStrangersLink(existing, statAt(directory, Buffer.alloc(0)))) {
        const problem = 'is a link that another user put into a shared directory; name what it leads to instead';
        throw new HostFileError('FILE_NOT_USABLE', problem, file);
      }
      name = readLinkAt(directory, leaf);
    }
    throw new HostFileError('FILE_NOT_USABLE', 'too many symbolic links', file);
  } catch (error) {
    close();
    throw hostFileError('WRITE_FAILED', file, 'cannot be created', error);
  }
}

/** Where a descriptor of this process stands, and whether it only appends (proc(5), fdinfo). */
async function positionOf(fd: number): Promise<{ readonly position: bigint; readonly appends: boolean }> {
  const O_APPEND = 0o2000;
  const text = await readFile(`/proc/self/fdinfo/${fd}`, 'latin1');
  const position = /^pos:\s*(\d+)/m.exec(text)?.[1] ?? '0';
  const flags = /^flags:\s*([0-7]+)/m.exec(text)?.[1] ?? '0';
  return { position: BigInt(position), appends: (Number.parseInt(flags, 8) & O_APPEND) !== 0 };
}

/**
 * The descriptor of this process that a name such as `/dev/stdout` or `/dev/fd/5` leads to, where it is used as a stream:
 * a pipe, a terminal, a socket; for outputs also a file that is written behind its beginning. Undefined for all else.
 */
export async function ownStream(file: string, use: 'input' | 'output'): Promise<number | undefined> {
  // Links may lead there from anywhere, but they lead through procfs.
  let resolved: ResolvedName;
  try {
    const found = statOrUndefined(CURRENT_DIRECTORY, nameBytes(file));
    if (found === undefined || kindOf(found) !== 'link') return undefined;
    resolved = resolveName(file);
  } catch {
    // What is wrong with the name shows when it is opened.
    return undefined;
  }
  try {
    const fd = /^\d{1,7}$/.test(resolved.leaf.toString('latin1')) ? Number(resolved.leaf) : undefined;
    if (!resolved.magic || fd === undefined || resolved.existing === undefined) return undefined;
    if (identity(statFile(fd)) !== identity(resolved.existing)) return undefined;
    const kind = kindOf(resolved.existing);
    if (kind === 'fifo' || kind === 'socket' || kind === 'character device') return fd;
    if (use === 'input' || kind !== 'file') return undefined;
    const { position, appends } = await positionOf(fd);
    return position > 0n || appends ? fd : undefined;
  } catch {
    return undefined;
  } finally {
    resolved.close();
  }
}
