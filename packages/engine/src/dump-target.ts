/** Where a dump of the sandbox's guest goes, and how it is written. It holds data of the images. */
export interface DumpTarget {
  /** Written beside this name with mode 0600, and renamed when complete. One that ends in `.zst` is a zstd stream. */
  readonly path: string;
  /** `elf` (default) is for gdb, too; `kdump` compresses its pages. */
  readonly format?: 'elf' | 'kdump' | undefined;
}

/** A dump that was written. */
export interface WrittenDump {
  readonly path: string;
  /** `request`, `panic`, or how the guest ended. */
  readonly reason: string;
  /** Bytes of the file before zstd. */
  readonly bytes: bigint;
  /** What is missing in it, and why. */
  readonly warning?: string | undefined;
}
