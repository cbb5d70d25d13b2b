import {
  BitmapDirectoryEntry,
  BitmapsExtension,
  CompressedL2Entry,
  headerOffset,
  l2Mask,
  l2Shift,
  L2Entry,
  qcow2Codec,
  Qcow2Extension,
  Qcow2Header,
  SnapshotEntry,
} from './qcow2-layout.js';

/** Offsets of the fields that tests bend. */
export const AT = {
  MAGIC: headerOffset('magic'),
  VERSION: headerOffset('version'),
  BACKING_OFFSET: headerOffset('backing_file_offset'),
  BACKING_LENGTH: headerOffset('backing_file_size'),
  CLUSTER_BITS: headerOffset('cluster_bits'),
  SIZE: headerOffset('virtual_size'),
  CRYPT_METHOD: headerOffset('crypt_method'),
  L1_SIZE: headerOffset('l1_size'),
  L1_OFFSET: headerOffset('l1_table_offset'),
  REFCOUNT_OFFSET: headerOffset('refcount_table_offset'),
  REFCOUNT_CLUSTERS: headerOffset('refcount_table_clusters'),
  SNAPSHOT_COUNT: headerOffset('nb_snapshots'),
  SNAPSHOT_OFFSET: headerOffset('snapshots_offset'),
  INCOMPATIBLE: headerOffset('incompatible_features'),
  COMPATIBLE: headerOffset('compatible_features'),
  AUTOCLEAR: headerOffset('autoclear_features'),
  REFCOUNT_ORDER: headerOffset('refcount_order'),
  HEADER_LENGTH: headerOffset('header_length'),
  COMPRESSION: headerOffset('compression_type'),
} as const;

const HEADER_LENGTH = qcow2Codec(Qcow2Header).size;
const EXTENSION_HEADER = qcow2Codec(Qcow2Extension).size;

/** Header extension types (qcow2.txt "Header extensions"). */
const EXTENSION = {
  BACKING_FORMAT: 0xe2792aca,
  FEATURE_NAMES: 0x6803f857,
  BITMAPS: 0x23852875,
  DATA_FILE: 0x44415441,
} as const;

/** Incompatible features (qcow2.txt, bytes 72 to 79). */
export const INCOMPATIBLE = {
  DIRTY: 1n << 0n,
  CORRUPT: 1n << 1n,
  DATA_FILE: 1n << 2n,
  COMPRESSION: 1n << 3n,
  EXTENDED_L2: 1n << 4n,
} as const;

export const CLUSTER = 65_536;
/** Where the parts lie, one cluster each. */
export const PART = {
  REFCOUNT_TABLE: CLUSTER,
  REFCOUNT_BLOCK: 2 * CLUSTER,
  L1_TABLE: 3 * CLUSTER,
  L2_TABLE: 4 * CLUSTER,
  DATA: 5 * CLUSTER,
  /** Two clusters that nothing uses: for snapshot tables, bitmap directories and the like. */
  SPARE: 7 * CLUSTER,
} as const;
const CLUSTERS = 9;

/** The offset in an L1 or L2 entry is that of a cluster with a refcount of one. */
export const COPIED = l2Mask(L2Entry, 'copied');
/** The L2 entry is a compressed cluster descriptor. */
export const COMPRESSED = l2Mask(L2Entry, 'compressed');
/** Additional sectors in such a descriptor begin at this bit, for clusters of 64 KiB. */
const COMPRESSED_SECTORS = l2Shift(CompressedL2Entry, 'additional_sectors');

export const DISK_SIZE = 1 << 20;

/** Text as UTF-8, or bytes as they are. */
type Name = string | Uint8Array;

function bytesOf(name: Name): Buffer {
  return Buffer.from(name as string);
}

/**
 * A qcow2 image in memory, field by field, so that a test can say which one it bends: version 3, clusters of 64 KiB,
 * 1 MiB, whose first two clusters hold 0x11 and 0x22.
 */
export class Qcow2Builder {
  bytes = Buffer.alloc(CLUSTERS * CLUSTER);
  #extensionsEnd = HEADER_LENGTH;

  constructor() {
    const header = qcow2Codec(Qcow2Header).encode({
      version: 3,
      cluster_bits: 16,
      virtual_size: BigInt(DISK_SIZE),
      l1_size: 1,
      l1_table_offset: BigInt(PART.L1_TABLE),
      refcount_table_offset: BigInt(PART.REFCOUNT_TABLE),
      refcount_table_clusters: 1,
      refcount_order: 4,
      header_length: HEADER_LENGTH,
    });
    this.put(0, header)
      .u64(PART.REFCOUNT_TABLE, BigInt(PART.REFCOUNT_BLOCK))
      .u64(PART.L1_TABLE, COPIED + BigInt(PART.L2_TABLE))
      .l2(0, COPIED + BigInt(PART.DATA))
      .l2(1, COPIED + BigInt(PART.DATA + CLUSTER));
    for (let cluster = 0; cluster < CLUSTERS; cluster += 1) this.u16(PART.REFCOUNT_BLOCK + 2 * cluster, 1);
    this.bytes.fill(0x11, PART.DATA, PART.DATA + CLUSTER).fill(0x22, PART.DATA + CLUSTER, PART.DATA + 2 * CLUSTER);
  }

