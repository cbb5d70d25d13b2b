import { escapeText, statName } from '@instar/host-files';
import type { OutputFile, OutputRequest } from '@instar/host-files';
import type { ValueOf } from '@instar/layout';
import {
  CONVERT_FLAG,
  CONVERT_RESULT_MAGIC,
  ConvertConfig,
  ConvertResult,
  DEVICE_FLAG,
  DEVICE_ROLE,
  IMAGE_FORMAT,
  NO_PARENT,
} from '@instar/shared-abi';
import { openChain, type Chain, type ChainPolicy } from './chain.js';
import { warnOfSkip, type DdRequest, type DdResult, type Endpoint } from './dd-request.js';
import { encryptOutput, writeHeader, type EncryptedOutput } from './encryption/output.js';
import { EngineError, fileError } from './errors.js';
import { formatName } from './format-names.js';
import { forcedFormat } from './formats.js';
import { openInput, type InputFile } from './input-file.js';
import { guestContext, type OperationControl } from './operation.js';
import { openBacking, type Backing, type BackingFile } from './output/backing.js';
import { checkBitmaps, copyBitmaps, type BrokenBitmaps } from './output/bitmaps.js';
import { checkOutput } from './output/check.js';
import {
  checksumsOf,
  checksumsOfDisks,
  openedAgain,
  type ChecksumAlgorithm,
  type Checksums,
} from './output/checksum.js';
import { layoutFlags, outputConfig, outputLimit, prepareToConvert, unitSizes } from './output/config.js';
import { abandonQuietly, openOutputFile } from './output/file.js';
import { isAllocated, type ImageLayout } from './output/layout.js';
import { lostOf, lostSentences, type Lost } from './output/lost.js';
import type { GuestContext, GuestDevice, Reflink } from './session/context.js';
import { dataFilePutBack } from './operations/data-file.js';
import { spool } from './operations/spool.js';
import { NO_REFERENCES } from './path-policy.js';
import { planOf, type Plan } from './plan.js';
import type { RemoteOutput } from './remote/s3-upload.js';
import { perform } from './session/operation.js';
import { GuestSession } from './session/session.js';
import { layOutSecrets } from './secrets.js';
import { fullQcow2Length } from './operations/qcow2-size.js';
import { requireOutputSize } from './size-limits.js';
import { streamOutput } from './stream.js';

/** What is copied besides what dd can say. */
export interface CopyRequest extends DdRequest {
  /** Further images, whose disks follow that of the input. */
  readonly further?: readonly Endpoint[] | undefined;
  /** The image below the output. */
  readonly backing?: BackingFile | undefined;
  /** The image below an output that holds nothing of its own. */
  readonly named?: NamedBacking | undefined;
  /** Bytes of the disk of the output, which has that of the input at its beginning. */
  readonly diskSize?: bigint | undefined;
  /** Least zeros that are left out (bytes). */
  readonly sparseSize?: bigint | undefined;
  /** Write into what is there already, which must have room for the disk. */
  readonly mustExist?: boolean | undefined;
  /** The output reads as zeros wherever nothing was written. */
  readonly targetIsZero?: boolean | undefined;
  /** There is nothing on the disk: behind a key it need not even read as zeros. */
  readonly empty?: boolean | undefined;
  /** Takes the output before it has its name, which it then gets from there: it is a part of a disk in several files. */
  readonly hold?: ((held: HeldOutput) => void) | undefined;
  /** Bytes in front of the output in its file, for what is written there by who holds it. */
  readonly reserved?: bigint | undefined;
  /** Most bytes that the output receives in a second. */
  readonly writeRate?: bigint | undefined;
  /** Whether blocks may be shared with the input. */
  readonly reflink?: Reflink | undefined;
  /** Copy the bitmaps of the input, which is one image. */
  readonly bitmaps?: BrokenBitmaps | undefined;
  /** Go on where the input cannot be read. */
  readonly salvage?: boolean | undefined;
  /** The output is an object of another machine, in place of a stream. */
  readonly upload?: string | undefined;
  /** What the disk of the output is summed up with. */
  readonly checksums?: readonly ChecksumAlgorithm[] | undefined;
}

