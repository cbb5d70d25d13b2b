import { createHash } from 'node:crypto';
import { read, write } from 'node:fs';
import { promisify } from 'node:util';
import { IMAGE_FORMAT } from '@instar/shared-abi';
import { copy, type CopyRequest, type CopyResult, type HeldOutput } from './copy.js';
import type { Endpoint } from './dd-request.js';
import { EngineError, fileError } from './errors.js';
import { guestContext, type OperationControl } from './operation.js';
import { applianceLayout, aroundDisk, type ApplianceDisk } from './output/appliance.js';
import { checkOutput } from './output/check.js';
import { checksumsOf } from './output/checksum.js';
import { abandonQuietly } from './output/file.js';
import type { ImageLayout } from './output/layout.js';
import { throwIfAborted } from './session/run.js';

const writeAt = promisify(write);
const readAt = promisify(read);
const PIECE = 4 << 20;

/**
 * How the disk of an appliance is laid out.
 * @throws EngineError `INVALID_OPTION` for what an appliance has no place for
 */
export function diskOfAppliance(layout: ImageLayout = {}): ImageLayout {
  const { subformat, adapterType, ...rest } = layout;
  if (subformat !== undefined) {
    throw new EngineError('INVALID_OPTION', 'subformat: the disk of an appliance is streamOptimized');
  }
  if (adapterType === 'legacyESX') {
    throw new EngineError('INVALID_OPTION', 'adapterType: an appliance has ide, lsilogic or buslogic');
  }
  return { ...rest, subformat: 'streamOptimized', adapterType: adapterType ?? 'lsilogic' };
}

/**
 * Copies disks into an appliance in one file (OVA): a stream-optimized VMDK with what describes it.
 * @throws EngineError; the output is then as it was before
 */
export async function copyAppliance(
  { checksums, ...request }: CopyRequest,
  input: Endpoint,
  control: OperationControl,
  started: number,
): Promise<CopyResult> {
  const { output, outputName: name } = request;
  if (!('path' in output)) {
    throw new EngineError(
      'INVALID_OPTION',
      'an appliance begins with the length of its disk: it needs a file to write to',
    );
  }
  const { start } = applianceLayout(name);
  let held: HeldOutput | undefined;
  const hold = (part: HeldOutput): void => {
    held = part;
  };
  const copied = await copy({ ...request, reserved: start, hold }, input, control, started);
  if (held === undefined) throw new RangeError('an output that nobody holds');
  const file = held.output;
  try {
    const adapter = adapterOf(request.layout);
    const disk: ApplianceDisk = {
      length: held.length,
      capacity: copied.outputVirtualSize,
      sha256: await hashOf(file.fd, name, start, held.length, control.signal),
      adapter,
      time: Math.floor(Date.now() / 1000),
    };
    let length = 0n;
    for (const { offset, bytes } of aroundDisk(name, disk, sha256)) {
      await put(file.fd, name, bytes, offset);
      length = offset + BigInt(bytes.length);
    }
    // What there is to warn of was said when the disk was copied.
    const quiet = guestContext({ ...control, onProgress: undefined, onWarning: undefined });
    const written = { fd: file.fd, name, format: IMAGE_FORMAT.values.VMDK, length, backing: undefined };
    await checkOutput({ ...written, virtualSize: disk.capacity, plainInput: false }, quiet);
    const sums = checksums && (await checksumsOf([written], checksums, quiet));
    const outputLength = await file.finish(length);
    control.onProgress?.(copied.bytes, copied.bytes);
    return {
      ...copied,
      outputFormat: 'ova',
      outputLength,
      elapsedMs: performance.now() - started,
      ...(sums === undefined ? {} : { checksums: sums }),
    };
  } catch (error) {
    await abandonQuietly(file);
    throw error;
  }
}

function adapterOf({ adapterType }: ImageLayout = {}): ApplianceDisk['adapter'] {
  return adapterType === 'ide' || adapterType === 'buslogic' ? adapterType : 'lsilogic';
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** SHA-256 of a part of a file. */
async function hashOf(
  fd: number,
  name: string,
  start: bigint,
  length: bigint,
  signal: AbortSignal | undefined,
): Promise<string> {
  const hash = createHash('sha256');
  const buffer = new Uint8Array(PIECE);
  for (let done = 0n; done < length;) {
    throwIfAborted(signal);
    const wanted = length - done < BigInt(PIECE) ? Number(length - done) : PIECE;
    const { bytesRead } = await readAt(fd, buffer, 0, wanted, Number(start + done)).catch((error: unknown) => {
      throw fileError('READ_FAILED', name, 'cannot be read back for its manifest', error);
    });
    if (bytesRead === 0) throw new EngineError('READ_FAILED', 'ends before its disk does', { file: name });
    hash.update(buffer.subarray(0, bytesRead));
    done += BigInt(bytesRead);
  }
  return hash.digest('hex');
}

async function put(fd: number, name: string, bytes: Uint8Array, offset: bigint): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await writeAt(fd, bytes, done, bytes.length - done, Number(offset) + done).catch(
      (error: unknown) => {
        throw fileError('WRITE_FAILED', name, 'cannot be written', error);
      },
    );
    done += bytesWritten;
  }
}
