/** Bytes that every guest writes, behind one another (the sources are in `guests/`). */
export const PATTERN_LENGTH = 0x50000;

/** What the assembly writes, said once more in TypeScript: a ramp, zeros, noise and one byte. */
export function pattern(littleEndian: boolean): Buffer {
  const bytes = Buffer.alloc(PATTERN_LENGTH);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < 0x10000; at += 4) view.setUint32(at, at, littleEndian);
  let noise = 0x12345678;
  for (let at = 0x20000; at < 0x40000; at += 4) {
    noise ^= noise << 13;
    noise ^= noise >>> 17;
    noise ^= noise << 5;
    view.setUint32(at, noise >>> 0, littleEndian);
  }
  bytes.fill(0xa5, 0x40000, 0x50000);
  return bytes;
}