/** The image below an output that holds nothing of its own. */
export interface NamedBacking {
  readonly name: string;
  readonly format: string;
  /** Where it lies, of formats that know it by an identity of its own. */
  readonly parent?: string | undefined;
}

/** An output that is complete but for its name. */
export interface HeldOutput {
  readonly output: OutputFile;
  /** Bytes that it has. */
  readonly length: bigint;
  /** What was read for it, and must not be written. */
  readonly inputs: OutputRequest['inputs'];
}

/** An input of so many bytes may have enough compressed clusters that two processors decode them sooner than one. */
const LONG_INPUT = 8n << 20n;

/** What a copy did. */
export interface CopyResult extends DdResult {
  /** Of the disk of the output, where they were asked for. */
  readonly checksums?: Checksums;
  /** What of the input could not be read, where the copy went on. */
  readonly lost?: Lost;
}

/** All images of a copy, in one session. */
interface Images {
  /** Those whose disks are copied, one behind the other. */
  readonly inputs: readonly [Chain, ...Chain[]];
  readonly backing: Backing | undefined;
  readonly all: readonly Chain[];
}

/**
 * Copies a window of disks into an output. The images are parsed inside a sandbox only.
 * @throws EngineError; the output is then as it was before.
 */
export async function copy(
  request: CopyRequest,
  input: Endpoint,
  control: OperationControl,
  started: number,
): Promise<CopyResult> {
  const container = request.encryption && (await encryptOutput(request.encryption));
  const context: GuestContext = {
    ...guestContext(control, container === undefined ? [] : [{ use: 'OUTPUT', bytes: container.key }]),
    writeRate: request.writeRate,
    reflink: request.reflink,
  };
  const { forceShare = false, strict = false, pathPolicy } = request;
  const policy = { references: pathPolicy, forceShare, strict };
  const session = new GuestSession(context, {
    inOrder: 'stream' in request.output,
    secondProcessor: isPacked(request),
    meanwhile: prepareToConvert,
  });
  const images = await openImages(request, input, session, policy);
  try {
    // Summing up takes about as long as writing.
    const steps = request.checksums === undefined ? 1n : 2n;
    const onProgress: GuestContext['onProgress'] =
      control.onProgress && ((done, total) => control.onProgress?.(done, steps * total));
    const streamed = 'stream' in request.output ? request.checksums : undefined;
    const asked = streamed === undefined ? request : { ...request, checksums: undefined };
    const copied = await copyWindow({ ...asked, container }, images, { ...context, onProgress }, control, started);
    const result: CopyResult =
      streamed === undefined
        ? copied
        : {
            ...copied,
            checksums: await sumUpInputs(request, images.inputs, copied, { ...context, onProgress }, policy),
          };
    control.onProgress?.(steps * result.bytes, steps * result.bytes);
    // Only now: an image that is refused for it has its one line already.
    const losses = result.lost === undefined ? [] : lostSentences(result.lost, images.inputs[0].layers[0].file.path);
    [...images.all.flatMap((chain) => chain.doubts), ...losses].forEach((warning) => control.onWarning?.(warning));
    return result;
  } finally {
    await closeAll(images.all);
  }
}

/** Whether the output is compressed, which two processors share. */
function isPacked({ layout = {} }: CopyRequest): boolean {
  return layout.compress === true || layout.subformat === 'streamOptimized';
}

