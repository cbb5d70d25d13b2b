import { nameOf, type ValueOf } from '@instar/layout';
import { EXTENT_FILE_KIND, type ExtentFileRecord } from '@instar/shared-abi';
import type { ImageInfo } from './session/look.js';
import { EngineError } from './errors.js';
import { quoteName } from '@instar/host-files';
import type { InputFile } from './input-file.js';
import type { ReferencedFile } from './referenced-file.js';

const { FLAT, ZERO, VMFS } = EXTENT_FILE_KIND.values;

/** One extent of a disk, as its image describes it. */
export type ExtentRecord = ValueOf<typeof ExtentFileRecord>;

/** One extent of a disk that lies in several files, or in parts of the image's own. */
export interface ImageExtent {
  /** Name as stored; the image's own for an extent in the image itself. */
  readonly filename: string;
  /** `FLAT`, `SPARSE`, `VMFS`, …; empty for an extent in the image itself. */
  readonly format: string;
  /** Bytes of the disk. */
  readonly virtualSize: bigint;
  /** Bytes; undefined where it has no grains. */
  readonly clusterSize: number | undefined;
  readonly compressed: boolean;
  /** Length of its file and what it takes on its file system (bytes); undefined where it was not opened. */
  readonly file: { readonly path: string; readonly length: bigint; readonly actualSize: bigint } | undefined;
}

/** All extents of an image. */
export function extentRecords(info: ImageInfo): readonly ExtentRecord[] {
  return info.extent_files.slice(0, info.extent_file_count);
}

/** The extents that lie in other files, in the order of the disk. */
export function extentsInFiles(info: ImageInfo): readonly ExtentRecord[] {
  return extentRecords(info).filter(({ name_len, kind }) => name_len > 0 && kind !== ZERO);
}

const WORDS: Readonly<Record<string, string>> = { NONE: '', VMFS_SPARSE: 'VMFSSPARSE', SE_SPARSE: 'SESPARSE' };
const decoder = new TextDecoder();

/** The extents in words, with the files that were opened for those that lie in files. */
export function describeExtents(image: InputFile, info: ImageInfo, opened: readonly InputFile[]): ImageExtent[] {
  const rest = [...opened];
  return extentRecords(info).map((record) => {
    const kind = nameOf(EXTENT_FILE_KIND, record.kind) ?? '';
    const file = record.name_len > 0 && record.kind !== ZERO ? rest.shift() : undefined;
    return {
      filename:
        file?.path ?? (record.name_len === 0 ? image.path : decoder.decode(record.name.subarray(0, record.name_len))),
      format: WORDS[kind] ?? kind,
      virtualSize: record.virtual_size,
      clusterSize: record.cluster_size === 0 ? undefined : record.cluster_size,
      compressed: record.compressed !== 0,
      file: file === undefined ? undefined : { path: file.path, length: file.size, actualSize: file.allocated },
    };
  });
}

/**
 * Refuses a flat extent that cannot be part of a disk, unless its directory was allowed: a file of no format says nothing,
 * and a key or a mailbox would do as well. It consists of whole sectors and holds what the descriptor says.
 * @throws EngineError `PATH_REFUSED`
 */
export function checkFlatExtent({ reference, file, beside }: ReferencedFile, record: ExtentRecord): void {
  if (!beside || (record.kind !== FLAT && record.kind !== VMFS)) return;
  const end = record.file_offset + record.virtual_size;
  if (file.size % 512n === 0n && file.size >= end) return;
  const { role, name, image } = reference;
  throw new EngineError(
    'PATH_REFUSED',
    `its ${role} ${quoteName(name)} has ${file.size} bytes, expected whole sectors and at least ${end} bytes: a file of no ` +
      'format beside an image must fit; allow its directory with --allow-path if you trust the image',
    { file: image },
  );
}
