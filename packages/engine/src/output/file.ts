import { createOutput, escapeText, type OutputFile, type OutputRequest } from '@instar/host-files';
import { withEngineErrors } from '../errors.js';
import type { OperationControl } from '../operation.js';

/**
 * Opens an output file; its errors are those of this package.
 * @throws EngineError `SAME_FILE`, `OUTPUT_EXISTS`, `FILE_NOT_USABLE`, `INPUT_IN_USE`, `NO_SPACE`, `WRITE_FAILED`
 */
export async function openOutputFile(
  request: OutputRequest,
  { onWarning }: Pick<OperationControl, 'onWarning'>,
): Promise<OutputFile> {
  const warned: OutputRequest = {
    ...request,
    onWarning: (warning) => onWarning?.(escapeText(warning)),
  };
  const output = await withEngineErrors(async () => createOutput(warned));
  return {
    ...output,
    sync: async (length) => withEngineErrors(async () => output.sync(length)),
    finish: async (length) => withEngineErrors(async () => output.finish(length)),
  };
}

/** Gives an output up after an error, which is the one that the caller must see. */
export async function abandonQuietly(output: OutputFile): Promise<void> {
  try {
    await output.abandon();
  } catch {
    // What cannot be removed stays as a leftover, which the next run to the same output removes.
  }
}
