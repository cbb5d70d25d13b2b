import { ownStream, statName } from '@instar/host-files';
import { copy, type CopyResult } from '../copy.js';
import { copyAppliance, diskOfAppliance } from '../copy-appliance.js';
import { copyParts } from '../copy-parts.js';
import { checkOptions, type Endpoint } from '../dd-request.js';
import type { OutputEncryption } from '../encryption/output.js';
import { PLACE_OF_UPLOAD, uploading } from '../dd.js';
import { EngineError } from '../errors.js';
import type { OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import { checkConvertOptions, checkEndpoint, checkFileName } from '../options/operations.js';
import { checkBacking, type BackingFile } from '../output/backing.js';
import { emptyImage, holdsAlready, type EmptyImage } from '../output/empty-image.js';
import type { ImageLayout } from '../output/layout.js';
import { isInParts } from '../output/parts.js';
import { requireHashes, type ChecksumAlgorithm } from '../output/checksum.js';
import { isRemoteName } from '../remote/names.js';
import { IMAGE_DIRECTORY_ONLY } from '../path-policy.js';
import { fill } from './fill.js';
import type { ReadOptions } from './reading.js';
import type { Reflink } from '../session/context.js';

/** How a disk is converted. */
export interface ConvertOptions extends ReadOptions {
  /** Format of the output (default `raw`); `ova` is an appliance in one file, of a streamOptimized vmdk. */
  readonly outputFormat?: string | undefined;
  /** What the output is made with. */
  readonly layout?: ImageLayout | undefined;
  /** How the output is encrypted (luks, qcow2). */
  readonly encryption?: OutputEncryption | undefined;
  /** The image below the output, which then holds only what differs from it (qcow2, qcow, qed). */
  readonly backing?: BackingFile | undefined;
  /** Leave out what holds zeros (default true). */
  readonly sparse?: boolean | undefined;
  /** Least zeros that are left out: bytes, a multiple of 512 up to 16 MiB (default 4096). */
  readonly sparseSize?: bigint | number | undefined;
  /**
   * Write into an output that exists and has room (default false): a raw one, or an image, which keeps its size and what it was
   * made with. What lies behind the disk stays. An image is as it was if that fails; a raw output is not.
   */
  readonly existing?: boolean | undefined;
  /** An existing output reads as zeros, so that zeros need not be written (default false). */
  readonly targetIsZero?: boolean | undefined;
  /**
   * Sum up the disk of the output, as it reads back, with these. It costs the time of reading and hashing the disk, zeros
   * included (some GiB a second). A stream cannot be read back: there the disk of the input is read a second time.
   */
  readonly checksums?: readonly ChecksumAlgorithm[] | undefined;
  /**
   * Copy the persistent bitmaps of the input as well (qcow2 to qcow2): all, or an error where one was not saved properly; with
   * `skipBroken` a warning.
   */
  readonly bitmaps?: boolean | 'skipBroken' | undefined;
  /**
   * Go on where the input cannot be read, be it that its file fails or that the image is damaged: the output has zeros there
   * (default false). `lost` of the result and warnings say where.
   */
  readonly salvage?: boolean | undefined;
  /** Most bytes that the output receives in a second, on average (default: no bound). */
  readonly writeRate?: bigint | number | undefined;
  /**
   * `auto` (default): where no zeros are looked for (`sparse: false`), plain bytes are copied inside the kernel, which lets file systems
   * that can share the blocks of both files.
   * `never`: they are read and written, so that the output has blocks of its own.
   */
  readonly reflink?: Reflink | undefined;
  /** Replace an output that another process has locked (default: as `forceShare`). */
  readonly replaceInUse?: boolean | undefined;
  /** Refuse an output that exists. */
  readonly noClobber?: boolean | undefined;
  /** Write to a block device that is mounted or otherwise in use. */
  readonly force?: boolean | undefined;
}

/** The name of a file, or the descriptor of a stream. */
export type ConvertEndpoint = string | { readonly stream: number };

/** What a conversion did. */
export type ConvertResult = CopyResult;

const SECTOR = 512n;
const MOST_SPARSE_SIZE = 1n << 24n;

function invalid(what: string): EngineError {
  return new EngineError('INVALID_OPTION', what);
}

/**
 * Copies the whole disk of an image, through all that it reads from, into an image of another format, as
 * `qemu-img convert` does. The output gets its name when it is complete.
 * @param input one image, or several whose disks become one; one that comes through a stream is saved first
 * @param output a file, or a stream for formats that are written in order: raw, simg and streamOptimized vmdk
 * @throws EngineError; the output is then as it was before (unless it was written in place).
 */
export async function convert(
  input: ConvertEndpoint | readonly ConvertEndpoint[],
  output: ConvertEndpoint,
  givenOptions: ConvertOptions = {},
  givenControl: OperationControl = {},
): Promise<ConvertResult> {
  const started = performance.now();
  const given = isList(input) ? input : [input];
  const [first, ...further] = await Promise.all(given.map(async (endpoint) => resolved(endpoint, 'input')));
  if (first === undefined) throw invalid('input: expected at least one image');
  const options = checkConvertOptions(givenOptions);
  const control = checkControl(givenControl);
  const upload = control.remote !== undefined && typeof output === 'string' && isRemoteName(output);
  const target = upload ? PLACE_OF_UPLOAD : await resolved(output, 'output');
  if (upload) {
    if (options.existing === true) throw invalid('existing: an object is written as a whole');
    return convertTo(target, [first, ...further], { ...options, upload: output }, control, started);
  }
  if (options.existing !== true || (options.outputFormat ?? 'raw') === 'raw') {
    return convertTo(target, [first, ...further], options, control, started);
  }
  if (options.outputFormat === 'ova') throw invalid('existing: an appliance is written as a whole');
  if (!('path' in target)) throw invalid('existing: a stream holds no image; name a file');
  if (further.length > 0) throw invalid('existing: an image takes one input');
  if (options.outputFormat === 'qcow2') {
    const empty = await emptyImage(target.path, options, control);
    if (typeof empty !== 'string') return convertTo(target, [first], filling(empty, options), control, started);
    const unable = ENTIRE.find((name) => options[name] !== undefined && options[name] !== false);
    if (unable !== undefined) throw holdsAlready(target.path, `${empty}, with which ${unable} does not go together`);
  }
  return fillExisting(target.path, first, options, control, started);
}

function isList(input: ConvertEndpoint | readonly ConvertEndpoint[]): input is readonly ConvertEndpoint[] {
  return Array.isArray(input);
}

/** What only an output can have that is made anew. */
const ENTIRE = ['backing', 'bitmaps', 'salvage'] as const;

/** Writes into an image that exists, in place. */
async function fillExisting(
  output: string,
  input: Endpoint,
  options: CheckedOptions,
  control: OperationControl,
  started: number,
): Promise<ConvertResult> {
  const { outputFormat = 'raw', pathPolicy = IMAGE_DIRECTORY_ONLY, snapshot, layout = {}, checksums = [] } = options;
  const entire = ENTIRE.find((name) => options[name] !== undefined && options[name] !== false);
  if (entire !== undefined) throw invalid(`${entire}: is for outputs that are made anew, or raw ones`);
  if (layout.compress === true) throw invalid('compress: is for outputs that are made anew, or empty');
  requireHashes(checksums);
  const { forceShare = false, strict = false } = options;
  const filled = await fill(
    {
      input,
      output,
      inputFormat: options.format,
      outputFormat,
      targetIsZero: options.targetIsZero === true,
      writeRate: options.writeRate,
      checksums: checksums.length > 0 ? checksums : undefined,
      policy: { references: pathPolicy, forceShare, strict, snapshot },
    },
    control,
  );
  const { bytes, virtualSize, inputFormat, checksums: sums } = filled;
  const { size } = await statName(output);
  return {
    bytes,
    inputVirtualSize: bytes,
    outputVirtualSize: virtualSize,
    outputLength: size,
    inputFormat,
    outputFormat,
    sandbox: filled.sandbox,
    elapsedMs: performance.now() - started,
    ...(sums === undefined ? {} : { checksums: sums }),
  };
}

/** What the schema leaves of the options. */
type CheckedOptions = ReturnType<typeof checkConvertOptions>;

/** How an image is made that takes the place of an empty one, as if that had been written into. */
function filling(
  { layout, backing, virtualSize }: EmptyImage,
  options: CheckedOptions,
): CheckedOptions & { readonly diskSize: bigint } {
  const { compress, compressLevel } = options.layout ?? {};
  if (options.backing !== undefined && options.backing.file !== backing?.file) {
    throw invalid('backing: is not the backing file that the output has');
  }
  return {
    ...options,
    existing: undefined,
    targetIsZero: undefined,
    layout: { ...layout, ...(compress === true ? { compress } : {}), compressLevel },
    backing,
    diskSize: virtualSize,
  };
}

async function convertTo(
  target: Endpoint,
  [first, ...further]: readonly [Endpoint, ...Endpoint[]],
  options: CheckedOptions & { readonly diskSize?: bigint; readonly upload?: string },
  control: OperationControl,
  started: number,
): Promise<ConvertResult> {
  const {
    format,
    sparse,
    sparseSize,
    existing,
    targetIsZero,
    backing,
    checksums: wanted = [],
    writeRate,
    reflink,
    salvage,
    bitmaps,
    ...others
  } = options;
  const { diskSize, upload, ...rest } = others;
  const stream = 'stream' in target;
  const inputFormat = format;
  const appliance = rest.outputFormat === 'ova';
  const request = checkOptions({
    ...rest,
    ...(appliance ? { outputFormat: 'vmdk', layout: diskOfAppliance(rest.layout) } : {}),
    // Where a stream is saved and then read, it may be of any format.
    input: { path: 'path' in first ? first.path : 'standard input' },
    output: target,
    inputFormat,
    sparse: sparse ?? true,
    ...(existing === true ? { seek: 0n } : {}),
  });
  if (backing !== undefined) checkBacking(backing, request.format);
  if (bitmaps !== undefined && bitmaps !== false) {
    if (further.length > 0) throw invalid('bitmaps: need one input, found several');
    if (stream || 'stream' in first) throw invalid('bitmaps: a stream has none; name files');
  }
  if (backing !== undefined && further.length > 0) throw invalid('backing: several inputs have no backing file');
  if (rest.snapshot !== undefined && further.length > 0) throw invalid('snapshot: needs one input, found several');
  if (backing !== undefined && (rest.layout?.preallocation ?? 'off') !== 'off') {
    throw invalid('backing and preallocation exclude each other');
  }
  if (sparseSize !== undefined && (sparseSize % SECTOR !== 0n || sparseSize > MOST_SPARSE_SIZE)) {
    throw invalid(`sparseSize: expected a multiple of 512 up to ${MOST_SPARSE_SIZE}, found ${sparseSize}`);
  }
  if (targetIsZero === true && existing !== true) throw invalid('targetIsZero: needs an output that exists');
  if ([first, ...further].filter((endpoint) => 'stream' in endpoint).length > 1) {
    throw invalid('input: only one of the images can come through a stream');
  }
  const checksums = wanted.length > 0 ? wanted : undefined;
  requireHashes(wanted);
  const copied = bitmaps === 'skipBroken' ? ('skip' as const) : bitmaps === true ? ('refuse' as const) : undefined;
  const more = {
    further,
    sparseSize,
    mustExist: existing,
    targetIsZero,
    backing,
    checksums,
    writeRate,
    reflink,
    salvage,
    bitmaps: copied,
    diskSize,
  };
  const act = appliance ? copyAppliance : isInParts(request.layout ?? {}) ? copyParts : copy;
  const whole = upload === undefined ? request : await uploading(request, upload);
  return act({ ...whole, ...more }, first, control, started);
}

/** What an argument names. A name that leads to a stream which this process has open (`/dev/stdin`) means that stream. */
async function resolved(endpoint: ConvertEndpoint, use: 'input' | 'output'): Promise<Endpoint> {
  if (typeof endpoint === 'object') return checkEndpoint(endpoint);
  checkFileName(endpoint);
  const stream = await ownStream(endpoint, use);
  return stream === undefined ? { path: endpoint } : { stream };
}
