import { directoryOf, identity, leafOf, systemErrorName, statName } from '@instar/host-files';
import { roundUpToSector } from '@instar/operands';
import { IMAGE_FORMAT } from '@instar/shared-abi';
import { write } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { copy, type CopyRequest, type CopyResult, type HeldOutput } from './copy.js';
import type { Endpoint } from './dd-request.js';
import { EngineError, fileError } from './errors.js';
import { info } from './info.js';
import { guestContext, type OperationControl } from './operation.js';
import { checksumsOf } from './output/checksum.js';
import { abandonQuietly, openOutputFile } from './output/file.js';
import { partsOf, type Parts } from './output/parts.js';
import { descriptorOf, type DiskPart } from './output/split-vmdk.js';

const writeAt = promisify(write);
const { RAW, VMDK } = IMAGE_FORMAT.values;
/** Unit in which windows of the disk are told (bytes); extents begin at multiples. */
const MIB = 1n << 20n;

/** An output that is complete, and the name that it is to get. */
type NamedOutput = HeldOutput & { readonly path: string };

/**
 * Copies disks into a disk that lies in several files: each is a window of it. They get their names when all of them are
 * complete, and what names the others gets its own last.
 * @throws EngineError; what was there is as it was before
 */
export async function copyParts(
  request: CopyRequest,
  input: Endpoint,
  control: OperationControl,
  started: number,
): Promise<CopyResult> {
  const { layout = {}, further = [], output, encryption, backing } = request;
  if (layout.dataFile !== undefined && encryption !== undefined) {
    throw new EngineError('INVALID_OPTION', 'dataFile: is not encrypted; leave the encryption or the data file out');
  }
  if (layout.dataFile !== undefined && backing !== undefined) {
    throw new EngineError('INVALID_OPTION', 'dataFile: holds the whole disk, of which a backing file has no part');
  }
  if (layout.dataFileRaw === true && request.named !== undefined) {
    throw new EngineError(
      'INVALID_OPTION',
      'dataFileRaw: Backing file and data-file-raw cannot be used at the same time',
    );
  }
  const inputs = [input, ...further];
  if ('stream' in output) throw new EngineError('INVALID_OPTION', 'a disk in several files is not a stream');
  if (inputs.some((endpoint) => 'stream' in endpoint)) {
    throw new EngineError('INVALID_OPTION', 'a disk in several files is not read from a stream: save it first');
  }
  if (request.bitmaps !== undefined) {
    throw new EngineError('INVALID_OPTION', 'bitmaps: are for outputs of one file');
  }
  if (request.salvage === true) {
    throw new EngineError('INVALID_OPTION', 'salvage: is for outputs of one file; convert that again afterwards');
  }
  const size = roundUpToSector(request.inputSize ?? (await sizeOf(inputs, request, control)));
  const parts = partsOf(output.path, size, layout);
  await requireDistinct(output.path, parts);
  const held: NamedOutput[] = [];
  const hold = (path: string) => (part: HeldOutput) => {
    held.push({ ...part, path });
  };
  try {
    const { checksums } = request;
    let last: CopyResult | undefined;
    for (const part of parts.files) {
      last = await copy(
        { ...partOf(request, part, parts, size), checksums: undefined, hold: hold(part.path) },
        input,
        partControl(control, part, size),
        started,
      );
    }
    const written = held.map(({ output: { fd }, length, path: name }) => ({
      fd,
      name,
      length,
      format: parts.raw ? RAW : VMDK,
      backing: undefined,
    }));
    const sums =
      checksums &&
      (await checksumsOf(
        written,
        checksums,
        guestContext({ ...control, onProgress: undefined, onWarning: undefined }),
      ));
    if (layout.dataFile !== undefined) {
      // It has but tables, and so copies nothing.
      const quiet = { ...control, onProgress: undefined, onWarning: undefined };
      last = await copy({ ...request, checksums: undefined, hold: hold(output.path) }, input, quiet, started);
    } else {
      const heldInputs = held.flatMap((part) => part.inputs);
      const text = descriptorOf(parts.files, layout);
      held.push({ ...(await writeDescriptor(request, output.path, text, heldInputs, control)), path: output.path });
    }
    if (last === undefined) throw new RangeError('a disk without parts');
    await publish(held);
    control.onProgress?.(size, size);
    const outputLength = held.reduce((sum, { length }) => sum + length, 0n);
    return {
      ...last,
      bytes: size,
      outputVirtualSize: size,
      outputLength,
      elapsedMs: performance.now() - started,
      ...(sums === undefined ? {} : { checksums: sums }),
    };
  } catch (error) {
    for (const { output: file } of held) await abandonQuietly(file);
    throw error;
  }
}