async function openImages(
  request: CopyRequest,
  input: Endpoint,
  session: GuestSession,
  policy: ChainPolicy,
): Promise<Images> {
  const { inputFormat, forceShare = false, output, further = [], backing: below, snapshot } = request;
  const open = async (endpoint: Endpoint, how = policy): Promise<Chain> => {
    if ('path' in endpoint) {
      const probe = forcedFormat(inputFormat, endpoint.path);
      const putBack = dataFilePutBack(session.context, how.references);
      const file = await openInput(endpoint.path, forceShare, session.context, putBack);
      // Before the first look it is not known whether it is compressed. A second processor that has nothing to do sleeps.
      if (!session.started && inputFormat !== 'raw' && file.size >= LONG_INPUT) session.shareWork();
      return openChain(file, probe, how, session);
    }
    const probe = forcedFormat(inputFormat, 'standard input');
    const file = await spool(endpoint.stream, 'path' in output ? output.path : undefined, session.context);
    // What came through a pipe has no directory in which it could name files.
    return openChain(file, probe, { ...how, references: NO_REFERENCES }, session);
  };
  const inputs: [Chain, ...Chain[]] = [await open(input, { ...policy, snapshot })];
  const all: Chain[] = [...inputs];
  try {
    for (const endpoint of further) {
      const chain = await open(endpoint);
      inputs.push(chain);
      all.push(chain);
    }
    const { named } = request;
    if (named !== undefined) {
      const { name, format, parent } = named;
      if (parent !== undefined) {
        const file = await openInput(parent, true, session.context);
        const how = { ...policy, forceShare: true, alone: true, snapshot: undefined };
        all.push(await openChain(file, forcedFormat(format, parent), how, session, DEVICE_ROLE.values.BACKING));
      }
      return { inputs, backing: { name, format, depth: 0 }, all };
    }
    if (below === undefined || !('path' in output)) return { inputs, backing: undefined, all };
    const { backing, chain } = await openBacking(output.path, below, inputs[0], policy, snapshot !== undefined);
    if (chain !== undefined) all.push(chain);
    return { inputs, backing, all };
  } catch (error) {
    await closeAll(all);
    throw error;
  }
}

async function closeAll(chains: readonly Chain[]): Promise<void> {
  for (const chain of chains) await chain.close();
}

/** A copy, and what its output is encrypted with. */
type WindowRequest = CopyRequest & { readonly container: EncryptedOutput | undefined };

