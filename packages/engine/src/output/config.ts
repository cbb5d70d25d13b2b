import { leafOf, nameBytes } from '@instar/host-files';
import {
  CONVERT_FLAG,
  ConvertConfig,
  ConvertResult,
  IMAGE_FORMAT,
  OUTPUT_LAYOUT_FLAG,
  OUTPUT_SUBFORMAT,
  OutputConfig,
  OutputData,
  OutputLayout,
} from '@instar/shared-abi';
import { fullQcow2Length } from '../operations/qcow2-size.js';
import { randomBytes } from '@instar/vmm-native';
import type { NewContainer } from '../encryption/new-key.js';
import type { Backing } from './backing.js';
import type { ImageLayout } from './layout.js';

const MIB = 1n << 20n;
/** The largest block of a format that grows where nobody chooses it (vhdx of more than 32 TiB). */
const LARGEST_BLOCK = 64n * MIB;
const RANDOM_BYTES = 64;
const MOST_NAME_BYTES = 256;
const MOST_BACKING_NAME_BYTES = 1024;
const MOST_DATA_FILE_BYTES = 1024;
const MOST_WORD_BYTES = 16;
const MOST_CIPHER_BYTES = 32;
const DEFAULT_CLUSTER = 65536;
const DEFAULT_REFCOUNT_BITS = 16;

/** Bytes that a qcow2 file of so many guest bytes takes at most: the data, its tables, and some clusters of slack. */
function qcow2Limit(bytes: bigint, layout: ImageLayout): bigint {
  const { clusterSize = DEFAULT_CLUSTER, refcountBits = DEFAULT_REFCOUNT_BITS, extendedL2 = false } = layout;
  const shape = { clusterSize: BigInt(clusterSize), refcountBits: BigInt(refcountBits), extendedL2 };
  return fullQcow2Length(bytes, shape) + 16n * shape.clusterSize;
}

/**
 * Bytes that an output of a format other than raw takes at most.
 * @param bytes of the disk
 */
export function outputLimit(format: number, bytes: bigint, layout: ImageLayout = {}): bigint {
  if (format === IMAGE_FORMAT.values.QCOW2) return qcow2Limit(bytes, layout);
  const block = BigInt(layout.clusterSize ?? layout.blockSize ?? LARGEST_BLOCK);
  const blocks = ((bytes + block - 1n) / block) * block;
  // A header, the first table of each level.
  const first = BigInt(layout.clusterSize ?? 0) * BigInt(1 + 2 * (layout.tableSize ?? 4));
  // At most 8 bytes of tables for each 512 (qcow over a backing file), and what a file begins with.
  return blocks + blocks / 32n + first + BigInt(layout.logSize ?? 0) + 8n * MIB;
}

/** Fields of a ConvertConfig that say how large the units of an output are; 0 is the default. */
export function unitSizes(
  format: number,
  { clusterSize, blockSize = 0 }: ImageLayout,
): { readonly output_cluster_bits: number; readonly output_block_size: number } {
  return format === IMAGE_FORMAT.values.QCOW2
    ? { output_cluster_bits: Math.log2(clusterSize ?? 1), output_block_size: 0 }
    : { output_cluster_bits: 0, output_block_size: clusterSize ?? blockSize };
}

/** How an output is converted to. */
export interface OutputPlan {
  /** Number of the format. */
  readonly format: number;
  readonly layout: ImageLayout;
  /** Least zeros that are left out (bytes); 0 is the default. */
  readonly sparseSize: bigint;
  readonly backing: Backing | undefined;
  /** What the output is encrypted with. */
  readonly container?: Pick<NewContainer, 'mode' | 'length'> | undefined;
}

/** Flags of a ConvertConfig that say how an output is made. */
export function layoutFlags({ compress, compressionType }: ImageLayout): number {
  const { COMPRESS, ZSTD } = CONVERT_FLAG.values;
  return (compress === true ? COMPRESS : 0) + (compressionType === 'zstd' ? ZSTD : 0);
}

/**
 * What follows the config of the operation: what makes an output one of its own (random numbers, the time, its name), and
 * how it is laid out.
 * @returns an encoded OutputConfig, OutputLayout and OutputData
 */
