/** Bytes that are not in a file of this machine, read by ranges. */
export interface RangeSource {
  /** Its name for messages: without anything secret. */
  readonly name: string;
  /** Bytes. */
  readonly size: bigint;
  /** The same for all names of one object. */
  readonly identity: string;
  /** What each range is compared with. */
  readonly version: RemoteVersion;
  /**
   * Exactly `length` bytes from `offset` on, of what was opened.
   * @throws EngineError `READ_FAILED`, `REMOTE_CHANGED`, `REMOTE_REFUSED`, `ABORTED`
   */
  read(offset: bigint, length: number): Promise<Uint8Array>;
  /** Ends what is under way, and closes connections. */
  close(): void;
}

/** How inputs and outputs that are no files are reached. Its presence alone allows them. */
export interface RemoteAccess {
  /**
   * Hosts besides the one that was named to which a redirect may lead: `host`, `host:port` or `*.domain`. What is named
   * without a star may have an address of a private network.
   */
  readonly allowedHosts?: readonly string[] | undefined;
  /** Read from `http://` of other machines as well, which anyone on the way can read and change (default false). */
  readonly allowInsecure?: boolean | undefined;
  /** Value of the header Authorization for the host that was named; it goes to no other, and into no message. */
  readonly authorization?: string | undefined;
  /** Most bytes that are kept of one input (default 32 MiB). */
  readonly cacheBytes?: number | undefined;
  /** How often a range is asked for before it has failed (default 5). */
  readonly attempts?: number | undefined;
  /** Longest time without a byte of an answer (ms, default 30000). */
  readonly stallMs?: number | undefined;
  /**
   * By the name of an input: which bytes it must lead to, as {@link RemoteVersion} of an image that was opened earlier, maybe elsewhere.
   * What leads to others by now is refused (`REMOTE_CHANGED`); of an object that has versions, that one is read.
   */
  readonly expected?: Readonly<Record<string, RemoteVersion>> | undefined;
}

/** Which bytes a name led to, as its server tells. */
export interface RemoteVersion {
  /** Bytes. */
  readonly size: bigint;
  readonly etag?: string | undefined;
  /** Last-Modified, as the server writes it. */
  readonly modified?: string | undefined;
  /** Of an object in a bucket that keeps several. */
  readonly versionId?: string | undefined;
}

/** Longest time without a byte of an answer, where the caller names none (ms). */
export const DEFAULT_STALL_MS = 30_000;
/** Bytes a second that are waited for at least. */
export const LEAST_PACE = 8192;
