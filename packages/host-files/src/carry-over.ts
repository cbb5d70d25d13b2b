import { listAttributes, removeAttribute, setAttribute, statAt, type FileStatus } from '@instar/vmm-native';
import { readFileSync } from 'node:fs';
import { fchmod, fchown } from './descriptors.js';
import { systemErrorName } from './system-errors.js';
import { isUndoMark } from './undo-mark.js';

const PERMISSIONS = 0o777;
const NONE = Buffer.alloc(0);
const ACCESS_LIST = 'system.posix_acl_access';
/**
 * What speaks of the content and the trust in it, not of the file: privileges of a program, like setuid, and signatures.
 */
const NOT_CARRIED = new Set(['security.capability', 'security.evm', 'security.ima']);

/** An id that a user namespace has no name for shows as this one (user_namespaces(7)); nothing can be given to it. */
function isUnmapped(id: number, kind: 'uid' | 'gid'): boolean {
  try {
    const overflow = Number(readFileSync(`/proc/sys/kernel/overflow${kind}`, 'latin1'));
    const map = readFileSync(`/proc/self/${kind}_map`, 'latin1').trim().split(/\s+/).map(Number);
    const everyIdIsMapped = map[0] === 0 && map[1] === 0 && map[2] === 0xffffffff;
    return id === overflow && !everyIdIsMapped;
  } catch {
    return false;
  }
}

async function carryOwner(from: FileStatus, to: number): Promise<string | undefined> {
  const own = statAt(to, NONE);
  if (own.uid === from.uid && own.gid === from.gid) return undefined;
  const problem = 'its owner and group could not be kept';
  if (isUnmapped(from.uid, 'uid') || isUnmapped(from.gid, 'gid')) return problem;
  try {
    await fchown(to, from.uid, from.gid);
    return undefined;
  } catch {
    return problem;
  }
}

function carryAttributes(from: number, to: number): string | undefined {
  try {
    const [wanted, present] = [listAttributes(from), listAttributes(to)];
    // What a new file got from its directory's default may allow more than the old one did.
    for (const { name } of present) {
      const kept = wanted.some((attribute) => attribute.name.equals(name));
      if (!kept && name.toString('latin1') === ACCESS_LIST) removeAttribute(to, name);
    }
    for (const { name, value } of wanted) {
      if (NOT_CARRIED.has(name.toString('latin1')) || isUndoMark(name)) continue;
      const same = present.find((attribute) => attribute.name.equals(name));
      if (same?.value.equals(value) !== true) setAttribute(to, name, value);
    }
    return undefined;
  } catch (error) {
    const name = systemErrorName(error) ?? 'failed';
    return `its access control list, label or other extended attributes could not be kept (${name})`;
  }
}

/**
 * Makes a new file what the old one is, before it takes its place: owner, group, permissions, access control list, label
 * and other extended attributes. Permissions are never more than they were, and privileges (setuid, file capabilities) go.
 * @returns why that is not possible here, in words
 */
export async function carryOver(from: number, to: number): Promise<string | undefined> {
  const was = statAt(from, NONE);
  const owner = await carryOwner(was, to);
  if (owner !== undefined) return owner;
  const attributes = carryAttributes(from, to);
  if (attributes !== undefined) return attributes;
  const mode = was.mode & PERMISSIONS;
  if ((statAt(to, NONE).mode & 0o7777) === mode) return undefined;
  try {
    await fchmod(to, mode);
    return undefined;
  } catch {
    return 'its permissions could not be kept';
  }
}