async function copyWindow(
  request: WindowRequest,
  { inputs: chains, backing, all }: Images,
  context: GuestContext,
  control: OperationControl,
  started: number,
): Promise<CopyResult> {
  const [chain] = chains;
  const [top] = chain.layers;
  const { session } = chain;
  const { layout = {}, container } = request;
  const sizes = chains.map(({ layers: [{ info }] }) => info.virtual_size);
  const inputSize = request.inputSize ?? request.diskSize;
  const own = sizes.reduce((sum, size) => sum + size, 0n);
  if (request.diskSize !== undefined && request.diskSize < own) {
    const problem = `has a disk of ${request.diskSize} bytes, fewer than the ${own} of the input`;
    throw new EngineError('FILE_NOT_USABLE', problem, { file: request.outputName });
  }
  if (request.diskSize !== undefined && request.diskSize > own && backing !== undefined) {
    const problem =
      `has a backing file, and a disk of ${request.diskSize} bytes, more than the ${own} of the input; ` +
      'what shows behind them could not be kept';
    throw new EngineError('FILE_NOT_USABLE', problem, { file: request.outputName });
  }
  const virtualSize = inputSize ?? own;
  const plan = planOf(request, virtualSize);
  const { window, bytes, rawLength, raw } = plan;
  const { hold, bitmaps } = request;
  if (bitmaps !== undefined) {
    checkBitmaps(top, request.format, bitmaps).forEach((warning) => control.onWarning?.(escapeText(warning)));
  }
  if (hold === undefined) warnOfSkip(request, window, control, top.file.path);

  const most = raw ? rawLength : outputLimit(request.format, bytes, layout) + BigInt(container?.length ?? 0);
  requireOutputSize(most, context.limits, request.outputName);
  if (request.mustExist === true) await requireRoom(request.outputName, rawLength);
  const files = all.flatMap((opened) => opened.files);
  const { reserved = 0n } = request;
  const opened = await openOutput(request, plan, files, reserved + most, control);
  const output = { ...opened, start: opened.start + reserved };
  try {
    const wanted = output.start + most;
    const limit = output.room === undefined || output.room > wanted ? wanted : output.room;
    if (inputSize !== undefined) {
      session.describe(top.device, { flags: DEVICE_FLAG.values.FORCE_SIZE, virtual_size: inputSize });
    }
    const inputs = session.devices.length;
    const fresh = output.fresh || request.targetIsZero === true;
    session.add(outputDevice(request, plan, { ...output, fresh }, limit));
    const result = await perform(session, {
      config: Buffer.concat([
        ConvertConfig.encode({
          flags: convertFlags(request),
          input_device_count: inputs,
          target_format: request.format,
          ...unitSizes(request.format, layout),
          window_start: window.windowStart,
          window_end: window.outVsize === 0n ? 0n : window.windowStart + bytes,
        }),
        outputConfig(request.outputName, {
          format: request.format,
          layout,
          sparseSize: request.sparseSize ?? 0n,
          backing,
          container,
        }),
      ]),
      result: ConvertResult,
      magic: CONVERT_RESULT_MAGIC,
      subject: top.file.path,
      last: true,
      outputBytes: limit + limit,
      onProgress: context.onProgress,
      accountsForReads: ({ lost_count: count }) => request.salvage === true && count > 0n,
    });
    const lost = lostOf(result, virtualSize, top.file.path);
    const expected = {
      length: raw ? rawLength : undefined,
      most: limit - output.start,
      virtualSize: rawLength,
      mostVirtualSize: rawLength + mostRounded(request.format, layout),
    };
    checkResult(result, expected, top.file.path);
    if (container !== undefined) {
      await writeHeader(container, { ...output, name: request.outputName }, request.format, layout);
    }
    let written = result.output_length;
    if (bitmaps !== undefined) {
      await output.sync(written);
      written = await copyBitmaps({ fd: output.fd, name: request.outputName, length: written }, top, bitmaps, context);
    }
    const finalLength = plan.ends ?? written;
    // A flat part of a disk is nothing that anybody would guess about.
    if (
      plan.kind === 'file' &&
      reserved === 0n &&
      (!raw || (request.inputFormat === undefined && hold === undefined))
    ) {
      const complete = {
        fd: output.fd,
        name: request.outputName,
        format: request.format,
        length: written,
        virtualSize: result.output_virtual_size,
        backing,
        dataFile: layout.dataFile,
        encrypted: container !== undefined,
        bitmaps: bitmaps !== undefined,
      };
      const plainInput =
        chains.length === 1 &&
        chain.layers.length === 1 &&
        !top.declared &&
        top.info.format === IMAGE_FORMAT.values.RAW;
      await allEnded([
        checkOutput({ ...complete, plainInput: plainInput && window.windowStart === 0n }, context),
        output.sync(finalLength),
      ]);
    }
    const checksums =
      request.checksums &&
      (await sumUp(
        { ...request, passphrase: container?.passphrase },
        { fd: output.fd, backing },
        result,
        finalLength,
        context,
      ));
    if (hold !== undefined) {
      if (reserved === 0n) await output.sync(finalLength);
      hold({ output, length: finalLength, inputs: identities(files) });
    }
    const length = hold === undefined ? await output.finish(finalLength) : finalLength;
    return {
      bytes,
      inputVirtualSize: request.inputSize ?? own,
      outputVirtualSize: request.outputSize ?? result.output_virtual_size,
      outputLength: length,
      inputFormat: formatName(top.info.format),
      outputFormat: request.outputFormat ?? 'raw',
      sandbox: context.sandbox.kind,
      elapsedMs: performance.now() - started,
      ...(checksums === undefined ? {} : { checksums }),
      ...(lost === undefined ? {} : { lost }),
    };
  } catch (error) {
    await abandonQuietly(output);
    throw error;
  }
}

