import { deviceSize } from '@instar/vmm-native';
import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { fsync, ftruncate } from './descriptor-calls.js';
import { EngineError, fileError } from './errors.js';
import { closeFile, identity, openFile, statFile } from './file-descriptor.js';
import { lockOutput } from './output-lock.js';
import { checkLength, type OutputFile, type ResolvedOutput } from './output-request.js';

/** An output that is written into a file or block device as it is; what lies outside the window stays. */
export async function openInPlace(output: ResolvedOutput): Promise<OutputFile> {
  const start = output.inPlaceAt ?? 0n;
  const { existing, target } = output;
  const created = existing === undefined;
  checkLength(output.path, start + output.limit);
  let fd: number;
  try {
    const create = created ? constants.O_CREAT | constants.O_EXCL : 0;
    fd = await openFile(target, constants.O_RDWR | constants.O_NONBLOCK | create);
  } catch (error) {
    throw fileError('WRITE_FAILED', output.path, 'cannot be opened for writing', error);
  }
  let open = true;
  const abandon = async (): Promise<void> => {
    if (!open) return;
    open = false;
    await closeFile(fd);
    if (created) await fs.unlink(target);
  };
  try {
    // What was looked at by name must be what was opened.
    if (existing !== undefined && identity(await statFile(fd)) !== identity(existing)) {
      throw new EngineError('FILE_NOT_USABLE', 'was replaced while it was opened', { file: output.path });
    }
    if (!output.forceShare && !lockOutput(fd)) {
      throw new EngineError('INPUT_IN_USE', 'another process uses this image (it holds its lock); stop it first', {
        file: output.path,
      });
    }
  } catch (error) {
    await abandon();
    throw error;
  }
  return {
    fd,
    start,
    fresh: false,
    abandon,
    async finish(length) {
      try {
        const end = start + length;
        const stats = await statFile(fd);
        if (stats.isFile() && stats.size < end) await ftruncate(fd, end);
        await fsync(fd);
        const size = deviceSize(fd);
        open = false;
        await closeFile(fd);
        return size;
      } catch (error) {
        throw fileError('WRITE_FAILED', output.path, 'cannot be completed', error);
      }
    },
  };
}