export function outputConfig(name: string, plan: OutputPlan): Uint8Array {
  const [leaf, nameLength] = padded(nameBytes(leafOf(name)), MOST_NAME_BYTES);
  const identity = OutputConfig.encode({
    random: Uint8Array.from(randomBytes(RANDOM_BYTES)),
    time: BigInt(Math.floor(Date.now() / 1000)),
    name_len: nameLength,
    name: leaf,
  });
  return Buffer.concat([identity, encodedLayout(plan), encodedData(plan)]);
}

let prepared = false;

/** Has all put together that a conversion is asked for with and its result is read with, which the first one would do. */
export function prepareToConvert(): void {
  if (prepared) return;
  prepared = true;
  ConvertConfig.encode(ConvertConfig.zero());
  outputConfig('', { format: IMAGE_FORMAT.values.RAW, layout: {}, sparseSize: 0n, backing: undefined });
  ConvertResult.decode(new Uint8Array(ConvertResult.size));
}

function encodedLayout({ format, layout, sparseSize, backing }: OutputPlan): Uint8Array {
  const [adapter, adapterLength] = padded(Buffer.from(layout.adapterType ?? ''), MOST_WORD_BYTES);
  const [backingName, backingLength] = padded(nameBytes(backing?.name ?? ''), MOST_BACKING_NAME_BYTES);
  const [backingFormat, backingFormatLength] = padded(Buffer.from(backing?.format ?? ''), MOST_WORD_BYTES);
  return OutputLayout.encode({
    flags: flagsOf(format, layout),
    subformat: subformatOf(layout),
    refcount_bits: layout.refcountBits ?? 0,
    hardware_version: layout.hardwareVersion ?? 0,
    sparse_size: sparseSize,
    adapter_len: adapterLength,
    adapter,
    backing_format_len: backingFormatLength,
    backing_format: backingFormat,
    backing_name_len: backingLength,
    backing_name: backingName,
    backing_depth: backing?.depth ?? 0,
  });
}

function encodedData({ container, layout }: OutputPlan): Uint8Array {
  const [dataFile, dataFileLength] = padded(nameBytes(layout.dataFile ?? ''), MOST_DATA_FILE_BYTES);
  const [cipher, cipherLength] = padded(Buffer.from(container === undefined ? '' : 'aes'), MOST_CIPHER_BYTES);
  const [mode, modeLength] = padded(Buffer.from(container?.mode ?? ''), MOST_CIPHER_BYTES);
  return OutputData.encode({
    cipher_len: cipherLength,
    mode_len: modeLength,
    cipher,
    mode,
    header_length: BigInt(container?.length ?? 0),
    table_size: layout.tableSize ?? 0,
    tools_version: layout.toolsVersion ?? 0,
    log_size: layout.logSize ?? 0,
    data_file_len: dataFileLength,
    data_file: dataFile,
  });
}

function flagsOf(format: number, layout: ImageLayout): number {
  const { values } = OUTPUT_LAYOUT_FLAG;
  const flags: readonly (readonly [boolean, number])[] = [
    [layout.extendedL2 === true, values.EXTENDED_L2],
    [layout.lazyRefcounts === true, values.LAZY_REFCOUNTS],
    [layout.version === 2, values.VERSION_2],
    [format === IMAGE_FORMAT.values.QCOW2 && (layout.preallocation ?? 'off') !== 'off', values.PREALLOCATED],
    [format === IMAGE_FORMAT.values.VPC && layout.forceSize !== true, values.GEOMETRY],
    [layout.dataFileRaw === true, values.DATA_FILE_RAW],
    [layout.zeroedGrains === true, values.ZEROED_GRAINS],
    [layout.compressLevel === 'best', values.BEST_COMPRESSION],
    [layout.compressLevel === 'fast', values.FAST_COMPRESSION],
  ];
  return flags.reduce((all, [set, flag]) => (set ? all + flag : all), 0);
}

function subformatOf({ subformat }: ImageLayout): number {
  const { DEFAULT, FIXED, STREAM_OPTIMIZED, EXTENT } = OUTPUT_SUBFORMAT.values;
  if (subformat === 'fixed') return FIXED;
  if (subformat === 'twoGbMaxExtentSparse') return EXTENT;
  return subformat === 'streamOptimized' ? STREAM_OPTIMIZED : DEFAULT;
}

/** Bytes in a field of a fixed length, and how many they are. */
function padded(bytes: Uint8Array, length: number): readonly [Uint8Array, number] {
  const field = new Uint8Array(length);
  const kept = bytes.subarray(0, length);
  field.set(kept);
  return [field, kept.length];
}