async function sumUp(
  {
    checksums = [],
    format,
    outputName: name,
    passphrase,
  }: CopyRequest & { readonly passphrase?: Uint8Array | undefined },
  output: { readonly fd: number; readonly backing: Backing | undefined },
  { output_virtual_size: size }: ValueOf<typeof ConvertResult>,
  length: bigint,
  context: GuestContext,
): Promise<Checksums> {
  const onProgress = context.onProgress && ((done: bigint) => context.onProgress?.(size + done, size));
  const secrets = passphrase === undefined ? undefined : layOutSecrets([passphrase], context.limits.keyMemory);
  return checksumsOf([{ ...output, name, format, length }], checksums, { ...context, secrets, onProgress });
}

/** Of the disks of the inputs: what went out through a stream cannot be read back. */
async function sumUpInputs(
  { checksums = [], inputFormat, snapshot }: CopyRequest,
  inputs: Images['inputs'],
  { bytes, outputVirtualSize: size }: CopyResult,
  context: GuestContext,
  policy: ChainPolicy,
): Promise<Checksums> {
  const onProgress = context.onProgress && ((done: bigint) => context.onProgress?.(bytes + done, bytes));
  const again = inputs.map(({ layers: [{ file }] }, index) => ({
    file,
    format: forcedFormat(inputFormat, file.path),
    policy: index === 0 ? { ...policy, snapshot } : policy,
  }));
  return checksumsOfDisks(openedAgain(again, context), size, checksums, { ...context, onProgress });
}

/** @throws EngineError where there is no such file, or one that is shorter than `bytes` */
async function requireRoom(path: string, bytes: bigint): Promise<void> {
  const found = await statName(path).catch((error: unknown) => {
    throw fileError('WRITE_FAILED', path, 'cannot be opened', error);
  });
  if (found.isFile() && found.size < bytes) {
    throw new EngineError('FILE_NOT_USABLE', `has ${found.size} bytes, fewer than the ${bytes} of the disk`, {
      file: path,
    });
  }
}

