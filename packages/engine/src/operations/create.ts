import { closeFile } from '@instar/host-files';
import { MAX_SIZE } from '@instar/operands';
import { copy } from '../copy.js';
import { copyParts } from '../copy-parts.js';
import { checkOptions } from '../dd-request.js';
import type { OutputEncryption } from '../encryption/output.js';
import { EngineError } from '../errors.js';
import { info } from '../info.js';
import type { OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import { checkCreateOptions, checkFileName } from '../options/operations.js';
import { backingPath, checkBacking, isDifferencing, refuseItself, type BackingFile } from '../output/backing.js';
import type { ImageLayout } from '../output/layout.js';
import { isInParts } from '../output/parts.js';
import { IMAGE_DIRECTORY_ONLY, requirePlainName } from '../path-policy.js';
import { openTemporary } from '../temporary.js';

/** How an empty disk is created. */
export interface CreateOptions {
  /** Format of the output (default `raw`). */
  readonly format?: string | undefined;
  /** What the image is made with. */
  readonly layout?: Omit<ImageLayout, 'compress' | 'compressLevel'> | undefined;
  /** How the output is encrypted (luks, qcow2). */
  readonly encryption?: OutputEncryption | undefined;
  /** The image below it, whose disk it shows until something is written (qcow2, qcow, qed; vpc and vhdx: of the same format and size). */
  readonly backing?: BackingFile | undefined;
  /** Whether the backing file must be there and in its format (default true); else a size is needed. */
  readonly checkBacking?: boolean | undefined;
  /** Replace an output that another process has locked (default false). */
  readonly replaceInUse?: boolean | undefined;
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
 * Creates an image whose disk reads as zeros, or as its backing file, as `qemu-img create` does. The output gets its name
 * when it is complete.
 * @param size bytes of the disk, rounded up to whole sectors; may be left out where a backing file has a size
 * @throws EngineError; the output is then as it was before.
 */
export async function create(
  output: string,
  size: bigint | number | undefined,
  givenOptions: CreateOptions = {},
  givenControl: OperationControl = {},
): Promise<CreatedImage> {
  const started = performance.now();
  checkFileName(output);
  const options = checkCreateOptions({ ...givenOptions, size });
  const {
    format = 'raw',
    size: wanted,
    backing,
    checkBacking: checked = true,
    replaceInUse = false,
    ...rest
  } = options;
  const control = checkControl(givenControl);
  // Before anything is opened; the size follows.
  const described = { ...rest, input: { path: output }, output: { path: output }, outputFormat: format, sparse: true };
  const { format: number } = checkOptions(described);
  if (backing !== undefined) {
    checkBacking(backing, number, true);
    if (isDifferencing(backing, number) && !checked) {
      throw new EngineError(
        'INVALID_OPTION',
        'checkBacking: a differencing disk needs its parent, whose identity it has',
      );
    }
    if (checked) requirePlainName('backing', backing.file);
    await refuseItself(output, backingPath(output, backing));
    if ((rest.layout?.preallocation ?? 'off') !== 'off') {
      throw new EngineError('INVALID_OPTION', 'backing and preallocation exclude each other');
    }
  }
  const below =
    backing !== undefined && checked ? await sizeOf(backingPath(output, backing), backing, control) : undefined;
  if (backing !== undefined && checked) {
    const { dataFile } = rest.layout ?? {};
    const data = dataFile === undefined ? [] : [backingPath(output, { file: dataFile, format: 'raw' })];
    await refuseInChain([output, ...data], backingPath(output, backing), backing.format, control);
  }
  const bytes = wanted ?? below;
  if (isDifferencing(backing, number) && below !== undefined && bytes !== below) {
    throw new EngineError('INVALID_OPTION', `size: a differencing disk has that of its parent, ${below} bytes`);
  }
  if (bytes === undefined) throw new EngineError('INVALID_OPTION', 'size: needed, as no backing file tells one');
  const whole = ((bytes + SECTOR - 1n) / SECTOR) * SECTOR;
  if (whole > MAX_SIZE) throw new EngineError('INVALID_OPTION', `size: expected at most ${MAX_SIZE} bytes`);
  // An empty disk is what nothing, extended with zeros, comes to.
  const nothing = await openTemporary(output);
  try {
    const input = `/proc/self/fd/${nothing}`;
    // It is locked, by this process.
    const disk = {
      input: { path: input },
      inputFormat: 'raw',
      inputSize: whole,
      forceShare: true,
      replaceInUse,
    };
    const request = checkOptions({ ...described, ...disk });
    const differencing = isDifferencing(backing, number);
    const named = backing && {
      // As it is read again.
      name: differencing ? backing.file.replace(/^(?:\.\/+)+/, '') : backing.file,
      format: backing.format,
      parent: differencing ? backingPath(output, backing) : undefined,
    };
    const act = isInParts(request.layout ?? {}) ? copyParts : copy;
    const done = await act({ ...request, named, empty: true }, { path: input }, control, started);
    return { format, virtualSize: done.outputVirtualSize, fileLength: done.outputLength };
  } catch (error) {
    throw aboutOutput(error, output);
  } finally {
    await closeFile(nothing);
  }
}

/** Bytes of the disk of a backing file, which must be an image of its format. */
async function sizeOf(path: string, { format }: BackingFile, control: OperationControl): Promise<bigint> {
  const [{ virtualSize }] = await info(path, { format, forceShare: true }, control);
  return virtualSize;
}

/**
 * Refuses outputs of which one is among the images below them.
 * @throws EngineError `SAME_FILE`
 */
async function refuseInChain(
  outputs: readonly string[],
  below: string,
  format: string,
  control: OperationControl,
): Promise<void> {
  const options = { format, forceShare: true, backingChain: IMAGE_DIRECTORY_ONLY };
  const quiet = { ...control, onWarning: undefined };
  // Where the chain cannot be looked at, it may lie elsewhere, or be of a machine on which the image is used.
  const chain = await info(below, options, quiet).catch(() => []);
  const files = [below, ...chain.slice(1).map(({ filename }) => filename)];
  for (const output of outputs) for (const file of files) await refuseItself(output, file);
}

/** What is wrong with the empty input, whose name says nothing to anybody, is wrong with the output. */
function aboutOutput(error: unknown, output: string): unknown {
  if (!(error instanceof EngineError) || error.file?.startsWith('/proc/self/fd/') !== true) return error;
  const what = error.message.slice(`${error.file}: `.length);
  return new EngineError(error.code, what, { file: output, cause: error });
}
