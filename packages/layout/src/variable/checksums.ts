/** Checksums that formats carry: a name, and what it makes of bytes. */
export type ChecksumName = keyof typeof CHECKSUMS;

/** @param polynomial reflected */
function crcTable(polynomial: number): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit += 1) value = (value & 1) === 1 ? (value >>> 1) ^ polynomial : value >>> 1;
    return value >>> 0;
  });
}

function crc(polynomial: number): (bytes: Uint8Array) => number {
  let table: Uint32Array | undefined;
  return (bytes) => {
    table ??= crcTable(polynomial);
    let sum = 0xffff_ffff;
    for (const byte of bytes) sum = (sum >>> 8) ^ (table[(sum ^ byte) & 0xff] ?? 0);
    return ~sum >>> 0;
  };
}

/** RFC 1950, section 9. */
function adler32(bytes: Uint8Array): number {
  let a = 1;
  let b = 0;
  for (const byte of bytes) {
    a = (a + byte) % 65_521;
    b = (b + a) % 65_521;
  }
  return b * 65_536 + a;
}

/** The internet checksum, RFC 1071: the complement of the sum of big-endian words, carries added. */
function internet(bytes: Uint8Array): number {
  let sum = 0;
  bytes.forEach((byte, index) => (sum += index % 2 === 0 ? byte << 8 : byte));
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 65_536);
  return ~sum & 0xffff;
}

export const CHECKSUMS = {
  /** IEEE 802.3 (PNG, ZIP, gzip). */
  crc32: crc(0xedb8_8320),
  /** Castagnoli (iSCSI, ext4, btrfs). */
  crc32c: crc(0x82f6_3b78),
  adler32,
  internet,
  /** The low 16 bits of the sum of all bytes. */
  sum16: (bytes: Uint8Array): number => bytes.reduce((total, byte) => (total + byte) & 0xffff, 0),
  /** The low 32 bits of the sum of all bytes. */
  sum: (bytes: Uint8Array): number => bytes.reduce((total, byte) => (total + byte) >>> 0, 0),
};
