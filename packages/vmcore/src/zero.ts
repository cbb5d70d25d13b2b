const ZEROS = Buffer.alloc(1 << 16);

/** Whether all bytes are zero. */
export function isZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const part = bytes.subarray(at, at + ZEROS.length);
    if (part[0] !== 0 || part[part.length - 1] !== 0) return false;
    if (ZEROS.compare(part, 0, part.length, 0, part.length) !== 0) return false;
  }
  return true;
}

/** Runs of blocks that are not all zeros, as offsets and lengths (bytes). */
export function* nonZeroRuns(bytes: Uint8Array, block: number): Generator<readonly [number, number]> {
  let start = -1;
  for (let at = 0; at < bytes.length; at += block) {
    const zero = isZero(bytes.subarray(at, at + block));
    if (!zero && start < 0) start = at;
    if (zero && start >= 0) {
      yield [start, at - start];
      start = -1;
    }
  }
  if (start >= 0) yield [start, bytes.length - start];
}
