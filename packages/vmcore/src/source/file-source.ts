import { nextData } from '@instar/vmm-native';
import { closeFile, identity, openFile, statFile } from '@instar/host-files';
import { constants, read, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { VmcoreError } from '../errors.js';
import { check } from '../options/calls.js';
import { systemErrorText } from '../system-error.js';
import { MAX_OFFSET, type ByteSource } from './byte-source.js';

const readFile = promisify(read);

/** Most bytes that one read asks of the kernel. */
const READ_MAX = 1 << 30;

function failed(name: string, what: string, cause: unknown): VmcoreError {
  return new VmcoreError('READ_FAILED', `${what}: ${systemErrorText(cause)}`, { file: name, cause });
}

/**
 * A dump file. Only regular files: what else has a name may block or never end.
 * @throws VmcoreError `READ_FAILED`
 */
export async function fileSource(name: string): Promise<ByteSource> {
  check.file(name);
  let fd: number;
  try {
    fd = await openFile(name, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw failed(name, 'cannot be opened', error);
  }
  try {
    const stat = statFile(fd);
    if (!stat.isFile()) throw new VmcoreError('READ_FAILED', 'is not a regular file', { file: name });
    if (stat.size > MAX_OFFSET) {
      const found = `${stat.size} bytes`;
      throw new VmcoreError('TOO_LARGE', 'the file is too large', { file: name, found, expected: 'at most 2^53' });
    }
    return openedFile(fd, name, stat.size, identity(stat));
  } catch (error) {
    await closeFile(fd);
    throw error instanceof VmcoreError ? error : failed(name, 'cannot be opened', error);
  }
}

function openedFile(fd: number, name: string, size: bigint, whose: string): ByteSource {
  let open = true;
  return {
    name,
    size,
    identity: whose,
    async read(offset, target) {
      // The number of a closed descriptor may be that of another file by now.
      if (!open) throw new VmcoreError('READ_FAILED', 'is closed', { file: name });
      let done = 0;
      while (done < target.length) {
        try {
          const length = Math.min(target.length - done, READ_MAX);
          const { bytesRead } = await readFile(fd, target, done, length, Number(offset) + done);
          if (bytesRead === 0) break;
          done += bytesRead;
        } catch (error) {
          throw failed(name, 'cannot be read', error);
        }
      }
      return done;
    },
    readNow(offset, target) {
      if (!open) throw new VmcoreError('READ_FAILED', 'is closed', { file: name });
      try {
        return readSync(fd, target, 0, target.length, Number(offset));
      } catch (error) {
        throw failed(name, 'cannot be read', error);
      }
    },
    nextData(offset) {
      if (!open) return offset;
      try {
        return offset >= size ? undefined : (nextData(fd, offset) ?? undefined);
      } catch {
        // A file system that does not tell where its holes are.
        return offset;
      }
    },
    async close() {
      if (!open) return;
      open = false;
      await closeFile(fd);
    },
  };
}
