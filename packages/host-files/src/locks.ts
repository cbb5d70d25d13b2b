import { lockExclusive, lockForReading, lockForWriting } from '@instar/vmm-native';
import { HostFileError } from './errors.js';
import { systemErrorName } from './system-errors.js';

/** Runs a call that takes QEMU's locks. A file system without locks cannot say who else uses a file; QEMU goes on there, too. */
function isFree(lock: () => boolean): boolean {
  try {
    return lock();
  } catch (error) {
    const name = systemErrorName(error);
    return name !== 'EAGAIN' && name !== 'EACCES';
  }
}

/**
 * Takes QEMU's locks of a reader on an image; they end with the descriptor.
 * @throws HostFileError `INPUT_IN_USE`
 */
export function lockInput(fd: number, file: string): void {
  if (isFree(() => lockForReading(fd))) return;
  throw new HostFileError(
    'INPUT_IN_USE',
    'another process is writing this image (it holds its write lock), so its content may change while it is read; ' +
      'stop that process, or read it all the same with -U',
    file,
  );
}

/**
 * Takes QEMU's locks of a writer on an image; they end with the descriptor.
 * @param otherwise what else can be done, for the message
 * @throws HostFileError `INPUT_IN_USE`
 */
export function lockOutput(fd: number, file: string, otherwise = ''): void {
  if (isFree(() => lockForWriting(fd))) return;
  const problem = `another process uses this image (it holds its lock); stop it first${otherwise}`;
  throw new HostFileError('INPUT_IN_USE', problem, file);
}

/** Takes a lock that says that a file is being written. False: someone else has it. Undefined where there are no locks. */
export function tryLock(fd: number): boolean | undefined {
  try {
    return lockExclusive(fd);
  } catch {
    return undefined;
  }
}
