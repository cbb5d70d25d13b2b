import { MAX_SIZE } from '@instar/operands';
import { nameOf, type ValueOf } from '@instar/layout';
import {
  EXTENT_FILE_KIND,
  IMAGE_FORMAT,
  INFO_FLAG,
  INFO_MAX_BITMAPS,
  INFO_MAX_EXTENT_FILES,
  INFO_MAX_SNAPSHOTS,
  INFO_RESULT_MAGIC,
  LUKS_MAX_SLOTS,
  RAW_CONTENT,
  RESULT_STATUS,
  type InfoResult,
} from '@instar/shared-abi';
import { formatName } from './format-names.js';
import { isReadable } from './formats.js';

const KNOWN_FLAGS = Object.values(INFO_FLAG.values).reduce((all, flag) => all | flag, 0);
/** Values that the reader of qcow2 lets through (qcow2.txt, "Header"). */
const LEAST_CLUSTER = 512;
const MOST_CLUSTER = 2 ** 21;
const MOST_REFCOUNT_BITS = 64;

function isPowerOfTwo(value: number, least: number, most: number): boolean {
  return value >= least && value <= most && (value & (value - 1)) === 0;
}

/**
 * Whether a working guest could have left this. The guest may be in an attacker's hands, and a verdict must not rest on
 * what cannot be.
 * @param forced number of the format that was asked for, or PROBE
 */
export function isPlausible(result: ValueOf<typeof InfoResult>, forced: number): boolean {
  const { RAW, QCOW2, PROBE } = IMAGE_FORMAT.values;
  const F = INFO_FLAG.values;
  const has = (flag: number): boolean => (result.flags & flag) !== 0;
  const named = (flag: number, length: number, field: Uint8Array): boolean =>
    length <= field.length && (has(flag) || length === 0);
  const general =
    result.status === RESULT_STATUS.values.OK &&
    result.magic === INFO_RESULT_MAGIC &&
    (forced === PROBE || result.format === forced) &&
    result.other_format === PROBE &&
    (result.flags & ~KNOWN_FLAGS) === 0 &&
    result.virtual_size <= MAX_SIZE &&
    result.virtual_size % 512n === 0n &&
    result.snapshot_count <= INFO_MAX_SNAPSHOTS &&
    result.bitmap_count <= INFO_MAX_BITMAPS &&
    result.bitmaps.every((bitmap) => bitmap.granularity_bits < 64) &&
    result.luks.version <= 2 &&
    result.luks.slot_count <= LUKS_MAX_SLOTS &&
    (has(F.ENCRYPTED) || result.luks.version === 0) &&
    result.beyond_field_len <= result.beyond_field.length &&
    nameOf(RAW_CONTENT, result.content) !== undefined &&
    result.backing_format_len <= result.backing_format.length &&
    named(F.BACKING_FILE, result.backing_file_len, result.backing_file) &&
    (has(F.BACKING_FILE) ? result.backing_file_len > 0 : true) &&
    named(F.DATA_FILE, result.data_file_len, result.data_file);
  if (!general) return false;
  if (result.format === RAW) {
    const { BACKING_FILE, DATA_FILE, DATA_FILE_RAW, ENCRYPTED, CORRUPT, DIRTY, EXTENDED_L2, TABLE_FAULT } = F;
    const foreign = [BACKING_FILE, DATA_FILE, DATA_FILE_RAW, ENCRYPTED, CORRUPT, DIRTY, EXTENDED_L2, TABLE_FAULT];
    return !foreign.some(has) && result.snapshot_count === 0 && result.bitmap_count === 0;
  }
  if (result.format !== QCOW2) return isPlausibleOther(result, has);
  return (
    (result.version === 2 || result.version === 3) &&
    isPowerOfTwo(result.cluster_size, LEAST_CLUSTER, MOST_CLUSTER) &&
    isPowerOfTwo(result.refcount_bits, 1, MOST_REFCOUNT_BITS) &&
    result.compression_type <= 1 &&
    result.crypt_method <= 2 &&
    has(F.ENCRYPTED) === (result.crypt_method !== 0)
  );
}

/** Formats besides qcow2 whose images can name a backing file. */
const BACKED: ReadonlySet<string> = new Set(['qcow', 'qed', 'vmdk', 'vpc', 'vhdx']);

/** Formats besides qcow2 that can be encrypted. */
const ENCRYPTABLE: ReadonlySet<string> = new Set(['qcow', 'luks']);

/** What the readers of all formats besides raw and qcow2 leave: none of them knows snapshots, bitmaps or data files. */
function isPlausibleOther(result: ValueOf<typeof InfoResult>, has: (flag: number) => boolean): boolean {
  const { BACKING_FILE, DATA_FILE, DATA_FILE_RAW, ENCRYPTED, CORRUPT, EXTENDED_L2, LAZY_REFCOUNTS } = INFO_FLAG.values;
  const name = formatName(result.format);
  return (
    isReadable(name) &&
    ![DATA_FILE, DATA_FILE_RAW, CORRUPT, EXTENDED_L2, LAZY_REFCOUNTS].some(has) &&
    (BACKED.has(name) || !has(BACKING_FILE)) &&
    has(ENCRYPTED) === (result.crypt_method !== 0) &&
    (result.crypt_method === 0 || ENCRYPTABLE.has(name)) &&
    (name === 'luks') === (result.luks.version !== 0) &&
    result.snapshot_count === 0 &&
    result.bitmap_count === 0 &&
    result.refcount_bits === 0 &&
    result.content === 0 &&
    (name === 'vmdk' ? hasPlausibleExtents(result) : result.extent_file_count === 0 && result.variant_len === 0)
  );
}

/** The extents of a disk in several files add up to it. */
function hasPlausibleExtents(result: ValueOf<typeof InfoResult>): boolean {
  if (result.variant_len > result.variant.length || result.extent_file_count > INFO_MAX_EXTENT_FILES) return false;
  const extents = result.extent_files.slice(0, result.extent_file_count);
  return (
    extents.length > 0 &&
    extents.every(
      ({ name, name_len, kind }) => name_len <= name.length && nameOf(EXTENT_FILE_KIND, kind) !== undefined,
    ) &&
    extents.reduce((sum, { virtual_size }) => sum + virtual_size, 0n) === result.virtual_size
  );
}
