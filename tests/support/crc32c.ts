/** CRC-32C (RFC 3720, B.4). */
export function crc32c(bytes: Buffer): number {
  let sum = 0xffff_ffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0x82f6_3b78 : 0);
  }
  return (sum ^ 0xffff_ffff) >>> 0;
}
