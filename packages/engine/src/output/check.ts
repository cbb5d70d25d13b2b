import { nameBytes } from '@instar/host-files';
import { DEVICE_ROLE, IMAGE_FORMAT, INFO_FLAG, NO_PARENT } from '@instar/shared-abi';
import { EngineError, systemErrorName } from '../errors.js';
import { extentsInFiles } from '../extent-files.js';
import type { Backing } from './backing.js';
import type { GuestContext, GuestDevice } from '../session/context.js';
import { look, type ImageInfo } from '../session/look.js';
import { GuestSession } from '../session/session.js';

/** An output that is written and has no name yet. */
export interface FinishedOutput {
  /** Open for reading. */
  readonly fd: number;
  /** Name that it will get, for messages. */
  readonly name: string;
  /** Number of its format. */
  readonly format: number;
  /** Bytes that it will have. */
  readonly length: bigint;
  /** Bytes of the disk in it. */
  readonly virtualSize: bigint;
  /** The image that it was to have below it. */
  readonly backing?: Backing | undefined;
  /** The file that was to have its data. */
  readonly dataFile?: string | undefined;
  /** It was to be encrypted. */
  readonly encrypted?: boolean | undefined;
  /** Its input was taken for a raw disk from its first byte on, so that it cannot begin like an image. */
  readonly plainInput: boolean;
  /** It was to get bitmaps. */
  readonly bitmaps?: boolean;
}

const { RAW, QCOW2, QCOW, VMDK, QED, VPC, VHDX } = IMAGE_FORMAT.values;
/** Formats whose images can name other files. */
const CAN_NAME_FILES: readonly number[] = [QCOW2, QCOW, VMDK, QED, VPC, VHDX];
const { BACKING_FILE, DATA_FILE, BEYOND_FILE, TABLE_FAULT, ENCRYPTED, CORRUPT } = INFO_FLAG.values;

/**
 * Looks at an output in a fresh sandbox before it gets its name: whoever wrote it had read an image from a stranger. A
 * qcow2 output must be the plain image that was asked for. A raw one that begins like an image which names other files,
 * which programs that guess formats would open, is warned of; where its input is a raw disk that did not begin so, it is
 * refused.
 * @throws EngineError `GUEST_FAILED`, `OUTPUT_MISTAKABLE`
 */
export async function checkOutput(output: FinishedOutput, context: GuestContext): Promise<void> {
  if (output.length === 0n) return;
  try {
    await check(output, context);
  } catch (error) {
    const tolerated = error instanceof EngineError && error.code === 'OUTPUT_MISTAKABLE' && !output.plainInput;
    if (!tolerated) throw error;
    context.onWarning?.(error.message);
  }
}

async function check(output: FinishedOutput, context: GuestContext): Promise<void> {
  const device: GuestDevice = {
    path: output.name,
    entry: {
      role: DEVICE_ROLE.values.IMAGE,
      format: output.format === RAW ? IMAGE_FORMAT.values.PROBE : output.format,
      parent: NO_PARENT,
      flags: 0,
      file_size: output.length,
      virtual_size: 0n,
      start: 0n,
    },
    options: { fd: output.fd, access: 'input', size: output.length },
  };
  // A dump of this guest, or its progress, is nobody's business.
  const quiet: GuestContext = {
    sandbox: context.sandbox,
    isolation: 'fresh',
    limits: context.limits,
    signal: context.signal,
  };
  let info: ImageInfo;
  try {
    info = await lookAlone(device, quiet);
  } catch (error) {
    // A file that may be written and not read, which was there before, is its owner's to look at.
    if (output.format === RAW && systemErrorName(causeOf(error)) === 'EBADF') return;
    if (!(error instanceof EngineError) || !error.code.startsWith('IMAGE_')) throw error;
    if (output.format === RAW && !(await mayNameFiles(error, device, quiet))) return;
    throw output.format === RAW ? mistakable(output) : notAsAsked(output);
  }
  const has = (flag: number): boolean => (info.flags & flag) !== 0;
  if (output.format === RAW) {
    if (has(BACKING_FILE) || has(DATA_FILE) || extentsInFiles(info).length > 0) throw mistakable(output);
    return;
  }
  const mistaken =
    has(ENCRYPTED) !== (output.encrypted === true) ||
    !isAbove(output.backing, info) ||
    !keepsData(output.dataFile, info);
  const strange = [BEYOND_FILE, TABLE_FAULT, CORRUPT].some(has) || mistaken;
  const plain = info.virtual_size === output.virtualSize && info.snapshot_count === 0;
  const unasked = info.bitmap_count > 0 && output.bitmaps !== true;
  if (strange || !plain || unasked) throw notAsAsked(output);
}

/** Whether an image names the backing file that it was to have, and none otherwise. */
function isAbove(backing: Backing | undefined, info: ImageInfo): boolean {
  const named = (info.flags & BACKING_FILE) !== 0;
  if (backing === undefined || !named) return (backing !== undefined) === named;
  const name = Buffer.from(info.backing_file.subarray(0, info.backing_file_len));
  const format = Buffer.from(info.backing_format.subarray(0, info.backing_format_len)).toString('latin1');
  // The other formats have no word for it, or one for raw only.
  return name.equals(nameBytes(backing.name)) && (info.format !== QCOW2 || format === backing.format);
}

/** Whether an image names the data file that it was to have, and none otherwise. */
function keepsData(dataFile: string | undefined, info: ImageInfo): boolean {
  const named = (info.flags & DATA_FILE) !== 0;
  if (dataFile === undefined || !named) return (dataFile !== undefined) === named;
  return Buffer.from(info.data_file.subarray(0, info.data_file_len)).equals(nameBytes(dataFile));
}

async function lookAlone(device: GuestDevice, context: GuestContext): Promise<ImageInfo> {
  const session = new GuestSession(context);
  // What it would unpack to is nobody's business either.
  return look(session, session.add(device), true, 1n);
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined;
}

/** Whether a file that is refused as what it begins like begins like an image of a format that can name other files. */
async function mayNameFiles(error: EngineError, device: GuestDevice, context: GuestContext): Promise<boolean> {
  if (error.code === 'IMAGE_AMBIGUOUS_FORMAT') return true;
  for (const format of CAN_NAME_FILES) {
    try {
      await lookAlone({ ...device, entry: { ...device.entry, format } }, context);
      return true;
    } catch (problem) {
      if (!(problem instanceof EngineError) || !problem.code.startsWith('IMAGE_')) throw problem;
      if (problem.code !== 'IMAGE_NOT_THIS_FORMAT') return true;
    }
  }
  return false;
}

function mistakable({ name }: FinishedOutput): EngineError {
  return new EngineError(
    'OUTPUT_MISTAKABLE',
    'the copied disk begins like an image that names other files, which programs that guess formats would open; always ' +
      'say that it is raw (-f raw)',
    { file: name },
  );
}

function notAsAsked({ name }: FinishedOutput): EngineError {
  return new EngineError(
    'GUEST_FAILED',
    'the sandboxed reader wrote something else than the image that was asked for; its input may be made to attack it',
    { file: name },
  );
}
