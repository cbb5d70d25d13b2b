import { deviceSize, statAt, type FileStatus } from '@instar/vmm-native';
import { constants, readFileSync } from 'node:fs';
import { closeFile, identity, kindInWords, kindOf, openIn, statFile } from './descriptors.js';
import { HostFileError, hostFileError } from './errors.js';
import { systemErrorName } from './system-errors.js';
import { lockOutput } from './locks.js';
import { CannotReplace, createBeside, noSpace } from './output-beside.js';
import { createInPlace, rewrite, writeWindow } from './output-in-place.js';
import {
  checkLength,
  leastNeeded,
  mostNeeded,
  type ExistingFile,
  type OutputFile,
  type OutputRequest,
  type ResolvedOutput,
} from './output-request.js';
import { resolveName, statOrUndefined, type ResolvedName } from './resolve.js';
import { settleLocked } from './undo-log.js';

const { O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDWR, O_WRONLY } = constants;
const STICKY = 0o1000;
/** Bit of the capability that overrules sticky directories (capabilities(7)). */
const CAP_FOWNER = 3n;
const HERE = Buffer.alloc(0);

/**
 * Opens an output. A new one, and one that can be replaced, appears under its name when it is complete; what exists and
 * would be lost by a rename (hard links, mounts, labels, …) is written in place, with a warning; so are block devices, open
 * files (`/dev/fd/3`) and `inPlaceAt`.
 * @throws HostFileError `SAME_FILE`, `OUTPUT_EXISTS`, `FILE_NOT_USABLE`, `INPUT_IN_USE`, `NO_SPACE`, `WRITE_FAILED`; what
 *   was there is as it was then, and nothing is left
 */
export async function createOutput(request: OutputRequest): Promise<OutputFile> {
  const name = resolveName(request.path);
  const output: ResolvedOutput = { ...request, name };
  try {
    checkLength(request.path, (request.inPlaceAt ?? 0n) + mostNeeded(request));
    if (name.existing === undefined) return await createNew(output);
    checkExisting(output, name.existing);
    const existing = await openExisting(output, name.existing);
    try {
      return await writeExisting(output, existing);
    } catch (error) {
      await closeFile(existing.fd);
      throw error;
    }
  } catch (error) {
    name.close();
    throw hostFileError('WRITE_FAILED', request.path, 'cannot be created', error);
  }
}

async function createNew(output: ResolvedOutput): Promise<OutputFile> {
  if (isPlaceOfDevices(output.name)) {
    const problem = 'does not exist, and is not made as a file among the devices: is the device attached?';
    throw new HostFileError('FILE_NOT_USABLE', problem, output.path);
  }
  if (output.inPlaceAt !== undefined) return createInPlace(output);
  const created = await createBeside(output, undefined);
  if (created instanceof CannotReplace) throw new HostFileError('WRITE_FAILED', created.reason, output.path);
  return created;
}

/** /dev and what lies below it on the same file system: a regular file there fills memory and is not what was meant. */
function isPlaceOfDevices({ directory }: ResolvedName): boolean {
  const devices = statOrUndefined(-1, Buffer.from('/dev'), true);
  if (devices === undefined) return false;
  const here = statAt(directory, HERE);
  if (identity(here) === identity(devices)) return true;
  const root = statOrUndefined(-1, Buffer.from('/'), true);
  return here.dev === devices.dev && devices.dev !== root?.dev;
}

/** What can be refused by looking at it. */
function checkExisting({ filesOnly, inputs, noClobber, path }: ResolvedOutput, status: FileStatus): void {
  const same = inputs.find((input) => input.identity === identity(status));
  if (same !== undefined) {
    const problem = `is also an input (${same.path}); writing it would destroy the data`;
    throw new HostFileError('SAME_FILE', problem, path);
  }
  if (noClobber) throw new HostFileError('OUTPUT_EXISTS', 'exists already', path);
  const kind = kindOf(status);
  if (kind === 'file' || (kind === 'block device' && filesOnly !== true)) return;
  const hint =
    kind === 'fifo' || kind === 'character device' ? '; a stream is written by dd with of=-, by convert with -' : '';
  if (filesOnly === true) throw new HostFileError('FILE_NOT_USABLE', 'is not a regular file and is not replaced', path);
  const problem = `is ${kindInWords(status)}, not a file that can be written${hint}`;
  throw new HostFileError('FILE_NOT_USABLE', problem, path);
}

