// How long a qcow2 file becomes, as QEMU works it out (measured against `qemu-img measure`): clusters of data, L2 tables,
// the L1 table, the header, and refcounts for all of them, themselves included.

const L1_ENTRY = 8n;
const REFCOUNT_TABLE_ENTRY = 8n;
const BITMAP_TABLE_ENTRY = 8n;
const BITMAP_DIRECTORY_ENTRY = 24n;

/** What decides on the length of a qcow2 file. */
export interface Qcow2Shape {
  /** Bytes of a cluster. */
  readonly clusterSize: bigint;
  /** Width of a refcount. */
  readonly refcountBits: bigint;
  /** L2 entries describe subclusters. */
  readonly extendedL2: boolean;
}

/** `value` in whole units, counting a part as one. */
function units(value: bigint, unit: bigint): bigint {
  return (value + unit - 1n) / unit;
}

/** `value` rounded up to a whole unit. */
export function roundUp(value: bigint, unit: bigint): bigint {
  return units(value, unit) * unit;
}

/** Bytes of refcount blocks and their table for so many clusters and for themselves. */
function refcountBytes(clusters: bigint, { clusterSize, refcountBits }: Qcow2Shape): bigint {
  const perBlock = (clusterSize * 8n) / refcountBits;
  const perTableCluster = clusterSize / REFCOUNT_TABLE_ENTRY;
  let [blocks, table, all, last] = [0n, 0n, 0n, -1n];
  while (all !== last) {
    last = all;
    blocks = units(clusters + table + blocks, perBlock);
    table = units(blocks, perTableCluster);
    all = clusters + blocks + table;
  }
  return (blocks + table) * clusterSize;
}

/** Length of a qcow2 file with every cluster allocated (bytes). */
export function fullQcow2Length(virtualSize: bigint, shape: Qcow2Shape): bigint {
  const { clusterSize, extendedL2 } = shape;
  const l2Entry = extendedL2 ? 16n : 8n;
  const data = roundUp(virtualSize, clusterSize);
  const l2 = roundUp(data / clusterSize, clusterSize / l2Entry) * l2Entry;
  const l1 = roundUp(l2 / clusterSize, clusterSize / L1_ENTRY) * L1_ENTRY;
  const metadata = clusterSize + l2 + l1;
  return data + metadata + refcountBytes((data + metadata) / clusterSize, shape);
}

/** Bytes that persistent bitmaps take at most, with their tables and directory. */
export function bitmapBytes(
  virtualSize: bigint,
  bitmaps: readonly { readonly name: Uint8Array; readonly granularity: bigint }[],
  clusterSize: bigint,
): bigint {
  let [all, directory] = [0n, 0n];
  for (const { name, granularity } of bitmaps) {
    const clusters = units(units(units(virtualSize, granularity), 8n), clusterSize);
    all += clusters * clusterSize + roundUp(clusters * BITMAP_TABLE_ENTRY, clusterSize);
    directory += roundUp(BITMAP_DIRECTORY_ENTRY + BigInt(name.length), 8n);
  }
  return all + roundUp(directory, clusterSize);
}
