import { statFile } from '@instar/host-files';
import {
  DEVICE_ROLE,
  EDIT_ACTION,
  EDIT_FLAG,
  EDIT_RESULT_MAGIC,
  EditConfig,
  EditResult,
  IMAGE_FORMAT,
  NO_PARENT,
} from '@instar/shared-abi';
import { inputDevice, type Layer } from '../chain.js';
import { EngineError } from '../errors.js';
import { formatName } from '../format-names.js';
import { editedDevice, MOST_LENGTH } from '../operations/edit.js';
import type { GuestContext } from '../session/context.js';
import { perform } from '../session/operation.js';
import { GuestSession } from '../session/session.js';

/** What becomes of bitmaps that were not saved properly. */
export type BrokenBitmaps = 'refuse' | 'skip';

/** An output that is complete but for its name. */
interface Target {
  readonly fd: number;
  readonly name: string;
  /** Bytes. */
  readonly length: bigint;
}

/** What the bitmaps of an output may take (bytes). */
const ROOM = 1n << 34n;
const decoder = new TextDecoder('utf-8');

/**
 * Refuses what cannot be copied with its bitmaps, before anything is written.
 * @param format number of the format of the output
 * @returns what to warn of
 * @throws EngineError `INVALID_OPTION`, `UNSUPPORTED_FORMAT`
 */
export function checkBitmaps({ file, info }: Layer, format: number, broken: BrokenBitmaps): readonly string[] {
  const { QCOW2 } = IMAGE_FORMAT.values;
  if (info.format !== QCOW2) throw new EngineError('UNSUPPORTED_FORMAT', 'has no bitmaps', { file: file.path });
  if (format !== QCOW2) {
    throw new EngineError('INVALID_OPTION', `bitmaps: images of format ${formatName(format)} have none`);
  }
  const names = info.bitmaps
    .slice(0, info.bitmap_count)
    .filter(({ flags }) => (flags & 1) !== 0)
    .map(({ name, name_len: length }) => decoder.decode(name.subarray(0, length)));
  const [first] = names;
  if (first !== undefined && broken === 'refuse') {
    const problem = `the bitmap '${first}' was not saved properly: it can be skipped, or removed`;
    throw new EngineError('IMAGE_UNSUPPORTED_EDIT', problem, { file: file.path });
  }
  return names.map((name) => `${file.path}: the bitmap '${name}' was not saved properly and is skipped`);
}

/**
 * Adds the bitmaps of an image to an output.
 * @returns bytes that the output then has
 * @throws EngineError
 */
export async function copyBitmaps(
  output: Target,
  { file }: Layer,
  broken: BrokenBitmaps,
  context: GuestContext,
): Promise<bigint> {
  const session = new GuestSession({ ...context, secrets: undefined, onProgress: undefined }, { inOrder: true });
  const { QCOW2 } = IMAGE_FORMAT.values;
  try {
    const edited = { fd: output.fd, path: output.name, size: output.length, log: undefined };
    session.add(editedDevice(edited, QCOW2, MOST_LENGTH));
    session.add(inputDevice(file, DEVICE_ROLE.values.COMPARED, QCOW2, NO_PARENT));
    await perform(session, {
      config: EditConfig.encode({
        action: EDIT_ACTION.values.BITMAPS_COPY,
        flags: broken === 'skip' ? EDIT_FLAG.values.SKIP_BROKEN : 0,
      }),
      result: EditResult,
      magic: EDIT_RESULT_MAGIC,
      outputBytes: ROOM,
      subject: file.path,
      last: true,
    });
  } finally {
    await session.close();
  }
  const status = statFile(output.fd);
  return status.isFile() && status.size > output.length ? status.size : output.length;
}
