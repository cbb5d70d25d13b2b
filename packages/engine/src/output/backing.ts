import { closeFile, identity, nameBytes, statName } from '@instar/host-files';
import { DEVICE_ROLE, IMAGE_FORMAT } from '@instar/shared-abi';
import { openChain, type Chain, type ChainPolicy } from '../chain.js';
import { EngineError } from '../errors.js';
import { formatName } from '../format-names.js';
import { forcedFormat } from '../formats.js';
import { openInput } from '../input-file.js';
import { combinePath, requirePlainName } from '../path-policy.js';

/** The image below an output. */
export interface BackingFile {
  /** Its name as the output holds it: absolute, or from the output's directory on. */
  readonly file: string;
  /** Its format, which is not to be guessed by whoever opens the output. */
  readonly format: string;
}

/** What an output is told of the image below it. */
export interface Backing {
  readonly name: string;
  readonly format: string;
  /** Layers of the input above it. */
  readonly depth: number;
}

const MOST_NAME_BYTES = 1023;
const { QCOW2, QCOW, QED, VPC, VHDX } = IMAGE_FORMAT.values;
const CAN_HAVE_BACKING: readonly number[] = [QCOW2, QCOW, QED];
/** Formats whose differencing disks are created empty, over a parent of their own format. */
const DIFFERENCING: readonly number[] = [VPC, VHDX];

/** The path that the name of a backing file leads to. */
export function backingPath(output: string, { file }: BackingFile): string {
  return combinePath(output, file);
}

/**
 * Refuses backing files that an output cannot have.
 * @param format number of the output's format
 * @param isEmpty it holds nothing of its own
 * @throws EngineError `INVALID_OPTION`
 */
export function checkBacking(backing: BackingFile, format: number, isEmpty = false): void {
  if (isEmpty && DIFFERENCING.includes(format)) {
    checkParent(backing, format);
    return;
  }
  if (!CAN_HAVE_BACKING.includes(format)) {
    throw new EngineError(
      'INVALID_OPTION',
      `backing: outputs of format ${formatName(format)} have none; qcow2, qcow and qed have`,
    );
  }
  if (nameBytes(backing.file).length > MOST_NAME_BYTES) {
    throw new EngineError('INVALID_OPTION', `backing: expected a name of at most ${MOST_NAME_BYTES} bytes`);
  }
}

/** @throws EngineError `INVALID_OPTION` for what is no parent of a differencing disk */
function checkParent({ file, format: parent }: BackingFile, format: number): void {
  const name = formatName(format);
  if (forcedFormat(parent, file) !== format) {
    throw new EngineError('INVALID_OPTION', `backing: the parent of a ${name} image is one of its own format`);
  }
  if (file.startsWith('/') || /[:\\]/.test(file) || !isUtf8(file)) {
    const what = `backing: ${name} images name a parent from their own directory on, without colons and backslashes`;
    throw new EngineError('INVALID_OPTION', what);
  }
}

/** Whether a name is text, which UTF-16 has units for. */
function isUtf8(name: string): boolean {
  return Buffer.from(nameBytes(name)).equals(Buffer.from(name));
}

/** Whether an output is a differencing disk. */
export function isDifferencing(backing: BackingFile | undefined, format: number): boolean {
  return backing !== undefined && DIFFERENCING.includes(format);
}

/**
 * Refuses to create an image over itself, whatever names it has.
 * @throws EngineError `SAME_FILE`
 */
export async function refuseItself(output: string, below: string): Promise<void> {
  const [written, kept] = await Promise.all([output, below].map(async (path) => statName(path).catch(() => undefined)));
  if (written === undefined || kept === undefined || identity(written) !== identity(kept)) return;
  throw new EngineError('SAME_FILE', 'would be its own backing file; writing it would destroy the data', {
    file: output,
  });
}

/** The image below an output as the guest is told of it, and what is to be closed. */
export interface OpenBacking {
  readonly backing: Backing;
  /** The image where it is none of the input's own layers. */
  readonly chain: Chain | undefined;
}

/**
 * Finds the backing file of an output among the layers of its input, or opens it beside them.
 * @param ofSnapshot an internal snapshot of the input is read
 * @throws EngineError as for an input
 */
export async function openBacking(
  output: string,
  given: BackingFile,
  input: Chain,
  policy: ChainPolicy,
  ofSnapshot: boolean,
): Promise<OpenBacking> {
  requirePlainName('backing', given.file);
  const path = backingPath(output, given);
  const format = forcedFormat(given.format, path);
  const backing = { name: given.file, format: given.format };
  const file = await openInput(path, policy.forceShare);
  const depth = input.layers.findIndex(
    (layer, index) =>
      layer.file.identity === file.identity &&
      layer.info.format === format &&
      // Of the image whose snapshot is read, the backing file is the present state.
      (index > 0 || !ofSnapshot),
  );
  if (depth >= 0) {
    await closeFile(file.fd);
    return { backing: { ...backing, depth }, chain: undefined };
  }
  const chain = await openChain(file, format, policy, input.session, DEVICE_ROLE.values.COMPARED);
  return { backing: { ...backing, depth: 0 }, chain };
}
