import { readLinkAt, type FileStatus } from '@instar/vmm-native';
import { constants } from 'node:fs';
import {
  behind,
  normalised,
  openRoots,
  partsOf,
  type AllowedDirectory,
  type OpenRoot,
  type Parts,
} from './allowed-directories.js';
import { closeFile, closeRead, identity, kindOf, O_PATH, openDirectory, openIn, statFile } from './descriptors.js';
import { HostFileError, hostFileError, reasonOf } from './errors.js';
import { directoryOf, nameBytes, nameText } from './names.js';
import { statOrUndefined } from './resolve.js';

const { O_DIRECTORY, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;
/** As the kernel (path_resolution(7)). */
const MAX_LINKS = 40;

/** A file that an image names. */
export interface OpenedReference {
  readonly fd: number;
  /** By which kind of allowance it was opened. */
  readonly scope: 'beside' | 'below';
}

/** What is done with a file that an image names. */
export type ReferenceAccess = 'reading' | 'writing';

const NOT_ALLOWED: Readonly<Record<ReferenceAccess, string>> = {
  reading: 'lies outside the directories that it may use; allow its directory with --allow-path if you trust the image',
  writing:
    'would be written to, and is so only in directories that are allowed by name; allow its directory with --allow-path if ' +
    'you trust the image',
};

/** One answer, whatever lies outside, and whether anything does. */
function outside(name: string, access: ReferenceAccess): HostFileError {
  const problem = NOT_ALLOWED[access];
  return new HostFileError('PATH_REFUSED', problem, name);
}

/** A directory to begin at, and what is to be looked up in it. */
interface Way {
  readonly root: OpenRoot;
  readonly rest: Parts;
}

/** Opens the file that a name in an image leads to. One for each name. */
class Walk {
  readonly #name: string;
  readonly #roots: readonly OpenRoot[];
  readonly #access: ReferenceAccess;
  readonly #opened: number[] = [];
  #links = 0;

  constructor(name: string, roots: readonly OpenRoot[], access: ReferenceAccess) {
    this.#name = name;
    this.#roots = roots;
    this.#access = access;
  }

  /** Decided on the text alone: nothing is looked up. */
  locate(parts: Parts): Way {
    const plain = normalised(parts);
    for (const root of this.#roots) {
      for (const directory of root.names) {
        const rest = behind(directory, plain);
        if (rest === undefined) continue;
        if (root.scope === 'below') {
          // Dots behind a directory mean what that directory is, not what its name says.
          return { root, rest: behind(directory, parts) ?? rest };
        }
        if (rest.length === 1 && rest[0]?.startsWith('.') !== true) return { root, rest };
      }
    }
    throw outside(this.#name, this.#access);
  }

  /** Walks part by part; links are read and decided on, never followed by the kernel. */
  async open(start: Way): Promise<OpenedReference> {
    let way = start;
    try {
      for (;;) {
        const next = await this.#walk(way);
        if ('fd' in next) return next;
        way = next;
      }
    } finally {
      for (const fd of this.#opened) await closeFile(fd);
    }
  }

  async #walk({ root, rest }: Way): Promise<Way | OpenedReference> {
    const stack = [root.fd];
    let todo = rest;
    for (;;) {
      const directory = stack[stack.length - 1] ?? root.fd;
      const [part, ...behindPart] = todo;
      if (part === undefined) throw this.#unusable('is not a regular file');
      todo = behindPart;
      if (part === '..') {
        if (stack.length === 1) return this.locate(normalised([...root.real, '..', ...todo]));
        stack.pop();
        continue;
      }
      const found = this.#stat(directory, part);
      if (kindOf(found) === 'link') {
        const target = this.#target(directory, part);
        todo = [...partsOf(target), ...todo];
        if (target.startsWith('/')) return this.#locateLink(root, todo);
        // Relative to where the link is, which is what the stack stands for.
        if (stack.length === 1) return this.#locateLink(root, [...root.real, ...todo]);
        continue;
      }
      if (todo.length === 0) return this.#openFile(root, directory, part, found);
      stack.push(await this.#openFolder(directory, part));
    }
  }

  /** A link among the devices may lead to a node of /dev itself, as those of volume groups do. */
  #locateLink(root: OpenRoot, parts: Parts): Way {
    const [first, node, ...more] = normalised(parts);
    if (!root.amongDevices || first !== 'dev' || node === undefined || more.length > 0) return this.locate(parts);
    const fd = openDirectory(Buffer.from('/dev'));
    this.#opened.push(fd);
    return { root: { fd, scope: 'devices', real: ['dev'], names: [], amongDevices: false }, rest: [node] };
  }

  #stat(directory: number, part: string): FileStatus {
    let found: FileStatus | undefined;
    try {
      found = statOrUndefined(directory, nameBytes(part));
    } catch (error) {
      throw this.#missing(reasonOf(error), error);
    }
    if (found === undefined) throw this.#missing('no such file or directory (ENOENT)');
    return found;
  }

  #target(directory: number, part: string): string {
    this.#links += 1;
    if (this.#links > MAX_LINKS) throw this.#missing('too many symbolic links (ELOOP)');
    try {
      return nameText(readLinkAt(directory, nameBytes(part)));
    } catch (error) {
      throw this.#missing(reasonOf(error), error);
    }
  }

  async #openFolder(directory: number, part: string): Promise<number> {
    try {
      const fd = await openIn(directory, nameBytes(part), O_PATH | O_DIRECTORY | O_NOFOLLOW);
      this.#opened.push(fd);
      return fd;
    } catch (error) {
      throw this.#missing(reasonOf(error), error);
    }
  }

  async #openFile(root: OpenRoot, directory: number, part: string, found: FileStatus): Promise<OpenedReference> {
    const kind = kindOf(found);
    const wanted = { beside: ['file'], below: ['file', 'block device'], devices: ['block device'] }[root.scope];
    if (!wanted.includes(kind)) {
      const devices = kind === 'block device' ? '; allow its directory with --allow-path if you trust the image' : '';
      throw this.#unusable(`is not a regular file${devices}`);
    }
    const [mode, doing] =
      this.#access === 'writing'
        ? [O_RDWR, 'cannot be opened for reading and writing']
        : [O_RDONLY, 'cannot be opened'];
    let fd: number;
    try {
      fd = await openIn(directory, nameBytes(part), mode | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
    } catch (error) {
      throw hostFileError('READ_FAILED', this.#name, doing, error);
    }
    if (identity(statFile(fd)) === identity(found)) {
      return { fd, scope: root.scope === 'beside' ? 'beside' : 'below' };
    }
    await closeFile(fd);
    throw this.#unusable('was replaced while it was opened');
  }

  #missing(why: string, cause?: unknown): HostFileError {
    return new HostFileError('REFERENCE_MISSING', `cannot be found: ${why}`, this.#name, cause);
  }

  #unusable(why: string): HostFileError {
    return new HostFileError('PATH_REFUSED', why, this.#name);
  }
}

/**
 * Opens a file that an image names, if it lies in one of the directories. What the name says is decided on
 * before anything is looked up; then each part is looked up below the directory, and each link decided on again. Nothing
 * outside is touched, and the answer to a name that leads there does not depend on what is there.
 * @param image path of the image: relative names begin in its directory
 * @param access whether it is opened for reading alone; who may write says so by the directories
 * @throws HostFileError `PATH_REFUSED`, `REFERENCE_MISSING`, `READ_FAILED`; `problem` is to stand behind the name
 */
export async function openReference(
  image: string,
  name: string,
  directories: readonly AllowedDirectory[],
  access: ReferenceAccess = 'reading',
): Promise<OpenedReference> {
  const roots = await openRoots(directories);
  // Relative names need to know where the image's directory is, whether or not it is allowed.
  const [base] = name.startsWith('/') ? [] : await openRoots([{ path: directoryOf(image), scope: 'beside' }]);
  try {
    const walk = new Walk(name, roots, access);
    const begin = name.startsWith('/') ? [] : base?.real;
    if (begin === undefined) throw outside(name, access);
    return await walk.open(walk.locate([...begin, ...partsOf(name)]));
  } finally {
    for (const root of base === undefined ? roots : [...roots, base]) closeRead(root.fd);
  }
}
