import { combinePath } from '../path-policy.js';
import type { ImageLayout } from './layout.js';
import { extentsOf, isFlat, isSplit, type DiskPart } from './split-vmdk.js';

/** Whether a disk lies in several files. */
export function isInParts(layout: ImageLayout): boolean {
  return isSplit(layout) || layout.dataFile !== undefined;
}

/** The files that a disk lies in, besides the one that names them. */
export interface Parts {
  readonly files: readonly DiskPart[];
  /** They are raw. */
  readonly raw: boolean;
}

/**
 * The files of a disk.
 * @param size bytes of the disk, whole sectors
 * @throws EngineError where there can be none
 */
export function partsOf(output: string, size: bigint, layout: ImageLayout): Parts {
  const { dataFile } = layout;
  if (dataFile === undefined) return { files: extentsOf(output, size, layout), raw: isFlat(layout) };
  return { files: [{ path: combinePath(output, dataFile), start: 0n, length: size }], raw: true };
}
