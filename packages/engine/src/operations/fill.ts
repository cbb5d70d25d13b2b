import { lockInput } from '@instar/host-files';
import { DEVICE_ROLE, EDIT_ACTION, EDIT_FLAG, IMAGE_FORMAT, INFO_FLAG } from '@instar/shared-abi';
import type { CopyResult } from '../copy.js';
import { openChain, type ChainPolicy } from '../chain.js';
import type { Endpoint } from '../dd-request.js';
import { EngineError, withEngineErrors } from '../errors.js';
import { formatName } from '../format-names.js';
import { forcedFormat, outputFormat } from '../formats.js';
import { identityOf, openInput } from '../input-file.js';
import { guestContext, type OperationControl } from '../operation.js';
import { checksumsOfDisks, type ChecksumAlgorithm, type Checksums } from '../output/checksum.js';
import { GuestSession } from '../session/session.js';
import { dataFilePutBack } from './data-file.js';
import { editInSession } from './edit.js';
import { openImage } from './open-image.js';
import { spool } from './spool.js';

/** A disk that is written into an image that exists. */
export interface FillRequest {
  readonly input: Endpoint;
  readonly output: string;
  /** Format of the input that is forced instead of a probe. */
  readonly inputFormat: string | undefined;
  readonly outputFormat: string;
  /** The image reads as zeros, which need not be written. */
  readonly targetIsZero: boolean;
  readonly writeRate: bigint | undefined;
  readonly checksums: readonly ChecksumAlgorithm[] | undefined;
  readonly policy: ChainPolicy;
}

/** What was written. */
export interface FilledImage {
  /** Bytes of the disk of the input, and of that of the image. */
  readonly bytes: bigint;
  readonly virtualSize: bigint;
  readonly inputFormat: string;
  readonly sandbox: CopyResult['sandbox'];
  readonly checksums?: Checksums;
}

/**
 * Writes the disk of an image into another image that exists, in place: what lies behind it stays. The image is in the end as
 * it was or as it was to become, also where the process is killed.
 * @throws EngineError; the image is then as it was
 */
export async function fill(request: FillRequest, control: OperationControl): Promise<FilledImage> {
  const { input, output, policy, writeRate, checksums } = request;
  const format = outputFormat(request.outputFormat, output);
  if (format === IMAGE_FORMAT.values.LUKS || format === IMAGE_FORMAT.values.SIMG) {
    throw new EngineError('INVALID_OPTION', `existing: images of format ${request.outputFormat} are not written into`);
  }
  const context = { ...guestContext(control), writeRate };
  const filled = await withEngineErrors(async () => {
    const session = new GuestSession(context, { inOrder: true });
    const name = 'path' in input ? input.path : 'standard input';
    // Without locks of its own: what is edited is locked when it is, the others here.
    const top =
      'path' in input
        ? await openInput(input.path, true, context, dataFilePutBack(context, policy.references))
        : await spool(input.stream, output, context);
    const forced = forcedFormat(request.inputFormat, name);
    const chain = await openChain(top, forced, { ...policy, forceShare: true }, session, DEVICE_ROLE.values.COMPARED);
    try {
      const own = identityOf(output);
      if (chain.files.some((file) => file.identity === own)) {
        throw new EngineError('SAME_FILE', 'is read and would be written at the same time', { file: output });
      }
      for (const { fd, path } of policy.forceShare ? [] : chain.files) if (fd !== -1) lockInput(fd, path);
      const { info } = chain.layers[0];
      const room = 2n * info.virtual_size;
      const { references } = policy;
      const beside = chain.files;
      const about = { path: output, format, undo: true, room, references, beside, onProgress: control.onProgress };
      const size = await editInSession(session, about, async ({ edit, info: { virtual_size: size, flags: has } }) => {
        if (size < info.virtual_size) {
          const problem = `has a disk of ${size} bytes, fewer than the ${info.virtual_size} of the input`;
          throw new EngineError('FILE_NOT_USABLE', problem, { file: output });
        }
        if ((has & INFO_FLAG.values.BACKING_FILE) !== 0 && size > info.virtual_size) {
          const problem =
            `has a backing file, and a disk of ${size} bytes, more than the ${info.virtual_size} of the input; ` +
            'what shows behind them could not be kept';
          throw new EngineError('FILE_NOT_USABLE', problem, { file: output });
        }
        const flags = request.targetIsZero ? EDIT_FLAG.values.READS_AS_ZERO : 0;
        await edit({ action: EDIT_ACTION.values.FILL, flags }, true);
        return size;
      });
      chain.doubts.forEach((doubt) => control.onWarning?.(doubt));
      return {
        bytes: info.virtual_size,
        virtualSize: size,
        inputFormat: formatName(info.format),
        sandbox: context.sandbox.kind,
      };
    } finally {
      await chain.close();
    }
  });
  if (checksums === undefined) return filled;
  const quiet = { ...control, onProgress: undefined, onWarning: undefined };
  const image = openImage(output, { format: request.outputFormat, pathPolicy: policy.references }, quiet);
  const sums = await checksumsOfDisks(only(image), filled.virtualSize, checksums, { signal: control.signal });
  return { ...filled, checksums: sums };
}

async function* only<T>(one: Promise<T>): AsyncGenerator<T> {
  yield await one;
}
