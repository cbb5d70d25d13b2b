import { closeFile } from '@instar/host-files';
import { MAX_SIZE } from '@instar/operands';
import { dd } from '../dd.js';
import type { Qcow2Layout } from '../dd-request.js';
import { EngineError } from '../errors.js';
import type { OperationControl } from '../operation.js';
import { checkCreateOptions, checkFileName } from '../options/operations.js';
import { openTemporary } from '../temporary.js';

/** How an empty disk is created. */
export interface CreateOptions {
  /** Format of the output (default `raw`). */
  readonly format?: string | undefined;
  /** How a qcow2 image is laid out. */
  readonly layout?: Omit<Qcow2Layout, 'compress'> | undefined;
  /** Refuse an output that exists. */
  readonly noClobber?: boolean | undefined;
  /** Write to a block device that is mounted or otherwise in use. */
  readonly force?: boolean | undefined;
}

/** What was created. */
export interface CreatedImage {
  readonly format: string;
  /** Bytes of the disk. */
  readonly virtualSize: bigint;
  /** Length of the file (bytes). */
  readonly fileLength: bigint;
}

const SECTOR = 512n;

/**
 * Creates an image whose disk reads as zeros, as `qemu-img create` does. The output gets its name when it is complete.
 * @param size bytes of the disk; rounded up to whole sectors
 * @throws EngineError; the output is then as it was before.
 */
export async function create(
  output: string,
  size: bigint | number,
  givenOptions: CreateOptions = {},
  control: OperationControl = {},
): Promise<CreatedImage> {
  checkFileName(output);
  const { format = 'raw', ...options } = checkCreateOptions({ ...givenOptions, size });
  const whole = ((options.size + SECTOR - 1n) / SECTOR) * SECTOR;
  if (whole > MAX_SIZE) throw new EngineError('INVALID_OPTION', `size: expected at most ${MAX_SIZE} bytes`);
  // An empty disk is what nothing, extended with zeros, comes to.
  const nothing = await openTemporary(output);
  try {
    const { size: _, ...rest } = options;
    // It is locked, by this process.
    const input = { path: `/proc/self/fd/${nothing}` };
    const disk = { input, inputFormat: 'raw', inputSize: whole, forceShare: true };
    const done = await dd({ ...rest, ...disk, output: { path: output }, outputFormat: format, sparse: true }, control);
    return { format, virtualSize: done.outputVirtualSize, fileLength: done.outputLength };
  } catch (error) {
    throw aboutOutput(error, output);
  } finally {
    await closeFile(nothing);
  }
}

/** What is wrong with the empty input, whose name says nothing to anybody, is wrong with the output. */
function aboutOutput(error: unknown, output: string): unknown {
  if (!(error instanceof EngineError) || error.file?.startsWith('/proc/self/fd/') !== true) return error;
  const what = error.message.slice(`${error.file}: `.length);
  return new EngineError(error.code, what, { file: output, cause: error });
}
