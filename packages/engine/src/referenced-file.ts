import { roundUpToSector } from '@instar/operands';
import { INFO_FLAG } from '@instar/shared-abi';
import type { ImageInfo } from './session/look.js';
import { EngineError } from './errors.js';
import { quoteName } from '@instar/host-files';
import type { InputFile } from './input-file.js';
import type { Reference } from './path-policy.js';

// An image of a format says itself that it is one. A raw file says nothing: a key or a mailbox would do as well. Where nobody
// allowed its directory, its size must at least be that of a disk.

/** A file that an image named and that was opened. */
export interface ReferencedFile {
  readonly reference: Reference;
  readonly file: InputFile;
  /** It was opened because it lies beside the image, not because somebody allowed its directory. */
  readonly beside: boolean;
}

function doesNotFit({ reference, file }: ReferencedFile, expected: string): EngineError {
  const { role, name, image } = reference;
  return new EngineError(
    'PATH_REFUSED',
    `its ${role} ${quoteName(name)} has ${file.size} bytes, expected ${expected}: a file of no format beside an image ` +
      'must fit; allow its directory with --allow-path if you trust the image',
    { file: image },
  );
}

/**
 * Refuses a raw backing file that is no whole number of sectors (nor exactly the disk), unless its directory was allowed.
 * @throws EngineError `PATH_REFUSED`
 */
export function checkRawBacking(referenced: ReferencedFile, image: ImageInfo): void {
  const { size } = referenced.file;
  const sectors = roundUpToSector(size);
  if (!referenced.beside || sectors === size || sectors === roundUpToSector(image.virtual_size)) return;
  throw doesNotFit(referenced, 'whole sectors of 512');
}

/**
 * Refuses a data file that cannot be that of the image, unless its directory was allowed: it has the size of the disk, or,
 * where it is no raw image itself, as many whole clusters as were written (guest and host offsets are the same in it).
 * @throws EngineError `PATH_REFUSED`
 */
export function checkDataFile(referenced: ReferencedFile, image: ImageInfo): void {
  const { size } = referenced.file;
  const disk = roundUpToSector(image.virtual_size);
  if (!referenced.beside || roundUpToSector(size) === disk) return;
  const cluster = BigInt(image.cluster_size);
  const mayEndEarly = (image.flags & INFO_FLAG.values.DATA_FILE_RAW) === 0 && cluster > 0n && size % cluster === 0n;
  if (mayEndEarly && size < disk + cluster) return;
  throw doesNotFit(referenced, `the ${disk} of the disk or whole clusters`);
}