/** Opened for writing before anything else: what this user may not write is not replaced either. */
async function openExisting(output: ResolvedOutput, status: FileStatus): Promise<ExistingFile> {
  const { directory, leaf, magic } = output.name;
  const exclusive = kindOf(status) === 'block device' && !output.force ? O_EXCL : 0;
  const flags = O_NONBLOCK | exclusive | (magic ? 0 : O_NOFOLLOW);
  let fd: number;
  try {
    fd = await openIn(directory, leaf, flags | O_RDWR);
  } catch (error) {
    if (systemErrorName(error) === 'EBUSY' && exclusive !== 0) {
      const problem = 'is mounted or otherwise in use; unmount it first, or write to it all the same with --force';
      throw new HostFileError('INPUT_IN_USE', problem, output.path, error);
    }
    try {
      if (systemErrorName(error) !== 'EACCES') throw error;
      // A file that may be written but not read: its locks cannot be seen.
      fd = await openIn(directory, leaf, flags | O_WRONLY);
    } catch {
      throw hostFileError('WRITE_FAILED', output.path, 'exists and cannot be opened for writing', error);
    }
  }
  // What was looked at by name must be what was opened.
  if (identity(statFile(fd)) === identity(status)) return { fd, status };
  await closeFile(fd);
  throw new HostFileError('FILE_NOT_USABLE', 'was replaced while it was opened', output.path);
}

async function writeExisting(output: ResolvedOutput, existing: ExistingFile): Promise<OutputFile> {
  const { fd, status } = existing;
  const isShared = output.forceShare === true;
  const mayReplace = output.forceShare === false && output.inPlaceAt === undefined && kindOf(status) === 'file';
  if (!isShared) lockOutput(fd, output.path, mayReplace ? ', or replace it all the same with -U' : '');
  if (kindOf(status) === 'block device') return writeDevice(output, existing);
  // The log of an edit that was interrupted goes with what it belongs to.
  if (!isShared) await settleLocked(fd, output.path);
  if (output.inPlaceAt !== undefined) return writeWindow(output, existing, undefined);
  const reason = whyNotReplaced(output.name, status);
  if (reason !== undefined) return rewrite(output, existing, reason);
  const created = await createBeside(output, existing);
  return created instanceof CannotReplace ? rewrite(output, existing, created.reason) : created;
}

function writeDevice(output: ResolvedOutput, existing: ExistingFile): OutputFile {
  const start = output.inPlaceAt ?? 0n;
  const room = deviceSize(existing.fd);
  const least = leastNeeded(output);
  if (start + least > room) throw noSpace(output.path, start + least, room, 'the device has');
  return writeWindow(output, existing, room);
}

/** Why a rename over a file would lose what it is, as far as that shows; undefined where it would not. */
function whyNotReplaced(name: ResolvedName, status: FileStatus): string | undefined {
  if (name.magic) return 'it is reached through an open descriptor';
  if (status.nlink > 1) return `it has ${status.nlink} names (hard links), which would not all get the new content`;
  const directory = statAt(name.directory, HERE);
  // Kernels before 5.8 do not tell; there another device does, which an overlay may show without a mount.
  const mounted = status.mountRoot ?? status.dev !== directory.dev;
  if (mounted) return 'it is mounted there on its own';
  const me = process.geteuid?.();
  const foreign = status.uid !== me && directory.uid !== me && !mayOverruleOwners();
  if ((directory.mode & STICKY) !== 0 && foreign) return 'it belongs to another user in a shared (sticky) directory';
  return undefined;
}

function mayOverruleOwners(): boolean {
  try {
    const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
    return ((BigInt(`0x${effective}`) >> CAP_FOWNER) & 1n) === 1n;
  } catch {
    return process.geteuid?.() === 0;
  }
}
