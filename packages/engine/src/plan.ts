import { ddWindow, roundUpToSector, type DdWindow } from '@instar/operands';
import { IMAGE_FORMAT } from '@instar/shared-abi';
import { seekOffset, type DdRequest } from './dd-request.js';

/** What of a disk goes where: derived once, from the request and the size of the disk. All numbers are bytes. */
export interface Plan {
  readonly window: DdWindow;
  /** The part of the window that the output receives, which may be cut at its length. */
  readonly bytes: bigint;
  /** What the output is. */
  readonly kind: 'file' | 'in place' | 'stream';
  readonly raw: boolean;
  /** Where the output begins in a file that is written in place. */
  readonly start: bigint | undefined;
  /** The length is exactly that of the bytes; else it is rounded up to whole sectors. */
  readonly exact: boolean;
  /** Length of the bytes in a raw output. */
  readonly rawLength: bigint;
  /** Length that a raw output is cut or extended to in the end; of a stream what goes out. */
  readonly ends: bigint | undefined;
}

/**
 * @param virtualSize bytes of the disk; the largest that there are for a stream, whose end is not known
 * @throws EngineError `INVALID_OPTION` for a place beyond 2^63 bytes
 */
export function planOf(request: DdRequest, virtualSize: bigint): Plan {
  const { outputSize, output, format } = request;
  const window = ddWindow({ virtualSize, bs: request.blockSize, count: request.count, skip: request.skip });
  const bytes = outputSize !== undefined && outputSize < window.outVsize ? outputSize : window.outVsize;
  const raw = format === IMAGE_FORMAT.values.RAW;
  const start = seekOffset(request);
  const kind = 'stream' in output ? 'stream' : start === undefined ? 'file' : 'in place';
  const exact = (kind === 'stream' && raw) || kind === 'in place' || outputSize !== undefined;
  return {
    window,
    bytes,
    kind,
    raw,
    start,
    exact,
    rawLength: exact ? bytes : roundUpToSector(bytes),
    // A stream extends itself from what went out; a file is told its length.
    ends: kind === 'stream' && raw ? bytes : outputSize,
  };
}
