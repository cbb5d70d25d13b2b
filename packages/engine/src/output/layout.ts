import { nameBytes } from '@instar/host-files';
import { IMAGE_FORMAT } from '@instar/shared-abi';
import { EngineError } from '../errors.js';
import { formatName } from '../format-names.js';
import { requirePlainName } from '../path-policy.js';

/** Kinds of vmdk, by the names in their descriptors. */
export const VMDK_SUBFORMATS = [
  'monolithicSparse',
  'streamOptimized',
  'monolithicFlat',
  'twoGbMaxExtentFlat',
  'twoGbMaxExtentSparse',
] as const;

/**
 * What an output is made with. Each format takes the options that it has; the defaults are those of qemu-img. Sizes are
 * bytes.
 */
export interface ImageLayout {
  /**
   * qcow2: a power of two from 512 to 2 MiB (default 65536); qed: from 4 KiB to 64 MiB (default 65536); parallels: from 512 to
   * 64 MiB (default 1 MiB).
   */
  readonly clusterSize?: number | undefined;
  /** qcow2: what compressed clusters are encoded with (default `zlib`). */
  readonly compressionType?: 'zlib' | 'zstd' | undefined;
  /** qcow2: compress every cluster that becomes smaller by it (default false). */
  readonly compress?: boolean | undefined;
  /** qcow2 and streamOptimized vmdk: time for size (default `default`, which for zlib is `fast`). */
  readonly compressLevel?: 'fast' | 'default' | 'best' | undefined;
  /** qcow2: version of the format; 2 has none of the options below but preallocation (default 3). */
  readonly version?: 2 | 3 | undefined;
  /** qcow2: width of a refcount in bits, a power of two from 1 to 64 (default 16). */
  readonly refcountBits?: number | undefined;
  /** qcow2: whoever writes the image may write refcounts late (default false). */
  readonly lazyRefcounts?: boolean | undefined;
  /** qcow2: L2 entries describe 32 subclusters each; clusters have at least 16 KiB then (default false). */
  readonly extendedL2?: boolean | undefined;
  /**
   * raw and qcow2: `metadata` gives every cluster of a qcow2 image its place, `falloc` and `full` allocate all of the file
   * (default `off`).
   */
  readonly preallocation?: 'off' | 'metadata' | 'falloc' | 'full' | undefined;
  /**
   * vpc, vdi, vhdx: `dynamic` or `fixed`; vmdk: `monolithicSparse` or the others, of which flat and split ones are several files
   * (default: the first).
   */
  readonly subformat?: 'dynamic' | 'fixed' | (typeof VMDK_SUBFORMATS)[number] | undefined;
  /**
   * qcow2: the file that has the data, absolute or from the output's directory on. It is written as the output is, and the
   * output has only tables.
   */
  readonly dataFile?: string | undefined;
  /** qcow2: the data file alone is the disk, as a raw image (default false). */
  readonly dataFileRaw?: boolean | undefined;
  /**
   * qed: clusters of a table, 2, 4, 8 or 16 (default 4); QEMU opens no image whose tables have one. A table has at most 8 MiB.
   */
  readonly tableSize?: number | undefined;
  /** vpc: keep the size as it is, as Azure wants it, and not round it up to what a geometry comes to (default false). */
  readonly forceSize?: boolean | undefined;
  /** vhdx: bytes of a block, a power of two from 1 MiB to 256 MiB (default: by the size of the disk). */
  readonly blockSize?: number | undefined;
  /** vmdk: the adapter that the disk is for (default `ide`). */
  readonly adapterType?: 'ide' | 'buslogic' | 'lsilogic' | 'legacyESX' | undefined;
  /** vmdk: version of the virtual hardware (default 4). */
  readonly hardwareVersion?: number | undefined;
  /** vmdk: version of the tools in the guest (default 2147483647: none that VMware manages). */
  readonly toolsVersion?: number | undefined;
  /** vmdk: an entry may say that its grain is zeros, by which the header has version 2 (default false). */
  readonly zeroedGrains?: boolean | undefined;
  /** vhdx: bytes of the log, whole MiB, less than 4 GiB (default 1 MiB). */
  readonly logSize?: number | undefined;
}

type Option = keyof ImageLayout;

const { RAW, QCOW2, VMDK, VPC, VDI, VHDX, QED, PARALLELS } = IMAGE_FORMAT.values;

/** Options by format. */
const OPTIONS: ReadonlyMap<number, readonly Option[]> = new Map<number, readonly Option[]>([
  [RAW, ['preallocation']],
  [
    QCOW2,
    [
      'clusterSize',
      'compressionType',
      'compress',
      'compressLevel',
      'version',
      'refcountBits',
      'lazyRefcounts',
      'extendedL2',
      'preallocation',
      'dataFile',
      'dataFileRaw',
    ],
  ],
  [VMDK, ['subformat', 'compressLevel', 'adapterType', 'hardwareVersion', 'toolsVersion', 'zeroedGrains']],
  [VPC, ['subformat', 'forceSize']],
  [VDI, ['subformat']],
  [VHDX, ['subformat', 'blockSize', 'logSize']],
  [QED, ['clusterSize', 'tableSize']],
  [PARALLELS, ['clusterSize']],
]);

const GROWS_OR_NOT = ['dynamic', 'fixed'];
const SUBFORMATS: ReadonlyMap<number, readonly string[]> = new Map<number, readonly string[]>([
  [VMDK, VMDK_SUBFORMATS],
  [VPC, GROWS_OR_NOT],
  [VDI, GROWS_OR_NOT],
  [VHDX, GROWS_OR_NOT],
]);

