import { setMaxListeners } from 'node:events';
import type { ValueOf } from '@instar/layout';
import {
  DEVICE_ROLE,
  IMAGE_FORMAT,
  INFO_FLAG,
  NO_PARENT,
  type BitmapRecord,
  type SnapshotRecord,
} from '@instar/shared-abi';
import { inputDevice, openChain, type Layer } from './chain.js';
import { contentOf, type RawContent } from './content.js';
import { doubtsOf } from './doubts.js';
import { EngineError } from './errors.js';
import { describeExtents, type ImageExtent } from './extent-files.js';
import { formatName } from './format-names.js';
import { forcedFormat, isPacked } from './formats.js';
import { inTurn } from './in-turn.js';
import { closeInput, openInput, type InputFile } from './input-file.js';
import { luksDetails, type LuksDetails } from './luks-details.js';
import { checkControl } from './options/control.js';
import {
  checkFileName,
  checkFileNames,
  checkInfoOptions,
  checkInspectOptions,
  checkManyOptions,
} from './options/operations.js';
import { combinePath, type PathPolicy } from './path-policy.js';
import { type Sandbox } from './sandbox.js';
import { decidedBy, judge, judgeUnreadable, type SafetyCheckName, type SafetyVerdict } from './safety.js';
import type { GuestContext } from './session/context.js';
import { look, type ImageInfo } from './session/look.js';
import { KEPT_SANDBOXES } from './session/pool.js';
import { GuestSession } from './session/session.js';
import { requireVirtualSize } from './size-limits.js';
import { guestContext, type OperationControl } from './operation.js';
import { dataFilePutBack } from './operations/data-file.js';

/** An internal snapshot. */
export interface Snapshot {
  readonly id: string;
  readonly name: string;
  /** Bytes of VM state. */
  readonly vmStateSize: bigint;
  readonly dateSeconds: number;
  readonly dateNanoseconds: number;
  readonly vmClockNanoseconds: bigint;
  /** Instruction count, undefined where it was not recorded. */
  readonly instructionCount: bigint | undefined;
}

/** A persistent dirty bitmap. */
export interface Bitmap {
  readonly name: string;
  /** Bytes that one bit stands for. */
  readonly granularity: bigint;
  readonly flags: readonly ('in-use' | 'auto')[];
}

/** What is special to qcow2. */
export interface Qcow2Details {
  /** `0.10` for version 2, `1.1` for version 3. */
  readonly compat: string;
  readonly compressionType: 'zlib' | 'zstd';
  readonly lazyRefcounts: boolean;
  readonly refcountBits: number;
  readonly corrupt: boolean;
  readonly extendedL2: boolean;
  readonly dataFile: string | undefined;
  readonly dataFileRaw: boolean;
  readonly bitmaps: readonly Bitmap[];
  /** How clusters are encrypted. */
  readonly encryption: 'aes' | 'luks' | undefined;
}

/** What is special to vmdk. */
export interface VmdkDetails {
  /** Number that changes with the content. */
  readonly contentId: number;
  /** That number of the parent when the image was made; 0xffffffff without a parent. */
  readonly parentContentId: number;
  /** `monolithicSparse`, `twoGbMaxExtentFlat`, …, as stored. */
  readonly createType: string;
  readonly extents: readonly ImageExtent[];
}

/** What an image says of itself. Text comes from the image: escape it before it is shown. */
export interface ImageDescription {
  readonly filename: string;
  readonly format: string;
  /** Bytes. */
  readonly virtualSize: bigint;
  /** Length of the file (bytes). */
  readonly fileLength: bigint;
  /** Bytes that the file takes on its file system, with the extent files that were opened. */
  readonly actualSize: bigint;
  /** Bytes; undefined where the format has no clusters. */
  readonly clusterSize: number | undefined;
  readonly encrypted: boolean;
  readonly dirty: boolean;
  readonly backingFilename: string | undefined;
  /** The path that the name leads to. */
  readonly fullBackingFilename: string | undefined;
  readonly backingFormat: string | undefined;
  readonly snapshots: readonly Snapshot[];
  readonly qcow2: Qcow2Details | undefined;
  readonly vmdk: VmdkDetails | undefined;
  /** What the header of an encrypted image says. */
  readonly luks: LuksDetails | undefined;
  /** A raw image that holds an ISO 9660 file system. */
  readonly iso9660: boolean;
  /** What a raw image was recognised by; undefined for other formats. */
  readonly content: RawContent | undefined;
  readonly safety: SafetyVerdict;
  readonly sandbox: Sandbox;
}

