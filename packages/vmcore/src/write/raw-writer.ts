import { checkAborted, VmcoreError } from '../errors.js';
import type { MemoryImage } from '../image.js';
import type { DumpSink } from '../sink/dump-sink.js';
import { nonZeroRuns } from '../zero.js';
import { coalesced } from './coalesce.js';
import type { WriteProgress } from './dump-state.js';

/** Memory that is read at once, and blocks of zeros that are left out where the sink has gaps (bytes). */
const [BATCH, BLOCK] = [4 << 20, 4096];

/**
 * Writes memory as it lies, each byte at its physical address less that of the first byte of the file, as QEMU's pmemsave and
 * readers of raw memory have it. What the image does not have is zeros, or a hole of the file.
 * @param begin physical address of the file's first byte
 * @returns bytes of the file
 * @throws VmcoreError `NOTHING_TO_DUMP`, `WRITE_FAILED`, `ABORTED`, and what reading comes to
 */
export async function writeRaw(
  image: MemoryImage,
  sink: DumpSink,
  progress: WriteProgress,
  begin: bigint,
): Promise<bigint> {
  let total = 0n;
  for await (const { kind, length } of image.extents()) if (kind === 'stored') total += length;
  if (total === 0n) throw new VmcoreError('NOTHING_TO_DUMP', 'there is no memory to write', { file: image.name });
  progress.total(total);
  const buffer = new Uint8Array(BATCH);
  let end = begin;
  for await (const { kind, start, length } of coalesced(image, true)) {
    end = start + length;
    if (kind !== 'stored') continue;
    for (let done = 0n; done < length;) {
      checkAborted(progress.signal);
      const left = length - done;
      const data = buffer.subarray(0, left < BigInt(BATCH) ? Number(left) : BATCH);
      await image.readInto(start + done, data);
      for (const [at, size] of nonZeroRuns(data, BLOCK)) {
        await sink.write(start + done + BigInt(at) - begin, data.subarray(at, at + size));
      }
      done += BigInt(data.length);
      progress.wrote(BigInt(data.length));
    }
  }
  return end - begin;
}