/** Bytes of the smallest and the largest cluster of a format. */
const CLUSTERS: ReadonlyMap<number, readonly [least: number, most: number]> = new Map([
  [QCOW2, [512, 2 ** 21]],
  [QED, [4096, 2 ** 26]],
  [PARALLELS, [512, 2 ** 26]],
]);
const SMALLEST_CLUSTER_OF_SUBCLUSTERS = 16384;
const MOST_TABLE_CLUSTERS = 16;
/** Bytes of the largest table of qed, which the guest keeps in memory. */
const LARGEST_TABLE = 2 ** 23;
const MOST_NAME_BYTES = 1023;
const SMALLEST_BLOCK = 2 ** 20;
const LARGEST_BLOCK = 2 ** 28;
const MOST_REFCOUNT_BITS = 64;
/** The width that version 2 always has. */
const REFCOUNT_BITS = 16;

function invalid(what: string): EngineError {
  return new EngineError('INVALID_OPTION', what);
}

function requirePowerOfTwo(name: string, value: number | undefined, least: number, most: number): void {
  if (value === undefined) return;
  if (value < least || value > most || (value & (value - 1)) !== 0) {
    throw invalid(`${name}: expected a power of two from ${least} to ${most}, found ${value}`);
  }
}

function requireWholeMib(name: string, value: number | undefined): void {
  if (value === undefined || (value > 0 && value % SMALLEST_BLOCK === 0)) return;
  throw invalid(`${name}: expected whole MiB, found ${value} bytes`);
}

/**
 * Refuses options that a format does not have, and those that do not go together.
 * @param format number of the format
 * @throws EngineError `INVALID_OPTION`
 */
export function checkLayout(layout: ImageLayout, format: number): void {
  const known = OPTIONS.get(format) ?? [];
  for (const [name, value] of Object.entries(layout) as readonly [Option, unknown][]) {
    // What is switched off is switched off in every format.
    if (value === undefined || value === false || known.includes(name)) continue;
    throw invalid(`${name}: outputs of format ${formatName(format)} have no such option`);
  }
  const { clusterSize, extendedL2 = false, subformat, preallocation = 'off', compress = false } = layout;
  const [least, most] = CLUSTERS.get(format) ?? [1, 1];
  requirePowerOfTwo('clusterSize', clusterSize, extendedL2 ? SMALLEST_CLUSTER_OF_SUBCLUSTERS : least, most);
  requirePowerOfTwo('tableSize', layout.tableSize, 2, MOST_TABLE_CLUSTERS);
  requireTables(layout, format);
  requirePowerOfTwo('blockSize', layout.blockSize, SMALLEST_BLOCK, LARGEST_BLOCK);
  requireWholeMib('logSize', layout.logSize);
  requirePowerOfTwo('refcountBits', layout.refcountBits, 1, MOST_REFCOUNT_BITS);
  const subformats = SUBFORMATS.get(format) ?? [];
  if (subformat !== undefined && !subformats.includes(subformat)) {
    throw invalid(`subformat: expected ${subformats.join(' or ')} for ${formatName(format)}, found ${subformat}`);
  }
  if (format === RAW && preallocation === 'metadata') {
    throw invalid('preallocation: raw outputs have no metadata; expected off, falloc or full');
  }
  if (compress && preallocation !== 'off') throw invalid('compress and preallocation exclude each other');
  if (layout.zeroedGrains === true && subformat?.endsWith('Flat') === true) {
    throw invalid(`zeroedGrains: ${subformat} has no grains`);
  }
  if (layout.version === 2) requireVersion2(layout);
  requireDataFile(layout);
}

function requireTables({ clusterSize = 65536, tableSize = 4 }: ImageLayout, format: number): void {
  if (format !== QED || clusterSize * tableSize <= LARGEST_TABLE) return;
  throw invalid(
    `clusterSize of ${clusterSize} with tables of ${tableSize} clusters makes tables of more than ${LARGEST_TABLE} bytes`,
  );
}

function requireDataFile({ dataFile, dataFileRaw, compress }: ImageLayout): void {
  if (dataFileRaw === true && dataFile === undefined) throw invalid('dataFileRaw: needs the name of a data file');
  if (dataFile === undefined) return;
  if (dataFile === '') throw invalid('dataFile: expected the name of a file');
  requirePlainName('dataFile', dataFile);
  if (nameBytes(dataFile).length > MOST_NAME_BYTES) {
    throw invalid(`dataFile: expected a name of at most ${MOST_NAME_BYTES} bytes`);
  }
  if (compress === true) throw invalid('compress: a data file has no compressed clusters');
}

function requireVersion2(layout: ImageLayout): void {
  const { refcountBits = REFCOUNT_BITS, compressionType = 'zlib', lazyRefcounts, extendedL2 } = layout;
  const later = [
    refcountBits === REFCOUNT_BITS ? '' : `refcountBits of ${refcountBits}`,
    compressionType === 'zlib' ? '' : `compressionType ${compressionType}`,
    lazyRefcounts === true ? 'lazyRefcounts' : '',
    extendedL2 === true ? 'extendedL2' : '',
    layout.dataFile === undefined ? '' : 'dataFile',
  ].find((what) => what !== '');
  if (later !== undefined) throw invalid(`${later} needs version 3 of qcow2`);
}

/** Whether the whole file is allocated. */
export function isAllocated({ preallocation = 'off' }: ImageLayout): boolean {
  return preallocation === 'falloc' || preallocation === 'full';
}