/** Waits until nothing goes on, which would use an output that is given up, and throws the first failure in this order. */
async function allEnded(actions: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(actions)).find((ended) => ended.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

function convertFlags({ sparse, output, format, empty, salvage, layout = {} }: CopyRequest): number {
  const { DD_WINDOW, SKIP_ZEROS, SALVAGE } = CONVERT_FLAG.values;
  const locked = format === IMAGE_FORMAT.values.LUKS && empty !== true;
  const skips = sparse === true && !isAllocated(layout) && !('stream' in output) && !locked;
  return DD_WINDOW + (skips ? SKIP_ZEROS : 0) + (salvage === true ? SALVAGE : 0) + layoutFlags(layout);
}

/** What a VHD of a geometry may be longer than was asked for: 16 heads, 255 sectors of 512 bytes. */
const LARGEST_CYLINDER = 16n * 255n * 512n;
/** What an Android sparse image may be longer: less than a block. */
const SPARSE_BLOCK = 4096n;

/** Bytes that a disk of a format may have more than was asked for. */
function mostRounded(format: number, layout: ImageLayout): bigint {
  const { SIMG, VPC } = IMAGE_FORMAT.values;
  if (format === SIMG) return SPARSE_BLOCK;
  return format === VPC && layout.forceSize !== true ? LARGEST_CYLINDER : 0n;
}

/** What an output can come to (bytes). */
interface ExpectedOutput {
  /** Undefined where the format decides, up to `most`. */
  readonly length: bigint | undefined;
  readonly most: bigint;
  readonly virtualSize: bigint;
  /** More than that where the format rounds it up. */
  readonly mostVirtualSize: bigint;
}

/** The guest may be in an attacker's hands: its numbers count only as far as they can be right. */
function checkResult(result: ValueOf<typeof ConvertResult>, expected: ExpectedOutput, file: string): void {
  const impossible = (what: string): EngineError =>
    new EngineError('GUEST_FAILED', `the sandboxed reader reports an output of ${what}, which is invalid`, { file });
  const length = result.output_length;
  if (expected.length === undefined ? length > expected.most : length !== expected.length) {
    throw impossible(`${length} bytes`);
  }
  const size = result.output_virtual_size;
  if (size < expected.virtualSize || size > expected.mostVirtualSize) throw impossible(`${size} bytes of disk`);
}

async function openOutput(
  request: WindowRequest,
  { bytes, raw, start }: Plan,
  files: readonly InputFile[],
  limit: bigint,
  control: OperationControl,
): Promise<OutputFile | RemoteOutput> {
  // Of a format whose images are written in order, all that the disk has of zeros is left out.
  const fresh = !raw;
  if (request.upload !== undefined) {
    const { openUpload } = await import('./remote/s3-upload.js');
    const size = { exactLength: request.outputSize, most: request.outputSize ?? limit, fresh };
    return openUpload(request.upload, size, control.signal, control.remote?.stallMs);
  }
  if ('stream' in request.output) {
    return streamOutput(request.output.stream, request.outputSize, control.signal, fresh);
  }
  return openOutputFile(
    {
      path: request.output.path,
      limit,
      atLeast: leastLength(request, bytes, limit),
      mayBeLess: !raw,
      length: request.outputSize,
      sparse: mayShrink(request),
      noClobber: request.noClobber === true,
      inPlaceAt: start,
      forceShare: request.replaceInUse ?? request.forceShare === true,
      force: request.force === true,
      inputs: identities(files),
    },
    control,
  );
}

function identities(files: readonly InputFile[]): OutputRequest['inputs'] {
  return files.map(({ identity, path }) => ({ identity, path }));
}

/**
 * Bytes that an output takes in any case where nothing of it is a hole, if that is less than the worst case. A qcow2 image
 * is then as long as can be told; of the tables of other formats only the guest knows how many there are.
 */
function leastLength(
  { format, container, layout = {} }: WindowRequest,
  bytes: bigint,
  limit: bigint,
): bigint | undefined {
  const { clusterSize = 65_536, refcountBits = 16, extendedL2 = false } = layout;
  const shape = { clusterSize: BigInt(clusterSize), refcountBits: BigInt(refcountBits), extendedL2 };
  const isQcow2 = format === IMAGE_FORMAT.values.QCOW2;
  const least = isQcow2 ? fullQcow2Length(bytes, shape) + BigInt(container?.length ?? 0) : bytes;
  return least < limit ? least : undefined;
}

/** Formats whose zeros are written unless they are to be left out; of the others they always are. */
const WITH_ZEROS: readonly number[] = [IMAGE_FORMAT.values.RAW, IMAGE_FORMAT.values.QCOW2, IMAGE_FORMAT.values.LUKS];

/** Whether the output may take less room than the disk. */
function mayShrink({ format, sparse, layout = {} }: CopyRequest): boolean {
  if (isAllocated(layout)) return false;
  if (sparse === true || layout.compress === true) return true;
  return !WITH_ZEROS.includes(format) && layout.subformat !== 'fixed';
}

function outputDevice(
  request: CopyRequest,
  { kind, exact }: Plan,
  output: Pick<OutputFile, 'fd' | 'start' | 'fresh'> & Partial<Pick<RemoteOutput, 'remote' | 'failure'>>,
  limit: bigint,
): GuestDevice {
  const stream = kind === 'stream';
  const { STREAM, EXACT, FRESH } = DEVICE_FLAG.values;
  return {
    path: request.outputName,
    entry: {
      role: DEVICE_ROLE.values.OUTPUT,
      format: request.format,
      parent: NO_PARENT,
      flags: (stream ? STREAM : 0) + (exact ? EXACT : 0) + (output.fresh ? FRESH : 0),
      file_size: limit,
      virtual_size: 0n,
      start: output.start,
    },
    options: {
      fd: output.fd,
      access: stream ? 'stream-output' : 'output',
      size: limit,
      fresh: output.fresh,
      ...(output.remote === undefined ? {} : { remote: output.remote }),
    },
    ...(output.failure === undefined ? {} : { failure: output.failure }),
  };
}
