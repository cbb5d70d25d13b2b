import { leafOf, nameBytes } from '@instar/host-files';
import { IMAGE_FORMAT, OutputConfig } from '@instar/shared-abi';
import { fullQcow2Length } from './operations/qcow2-size.js';
import { randomBytes } from '@instar/vmm-native';

const MIB = 1n << 20n;
/** The largest block of a format that grows (vhdx of more than 32 TiB). */
const LARGEST_BLOCK = 64n * MIB;
const RANDOM_BYTES = 64;
const MOST_NAME_BYTES = 256;

/** Bytes that a qcow2 file of so many guest bytes takes at most: the data, its tables, and some clusters of slack. */
function qcow2Limit(bytes: bigint, clusterSize: bigint): bigint {
  return fullQcow2Length(bytes, { clusterSize, refcountBits: 16n, extendedL2: false }) + 16n * clusterSize;
}

/**
 * Bytes that an output of a format other than raw takes at most.
 * @param bytes of the disk
 * @param clusterSize bytes of a cluster of a qcow2 output
 */
export function outputLimit(format: number, bytes: bigint, clusterSize = 65536): bigint {
  if (format === IMAGE_FORMAT.values.QCOW2) return qcow2Limit(bytes, BigInt(clusterSize));
  const blocks = ((bytes + LARGEST_BLOCK - 1n) / LARGEST_BLOCK) * LARGEST_BLOCK;
  // Two tables of 4 bytes for each 64 KiB (vmdk), a sector for each 2 MiB (vpc), and what a file begins with.
  return blocks + blocks / 2048n + 8n * MIB;
}

/**
 * What makes an output one of its own: random numbers, the time, its name. It follows the config of the operation.
 * @returns an encoded OutputConfig
 */
export function outputIdentity(name: string): Uint8Array {
  const leaf = nameBytes(leafOf(name)).subarray(0, MOST_NAME_BYTES);
  const padded = new Uint8Array(MOST_NAME_BYTES);
  padded.set(leaf);
  return OutputConfig.encode({
    random: Uint8Array.from(randomBytes(RANDOM_BYTES)),
    time: BigInt(Math.floor(Date.now() / 1000)),
    name_len: leaf.length,
    name: padded,
  });
}