/** Bytes of all disks together. */
async function sizeOf(inputs: readonly Endpoint[], request: CopyRequest, control: OperationControl): Promise<bigint> {
  let size = 0n;
  for (const endpoint of inputs) {
    if (!('path' in endpoint)) continue;
    const { inputFormat: format, forceShare } = request;
    const [{ virtualSize }] = await info(endpoint.path, { format, forceShare }, { ...control, onProgress: undefined });
    size += virtualSize;
  }
  return size;
}

/** What a name leads to: a file, or a place in a directory. */
async function placeOf(path: string): Promise<string> {
  const found = await statName(path).catch(() => undefined);
  if (found !== undefined) return identity(found);
  const directory = directoryOf(path);
  const below = await statName(directory).catch(() => undefined);
  return `${below === undefined ? directory : identity(below)}/${leafOf(path)}`;
}

/** @throws EngineError `SAME_FILE` where a part would be the file that names it */
async function requireDistinct(output: string, { files }: Parts): Promise<void> {
  const own = await placeOf(output);
  for (const { path } of files) {
    if ((await placeOf(path)) !== own) continue;
    throw new EngineError('SAME_FILE', 'would be its own data file; give that another name', { file: output });
  }
}

function partOf(request: CopyRequest, { path, start, length }: DiskPart, { raw }: Parts, size: bigint): CopyRequest {
  const { layout = {} } = request;
  const end = start + length;
  // A data file is allocated as its image says.
  const ofRaw = { preallocation: layout.preallocation === 'metadata' ? 'off' : layout.preallocation } as const;
  return {
    ...request,
    output: { path },
    outputName: path,
    format: raw ? RAW : VMDK,
    layout: raw ? ofRaw : { subformat: layout.subformat, zeroedGrains: layout.zeroedGrains },
    // Up to its own end, wherever that is, the last one takes all that there is.
    blockSize: MIB,
    skip: start / MIB,
    count: end === size ? undefined : end / MIB,
  };
}

function partControl(control: OperationControl, { start }: DiskPart, size: bigint): OperationControl {
  const { onProgress } = control;
  return {
    ...control,
    onProgress:
      onProgress &&
      ((done) => {
        onProgress(start + done, size);
      }),
  };
}

async function writeDescriptor(
  { noClobber, forceShare = false, replaceInUse = forceShare }: CopyRequest,
  path: string,
  bytes: Uint8Array,
  inputs: HeldOutput['inputs'],
  control: OperationControl,
): Promise<HeldOutput> {
  const length = BigInt(bytes.length);
  const request = { path, limit: length, sparse: false, inputs };
  const output = await openOutputFile(
    { ...request, noClobber: noClobber === true, forceShare: replaceInUse, force: false },
    control,
  );
  try {
    for (let done = 0; done < bytes.length;) {
      done += (await writeAt(output.fd, bytes, done, bytes.length - done, done)).bytesWritten;
    }
    await output.sync(length);
    return { output, length, inputs };
  } catch (error) {
    await abandonQuietly(output);
    throw fileError('WRITE_FAILED', path, 'cannot be written', error);
  }
}

/** Gives all outputs their names. Where that fails, those that had none before lose them again. */
async function publish(held: readonly NamedOutput[]): Promise<void> {
  // Those that there were none of before.
  const named: string[] = [];
  try {
    for (const { output, length, path } of held) {
      const existed = await statName(path).then(
        () => true,
        // Of a name that cannot be looked at nothing is known, so that it is not taken away again.
        (error: unknown) => systemErrorName(error) !== 'ENOENT',
      );
      if (!existed) named.push(path);
      await output.finish(length);
    }
  } catch (error) {
    for (const path of named) await unlink(path).catch(() => undefined);
    throw error;
  }
}
