/** Where a dump goes, byte by byte in order: a file, a pipe, a compressor in front of either. */
export interface Appender {
  /** Writes buffers behind what was written; they may be used again when it resolves. @throws VmcoreError `WRITE_FAILED` */
  append(...data: readonly Uint8Array[]): Promise<void>;
  /** Completes the output. */
  finish(): Promise<void>;
  /** Gives the output up; nothing of it stays. */
  abandon(): Promise<void>;
}

/** Where a dump goes, at offsets (bytes). What is not written reads as zeros. */
export interface DumpSink {
  /** Writes a buffer; it may be used again when it resolves. @throws VmcoreError `WRITE_FAILED` */
  write(offset: bigint, data: Uint8Array): Promise<void>;
  /** Completes the output. @param length bytes of the dump */
  finish(length: bigint): Promise<void>;
  /** Gives the output up; nothing of it stays. */
  abandon(): Promise<void>;
}