/** How info looks at an image. */
export interface InfoOptions {
  /** Format that is forced instead of a probe. */
  readonly format?: string | undefined;
  /** Read an image that another process has locked. */
  readonly forceShare?: boolean | undefined;
  /** Refuse an image that is not whole, in place of a warning. */
  readonly strict?: boolean | undefined;
  /** Describe the backing images as well; needs a decision on which files may be opened. */
  readonly backingChain?: PathPolicy | undefined;
  /** Where the external data file of the image may be written to if an edit of both was interrupted (default: as `backingChain` says). */
  readonly pathPolicy?: PathPolicy | undefined;
}

const decoder = new TextDecoder();

function text(bytes: Uint8Array, length: number): string {
  return decoder.decode(bytes.subarray(0, length));
}

function snapshot(record: ValueOf<typeof SnapshotRecord>): Snapshot {
  return {
    id: text(record.id, record.id_len),
    name: text(record.name, record.name_len),
    vmStateSize: record.vm_state_size,
    dateSeconds: record.date_sec,
    dateNanoseconds: record.date_nsec,
    vmClockNanoseconds: record.vm_clock_nsec,
    instructionCount: record.icount < 0n ? undefined : record.icount,
  };
}

function bitmap(record: ValueOf<typeof BitmapRecord>): Bitmap {
  const flags: Bitmap['flags'] = [
    ...((record.flags & 1) === 0 ? [] : ['in-use' as const]),
    ...((record.flags & 2) === 0 ? [] : ['auto' as const]),
  ];
  return { name: text(record.name, record.name_len), granularity: 1n << BigInt(record.granularity_bits), flags };
}

/** By `crypt_method`. */
const ENCRYPTIONS: readonly Qcow2Details['encryption'][] = [undefined, 'aes', 'luks'];

function qcow2Details(info: ImageInfo): Qcow2Details {
  const has = (flag: number): boolean => (info.flags & flag) !== 0;
  const F = INFO_FLAG.values;
  return {
    compat: info.version === 2 ? '0.10' : '1.1',
    compressionType: info.compression_type === 1 ? 'zstd' : 'zlib',
    lazyRefcounts: has(F.LAZY_REFCOUNTS),
    refcountBits: info.refcount_bits,
    corrupt: has(F.CORRUPT),
    extendedL2: has(F.EXTENDED_L2),
    dataFile: has(F.DATA_FILE) ? text(info.data_file, info.data_file_len) : undefined,
    dataFileRaw: has(F.DATA_FILE_RAW),
    bitmaps: info.bitmaps.slice(0, info.bitmap_count).map(bitmap),
    encryption: ENCRYPTIONS[info.crypt_method],
  };
}

function vmdkDetails(file: InputFile, info: ImageInfo, extentFiles: readonly InputFile[]): VmdkDetails {
  return {
    contentId: info.content_id,
    parentContentId: info.parent_content_id,
    createType: text(info.variant, info.variant_len),
    extents: describeExtents(file, info, extentFiles),
  };
}