  u16(at: number, value: number): this {
    this.bytes.writeUInt16BE(value, at);
    return this;
  }

  u32(at: number, value: number): this {
    this.bytes.writeUInt32BE(value, at);
    return this;
  }

  u64(at: number, value: bigint): this {
    this.bytes.writeBigUInt64BE(BigInt.asUintN(64, value), at);
    return this;
  }

  put(at: number, content: Uint8Array): this {
    this.bytes.set(content, at);
    return this;
  }

  /** Sets a standard L2 entry. */
  l2(index: number, entry: bigint): this {
    return this.u64(PART.L2_TABLE + 8 * index, entry);
  }

  /** Adds incompatible feature bits. */
  incompatible(bits: bigint): this {
    return this.u64(AT.INCOMPATIBLE, this.bytes.readBigUInt64BE(AT.INCOMPATIBLE) | bits);
  }

  /** Appends a header extension of a stated length, which may be a lie. */
  extension(type: number, content: Uint8Array, length = content.length): this {
    const at = this.#extensionsEnd;
    this.#extensionsEnd += EXTENSION_HEADER + Math.ceil(content.length / 8) * 8;
    return this.put(at, qcow2Codec(Qcow2Extension).encode({ kind: type, size: length })).put(
      at + EXTENSION_HEADER,
      content,
    );
  }

  /** Names a backing file, and its format when one is given. */
  backing(name: Name, format?: Name): this {
    if (format !== undefined) this.extension(EXTENSION.BACKING_FORMAT, bytesOf(format));
    const place = 4096;
    const content = bytesOf(name);
    return this.put(place, content).u64(AT.BACKING_OFFSET, BigInt(place)).u32(AT.BACKING_LENGTH, content.length);
  }

  /** Keeps its data in another file. */
  dataFile(name: Name): this {
    this.incompatible(INCOMPATIBLE.DATA_FILE).extension(EXTENSION.DATA_FILE, bytesOf(name));
    return this.l2(0, COPIED).l2(1, COPIED + BigInt(CLUSTER));
  }

  /** Needs incompatible feature `bit`, and calls it `name`. */
  unknownFeature(bit: number, name: Name): this {
    const entry = Buffer.alloc(48);
    entry[1] = bit;
    bytesOf(name).copy(entry, 2, 0, 46);
    return this.incompatible(1n << BigInt(bit)).extension(EXTENSION.FEATURE_NAMES, entry);
  }

  /** Has one internal snapshot (qcow2.txt "Snapshots"). */
  snapshot(id: Name, name: Name, extra: Uint8Array = new Uint8Array(16)): this {
    const [idBytes, nameBytes] = [bytesOf(id), bytesOf(name)];
    const entry = qcow2Codec(SnapshotEntry).encode({
      l1_table_offset: BigInt(PART.L1_TABLE),
      l1_size: 1,
      id_str_size: idBytes.length,
      name_size: nameBytes.length,
      extra_data_size: extra.length,
    });
    return this.u32(AT.SNAPSHOT_COUNT, 1)
      .u64(AT.SNAPSHOT_OFFSET, BigInt(PART.SPARE))
      .put(PART.SPARE, entry)
      .put(PART.SPARE + entry.length, Buffer.concat([extra, idBytes, nameBytes]));
  }

  /** Has one persistent bitmap (qcow2.txt "Bitmaps extension", "Bitmap directory"). */
  bitmap(name: Name): this {
    const content = bytesOf(name);
    const fixed = qcow2Codec(BitmapDirectoryEntry).encode({
      table_offset: BigInt(PART.SPARE + CLUSTER),
      table_size: 1,
      kind: 1,
      granularity_bits: 16,
      name_size: content.length,
    });
    const entry = Buffer.alloc(Math.ceil((fixed.length + content.length) / 8) * 8);
    entry.set(fixed);
    entry.set(content, fixed.length);
    const extension = qcow2Codec(BitmapsExtension).encode({
      nb_bitmaps: 1,
      directory_size: BigInt(entry.length),
      directory_offset: BigInt(PART.SPARE),
    });
    return this.put(PART.SPARE, entry).u64(AT.AUTOCLEAR, 1n).extension(EXTENSION.BITMAPS, extension);
  }

  /** Appends a compressed stream to the file and lets these clusters be it. */
  compressed(stream: Uint8Array, ...indexes: readonly number[]): this {
    const at = this.bytes.length;
    const padded = Buffer.alloc(Math.ceil(stream.length / 512) * 512);
    padded.set(stream);
    this.bytes = Buffer.concat([this.bytes, padded]);
    const sectors = BigInt(padded.length / 512 - 1);
    for (const index of indexes) this.l2(index, COMPRESSED | (sectors << COMPRESSED_SECTORS) | BigInt(at));
    return this;
  }

  /** Compressed clusters are zstd, not deflate. */
  zstd(): this {
    this.bytes[AT.COMPRESSION] = 1;
    return this.incompatible(INCOMPATIBLE.COMPRESSION);
  }

  /** Answers to ISO 9660 as well. */
  iso9660(): this {
    return this.put(32_769, Buffer.from('CD001'));
  }
}
