import type { ValueOf } from '@instar/layout';
import {
  BitmapRecord,
  ErrorRecord,
  ExtentFileRecord,
  INFO_MAX_BITMAPS,
  INFO_MAX_EXTENT_FILES,
  INFO_MAX_SNAPSHOTS,
  InfoResult,
  LuksRecord,
  SnapshotRecord,
} from '@instar/shared-abi';

/** What the guest said of an image. Its lists hold what is counted. */
export type ImageInfo = ValueOf<typeof InfoResult>;

type Name = keyof ImageInfo;

/** Structs and lists, which most images have nothing in: they are most of the work of decoding. */
const NESTED = ['error', 'snapshots', 'bitmaps', 'extent_files', 'luks'] as const satisfies readonly Name[];

type Plain = Exclude<Name, (typeof NESTED)[number]>;

let plain: readonly Plain[] | undefined;

function plainNames(): readonly Plain[] {
  plain ??= InfoResult.layout
    .map(({ name }) => name as Name)
    .filter((name): name is Plain => !(NESTED as readonly Name[]).includes(name));
  return plain;
}

function list<T>(record: { readonly size: number; decode(bytes: Uint8Array, at: number): T }, most: number) {
  return (bytes: Uint8Array, start: number, count: number): T[] =>
    Array.from({ length: Math.min(count, most) }, (_, index) => record.decode(bytes, start + index * record.size));
}

const snapshotsOf = list(SnapshotRecord, INFO_MAX_SNAPSHOTS);
const bitmapsOf = list(BitmapRecord, INFO_MAX_BITMAPS);
const extentFilesOf = list(ExtentFileRecord, INFO_MAX_EXTENT_FILES);

/**
 * As `InfoResult.decode`, but of lists only what is counted, which is many times faster.
 * @throws LayoutError where it is too short, or where zeros must be and are not
 */
export function decodeInfo(bytes: Uint8Array): ImageInfo {
  const at = (name: Name): number => InfoResult.offsetOf(name);
  const head = InfoResult.decodeFields(bytes, plainNames());
  return {
    ...head,
    error: ErrorRecord.decode(bytes, at('error')),
    snapshots: snapshotsOf(bytes, at('snapshots'), head.snapshot_count),
    bitmaps: bitmapsOf(bytes, at('bitmaps'), head.bitmap_count),
    extent_files: extentFilesOf(bytes, at('extent_files'), head.extent_file_count),
    luks: LuksRecord.decode(bytes, at('luks')),
  };
}

let prepared = false;

/** Has all put together that {@link decodeInfo} reads with, which its first call would do: for who waits for a result. */
export function prepareToDecodeInfo(): void {
  if (prepared) return;
  prepared = true;
  decodeInfo(new Uint8Array(InfoResult.size));
}
