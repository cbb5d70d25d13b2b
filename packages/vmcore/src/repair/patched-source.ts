import type { ByteSource } from '../source/byte-source.js';

/** Bytes that are read in place of those that the file has. */
export interface Patch {
  /** Byte offset in the file. */
  readonly start: bigint;
  /** Bytes. */
  readonly length: bigint;
  /**
   * Changes what was read.
   * @param at offset of the first byte of `target` within the patch
   */
  apply(at: bigint, target: Uint8Array): void | Promise<void>;
}

/** Some bytes in place of others. */
export function bytesPatch(start: bigint, bytes: Uint8Array): Patch {
  return {
    start,
    length: BigInt(bytes.length),
    apply(at, target) {
      target.set(bytes.subarray(Number(at), Number(at) + target.length));
    },
  };
}

/** A source with patches over it; later ones are over earlier ones. Nothing is written to the source. */
export function patchedSource(source: ByteSource, patches: readonly Patch[]): ByteSource {
  return {
    name: source.name,
    size: source.size,
    identity: source.identity,
    cutOff: source.cutOff,
    async read(offset, target) {
      const read = await source.read(offset, target);
      const end = offset + BigInt(read);
      for (const patch of patches) {
        const from = patch.start > offset ? patch.start : offset;
        const until = patch.start + patch.length < end ? patch.start + patch.length : end;
        if (from >= until) continue;
        await patch.apply(from - patch.start, target.subarray(Number(from - offset), Number(until - offset)));
      }
      return read;
    },
    close: async () => source.close(),
  };
}
