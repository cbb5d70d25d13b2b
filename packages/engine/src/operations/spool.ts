import { closeFile, createNamelessFile, quoteName } from '@instar/host-files';
import { MAX_SIZE } from '@instar/operands';
import { adoptInput, type InputFile } from '../input-file.js';
import type { GuestContext } from '../session/context.js';
import { copyAll } from '../stream.js';
import { openTemporary, temporaryPlace } from '../temporary.js';

/** What an image may be longer than its disk (bytes), where the disk is bounded. */
const MOST_METADATA = 64n << 20n;

/**
 * Saves a stream, so that it can be read at any place: in a file without a name, which goes with its descriptor.
 * @param output name of the output, in whose directory there must be room anyway
 * @throws EngineError `READ_FAILED`, `WRITE_FAILED`, `NO_SPACE`, `ABORTED`
 */
export async function spool(stream: number, output: string | undefined, context: GuestContext): Promise<InputFile> {
  const { signal, limits, onProgress } = context;
  const here = output === undefined ? undefined : await createNamelessFile(output).catch(() => undefined);
  const fd = here ?? (await openTemporary());
  try {
    const most = limits.maxVirtualSize === undefined ? MAX_SIZE : 2n * BigInt(limits.maxVirtualSize) + MOST_METADATA;
    const place = here === undefined ? temporaryPlace() : `a temporary file beside ${quoteName(output ?? '')}`;
    await copyAll({ source: stream, target: fd, targetOffset: 0n, skip: 0n, limit: most }, place, {
      signal,
      onProgress,
    });
  } catch (error) {
    await closeFile(fd);
    throw error;
  }
  // It is locked, by this process.
  return adoptInput(fd, 'standard input', true);
}