/** What the guest and the host know of an image. */
export function describeLayer(
  { file, info, declared, extentFiles }: Pick<Layer, 'file' | 'info' | 'declared' | 'extentFiles'>,
  sandbox: Sandbox,
): ImageDescription {
  const has = (flag: number): boolean => (info.flags & flag) !== 0;
  const F = INFO_FLAG.values;
  const format = formatName(info.format);
  const backing = has(F.BACKING_FILE) ? text(info.backing_file, info.backing_file_len) : undefined;
  return {
    filename: file.path,
    format,
    virtualSize: info.virtual_size,
    fileLength: file.size,
    actualSize: extentFiles.reduce((sum, { allocated }) => sum + allocated, file.allocated),
    clusterSize: info.cluster_size === 0 ? undefined : info.cluster_size,
    encrypted: has(F.ENCRYPTED),
    dirty: has(F.DIRTY),
    backingFilename: backing,
    // What a URL names is no place that a name in an image could lead to.
    fullBackingFilename:
      backing === undefined || file.remote !== undefined ? undefined : combinePath(file.path, backing),
    backingFormat: info.backing_format_len === 0 ? undefined : text(info.backing_format, info.backing_format_len),
    snapshots: info.snapshots.slice(0, info.snapshot_count).map(snapshot),
    qcow2: format === 'qcow2' ? qcow2Details(info) : undefined,
    vmdk: format === 'vmdk' ? vmdkDetails(file, info, extentFiles) : undefined,
    luks: luksDetails(info),
    iso9660: has(F.ISO_HINT),
    content: format === 'raw' || isPacked(format) ? contentOf(info.content) : undefined,
    safety: judge(info, { format, declared, size: file.size }),
    sandbox,
  };
}

/** Longest time of one look at one image (milliseconds), where the caller sets none. */
const INFO_MS = 60_000;

/** An image is described from its metadata: a look that takes minutes is no look at an honest image. */
function contextOf(control: OperationControl): GuestContext {
  const context = guestContext(control);
  return { ...context, limits: { wallClockMs: INFO_MS, ...context.limits } };
}

/**
 * Describes an image, and with `backingChain` every image below it. Without it no file but the named one is opened.
 * @returns the named image first.
 * @throws EngineError
 */
export async function info(
  file: string,
  givenOptions: InfoOptions = {},
  givenControl: OperationControl = {},
): Promise<readonly [ImageDescription, ...ImageDescription[]]> {
  checkFileName(file);
  const options = checkInfoOptions(givenOptions);
  const control = checkControl(givenControl);
  const format = forcedFormat(options.format, file);
  const context = contextOf(control);
  const forceShare = options.forceShare === true;
  const putBack = dataFilePutBack(context, options.pathPolicy ?? options.backingChain);
  const input = await openInput(file, forceShare, context, putBack);
  const session = new GuestSession(context);
  if (options.backingChain === undefined) {
    try {
      const device = session.add(inputDevice(input, DEVICE_ROLE.values.IMAGE, format, NO_PARENT));
      const found = await look(session, device, true);
      requireVirtualSize(found.virtual_size, context.limits, input.path);
      const declared = format !== IMAGE_FORMAT.values.PROBE;
      const image = { path: input.path, format: formatName(found.format), declared, virtualSize: found.virtual_size };
      control.onDetail?.({ kind: 'image', ...image });
      doubtsOf(input, found, declared, options.strict === true).forEach((doubt) => control.onWarning?.(doubt));
      return [describeLayer({ file: input, info: found, declared, extentFiles: [] }, context.sandbox.kind)];
    } finally {
      await closeInput(input);
    }
  }
  const policy = { references: options.backingChain, forceShare, strict: options.strict === true };
  const chain = await openChain(input, format, policy, session);
  try {
    const described = (layer: Layer): ImageDescription => describeLayer(layer, context.sandbox.kind);
    const [first, ...rest] = chain.layers;
    chain.doubts.forEach((doubt) => control.onWarning?.(doubt));
    return [described(first), ...rest.map(described)];
  } finally {
    await chain.close();
  }
}

/** How inspect looks at an image. */
export interface InspectOptions extends InfoOptions {
  /** Checks that decide whether it is safe (default: all). Of the others the verdict tells as well. */
  readonly require?: readonly SafetyCheckName[] | undefined;
}

