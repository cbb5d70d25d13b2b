import type { MemoryImage } from '../image.js';

/** A pointer or a long of a machine, in bytes that were read. */
export function wordAt(
  bytes: Uint8Array,
  at: number,
  { wordBits, byteOrder }: Pick<MemoryImage, 'wordBits' | 'byteOrder'>,
): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = byteOrder === 'little';
  return wordBits === 64 ? view.getBigUint64(at, little) : BigInt(view.getUint32(at, little));
}
