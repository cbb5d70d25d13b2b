import { readLinkAt, statAt } from '@instar/vmm-native';
import { realpath } from 'node:fs/promises';
import { closeRead, hasProc, identity, openDirectory } from './descriptors.js';
import { nameBytes, nameText } from './names.js';
import { statOrUndefined } from './resolve.js';

/** A directory in which an image may name files. */
export interface AllowedDirectory {
  readonly path: string;
  /**
   * `beside`: regular files that lie in it themselves and are not hidden. `below`: all regular files and block devices,
   * also those of directories in it.
   */
  readonly scope: 'beside' | 'below';
}

/** Parts of an absolute name. */
export type Parts = readonly string[];

/** An allowed directory that is open. */
export interface OpenRoot {
  readonly fd: number;
  readonly scope: 'beside' | 'below' | 'devices';
  /** Where it really is. */
  readonly real: Parts;
  /** The ways to write that: its real path, and as the user named it. */
  readonly names: readonly Parts[];
  /** It lies among the devices, where links such as /dev/vg/volume lead to nodes such as /dev/dm-3. */
  readonly amongDevices: boolean;
}

/** The parts of a name without those that mean nothing. */
export function partsOf(name: string): Parts {
  return name.split('/').filter((part) => part !== '' && part !== '.');
}

/** What a name means as far as its text tells. */
export function normalised(parts: Parts): Parts {
  const known: string[] = [];
  for (const part of parts) {
    if (part === '..') known.pop();
    else known.push(part);
  }
  return known;
}

/** What is left of a name behind a directory; undefined where it does not lie in it. */
export function behind(directory: Parts, name: Parts): Parts | undefined {
  if (name.length <= directory.length || directory.some((part, index) => name[index] !== part)) return undefined;
  return name.slice(directory.length);
}

async function realParts(fd: number, path: string): Promise<Parts> {
  if (hasProc()) return partsOf(nameText(readLinkAt(-1, Buffer.from(`/proc/self/fd/${fd}`))));
  return partsOf(nameText(await realpath(nameBytes(path), { encoding: 'buffer' })));
}

/** The current directory as the user's shell names it: links on the way to it show in names that tools write down. */
function shellDirectory(): string {
  const named = process.env['PWD'];
  const really = (): string => (hasProc() ? nameText(readLinkAt(-1, Buffer.from('/proc/self/cwd'))) : process.cwd());
  if (named?.startsWith('/') !== true) return really();
  try {
    const [there, here] = [statAt(-1, nameBytes(named), true), statAt(-1, Buffer.from('.'), true)];
    return identity(there) === identity(here) ? named : really();
  } catch {
    return really();
  }
}

function asTyped(path: string): Parts | undefined {
  const parts = partsOf(path.startsWith('/') ? path : `${shellDirectory()}/${path}`);
  // Behind a link the text of dots means something else.
  return parts.includes('..') ? undefined : parts;
}

/** Opens a directory that the user allowed; undefined where it cannot be, which allows nothing. */
async function openRoot({ path, scope }: AllowedDirectory): Promise<OpenRoot | undefined> {
  let fd: number;
  try {
    fd = openDirectory(nameBytes(path));
  } catch {
    return undefined;
  }
  try {
    const real = await realParts(fd, path);
    const typed = asTyped(path);
    const [devices, root] = ['/dev', '/'].map((name) => statOrUndefined(-1, Buffer.from(name), true));
    const { dev } = statAt(fd, Buffer.alloc(0));
    const amongDevices = scope === 'below' && dev === devices?.dev && dev !== root?.dev;
    return { fd, scope, real, names: typed === undefined ? [real] : [real, typed], amongDevices };
  } catch {
    closeRead(fd);
    return undefined;
  }
}

/** Opens directories, those that allow most first. What cannot be opened is left out. */
export async function openRoots(directories: readonly AllowedDirectory[]): Promise<OpenRoot[]> {
  const roots: OpenRoot[] = [];
  for (const scope of ['below', 'beside'] as const) {
    for (const directory of directories) {
      if (directory.scope !== scope) continue;
      const root = await openRoot(directory);
      if (root !== undefined) roots.push(root);
    }
  }
  return roots;
}
