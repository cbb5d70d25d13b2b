/** How far a dump is: QEMU's DumpStatus. */
export type DumpStatus = 'none' | 'active' | 'completed' | 'failed';

/** What is known of a dump while it is written (QEMU, qapi/dump.json "DumpQueryResult"). */
export interface DumpState {
  readonly status: DumpStatus;
  /** Whether the caller did not wait for it. */
  readonly detached: boolean;
  /** Whether only a part of memory is written: `begin` and `length` (physical address, bytes). */
  readonly hasFilter: boolean;
  readonly begin: bigint;
  readonly length: bigint;
  /** Bytes of memory that there are to write. */
  readonly totalSize: bigint;
  /** Bytes of memory that are written. */
  readonly writtenSize: bigint;
}

/** Counts what is written, and tells when to stop. */
export interface WriteProgress {
  readonly signal: AbortSignal | undefined;
  /** @param bytes memory that there is to write */
  total(bytes: bigint): void;
  /** @param bytes memory that was written since the last call */
  wrote(bytes: bigint): void;
}
