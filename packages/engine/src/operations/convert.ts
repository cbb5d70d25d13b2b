import { ownStream } from '@instar/host-files';
import { dd } from '../dd.js';
import type { DdResult, Qcow2Layout } from '../dd-request.js';
import { EngineError } from '../errors.js';
import type { OperationControl } from '../operation.js';
import { checkConvertOptions, checkFileName } from '../options/operations.js';
import type { ReadOptions } from './reading.js';

/** How a disk is converted. */
export interface ConvertOptions extends ReadOptions {
  /** Format of the output (default `raw`). */
  readonly outputFormat?: string | undefined;
  /** How a qcow2 output is laid out, and whether it is compressed. */
  readonly layout?: Qcow2Layout | undefined;
  /** Leave out what holds zeros, in pieces of 4 KiB (default true). */
  readonly sparse?: boolean | undefined;
  /** Refuse an output that exists. */
  readonly noClobber?: boolean | undefined;
  /** Write to a block device that is mounted or otherwise in use. */
  readonly force?: boolean | undefined;
}

/** What a conversion did. */
export type ConvertResult = DdResult;

/**
 * Copies the whole disk of an image, through all that it reads from, into an image of another format, as
 * `qemu-img convert` does. The output gets its name when it is complete.
 * @throws EngineError; the output is then as it was before.
 */
export async function convert(
  input: string,
  output: string,
  givenOptions: ConvertOptions = {},
  control: OperationControl = {},
): Promise<ConvertResult> {
  checkFileName(input);
  checkFileName(output);
  const { format, sparse, ...options } = checkConvertOptions(givenOptions);
  if ((await ownStream(input, 'input')) !== undefined) {
    const problem = 'is a stream, and an image is read at any place: save it first, or copy raw bytes with dd if=-';
    throw new EngineError('FILE_NOT_USABLE', problem, { file: input });
  }
  const files = { input: { path: input }, output: { path: output } };
  return dd({ ...options, ...files, inputFormat: format, sparse: sparse ?? true }, control);
}
