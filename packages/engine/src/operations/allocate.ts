import { allocateFileRange } from '@instar/vmm-native';
import { EngineError, fileError } from '../errors.js';

/**
 * Has the file system allocate a part of a file, which may lie behind its end (bytes).
 * @throws EngineError `WRITE_FAILED`, also where the file system cannot do that
 */
export function allocate(fd: number, offset: bigint, length: bigint, file: string): void {
  let done: boolean;
  try {
    done = allocateFileRange(fd, offset, length);
  } catch (error) {
    throw fileError('WRITE_FAILED', file, 'what is added could not be allocated', error);
  }
  if (!done) {
    throw new EngineError('WRITE_FAILED', 'its file system cannot allocate what is not written yet', { file });
  }
}