/** A verdict on an image, and what the image says of itself where it could be read. */
export interface Inspection {
  readonly verdict: SafetyVerdict;
  /** Undefined where the image could not be read, which is never safe. */
  readonly description: ImageDescription | undefined;
}

/**
 * Describes an image and judges it, from one look at one opened file: what was judged is what is described. Unlike
 * `info` it also judges images that cannot be read: they are not safe. No file but the named one is opened.
 * @throws EngineError when the file itself cannot be opened, or no sandbox works.
 */
export async function inspect(
  file: string,
  givenOptions: InspectOptions = {},
  control: OperationControl = {},
): Promise<Inspection> {
  const { require, ...options } = checkInspectOptions(givenOptions);
  try {
    const [description] = await info(file, { ...options, backingChain: undefined }, control);
    return { verdict: decidedBy(description.safety, require), description };
  } catch (error) {
    const aboutImage =
      error instanceof EngineError && (error.code.startsWith('IMAGE_') || error.code.startsWith('GUEST_'));
    if (aboutImage) return { verdict: decidedBy(judgeUnreadable(error), require), description: undefined };
    throw error;
  }
}

/** How many images are looked at. */
export interface ManyOptions extends InfoOptions {
  /** Images that are looked at in the same moment (default: as many as there are cores). */
  readonly concurrency?: number | undefined;
}

/** What came of one image of many: what was asked for, or why it could not be had. */
export type Described<T> =
  | { readonly file: string; readonly value: T; readonly error?: undefined }
  | { readonly file: string; readonly value?: undefined; readonly error: EngineError };

async function* ofEach<T>(
  files: Iterable<string> | AsyncIterable<string>,
  givenOptions: ManyOptions,
  control: OperationControl,
  look: (file: string, options: InfoOptions, control: OperationControl) => Promise<T>,
): AsyncGenerator<Described<T>> {
  checkFileNames(files);
  const { concurrency = KEPT_SANDBOXES, ...options } = checkManyOptions(givenOptions);
  const { signal } = checkControl(control);
  // One listener on the caller's signal, however many are looked at.
  const abort = new AbortController();
  setMaxListeners(0, abort.signal);
  const onAbort = (): void => {
    abort.abort(signal?.reason);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  const each = { ...control, signal: abort.signal };
  try {
    yield* inTurn(files, concurrency, async (file): Promise<Described<T>> => {
      try {
        return { file, value: await look(file, options, each) };
      } catch (error) {
        // Who aborts wants none of the others either.
        if (!(error instanceof EngineError) || error.code === 'ABORTED') throw error;
        return { file, error };
      }
    });
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

/**
 * {@link info} of many images, a few at a time, in the order of their names. One that cannot be described keeps none of the
 * others back.
 * @throws EngineError `ABORTED`, `INVALID_OPTION`
 */
export function infoOfEach(
  files: Iterable<string> | AsyncIterable<string>,
  options: ManyOptions = {},
  control: OperationControl = {},
): AsyncGenerator<Described<readonly [ImageDescription, ...ImageDescription[]]>> {
  return ofEach(files, options, control, info);
}

/**
 * {@link inspect} of many images, as {@link infoOfEach}.
 * @throws EngineError `ABORTED`, `INVALID_OPTION`
 */
export function inspectEach(
  files: Iterable<string> | AsyncIterable<string>,
  { require, ...options }: ManyOptions & InspectOptions = {},
  control: OperationControl = {},
): AsyncGenerator<Described<Inspection>> {
  const required = checkInspectOptions({ require });
  return ofEach(files, options, control, async (file, each, eachControl) =>
    inspect(file, { ...each, ...required }, eachControl),
  );
}

/**
 * The safety verdict of {@link inspect} alone.
 * @throws EngineError when the file itself cannot be opened, or no sandbox works.
 */
export async function checkSafety(
  file: string,
  options: InspectOptions = {},
  control: OperationControl = {},
): Promise<SafetyVerdict> {
  return (await inspect(file, options, control)).verdict;
}
