import { EngineError } from '../errors.js';
import { info, type ImageDescription, type Qcow2Details } from '../info.js';
import type { OperationControl } from '../operation.js';
import { map } from '../operations/map.js';
import type { ReadOptions } from '../operations/reading.js';
import type { BackingFile } from './backing.js';
import type { ImageLayout } from './layout.js';

/** An image that holds nothing yet: another one that is made like it takes its place as if it had been written into. */
export interface EmptyImage {
  /** Bytes of the disk. */
  readonly virtualSize: bigint;
  readonly layout: ImageLayout;
  readonly backing: BackingFile | undefined;
}

/**
 * How a qcow2 image that exists was made; what it holds, where another one would not hold that.
 * @throws EngineError as reading it does
 */
export async function emptyImage(
  path: string,
  options: ReadOptions,
  control: OperationControl,
): Promise<EmptyImage | string> {
  const { pathPolicy, forceShare } = options;
  const quiet = { ...control, onProgress: undefined, onWarning: undefined };
  const [found] = await info(path, { format: 'qcow2', forceShare }, quiet);
  const { qcow2 } = found;
  if (qcow2 === undefined) throw new EngineError('IMAGE_NOT_THIS_FORMAT', 'is not a qcow2 image', { file: path });
  const holds = contentOf(found, qcow2);
  if (holds !== undefined) return holds;
  const { backingFilename: file, backingFormat: format } = found;
  if (file !== undefined && format === undefined) return 'a backing file without its format';
  for await (const { depth, present } of map(path, { format: 'qcow2', forceShare, pathPolicy }, quiet)) {
    if (depth === 0 && present) return 'data';
  }
  return {
    virtualSize: found.virtualSize,
    layout: layoutOf(found, qcow2),
    backing: file === undefined || format === undefined ? undefined : { file, format },
  };
}

/** What an image has that would be lost. */
function contentOf(found: ImageDescription, qcow2: Qcow2Details): string | undefined {
  if (found.snapshots.length > 0) return 'snapshots';
  if (qcow2.bitmaps.length > 0) return 'bitmaps';
  if (qcow2.dataFile !== undefined) return 'its data in another file';
  return found.encrypted ? 'a key' : undefined;
}

/** The refusal of an image that holds something. */
export function holdsAlready(path: string, what: string): EngineError {
  return new EngineError('FILE_NOT_USABLE', `holds ${what}; let it be replaced, or convert into a new one`, {
    file: path,
  });
}

function layoutOf({ clusterSize }: ImageDescription, qcow2: Qcow2Details): ImageLayout {
  const { compat, compressionType, refcountBits, lazyRefcounts, extendedL2 } = qcow2;
  return compat === '0.10'
    ? { version: 2, clusterSize }
    : { clusterSize, compressionType, refcountBits, lazyRefcounts, extendedL2 };
}
