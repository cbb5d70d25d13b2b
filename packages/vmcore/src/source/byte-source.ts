import { check } from '../options/calls.js';
import { VmcoreError } from '../errors.js';

/** Bytes at offsets: a file, a piece of memory, or a flattened stream seen as the file that it stands for. */
export interface ByteSource {
  /** What messages call it: a file name. */
  readonly name: string;
  /** Bytes. */
  readonly size: bigint;
  /** The same for all names of one file; left out where it is none. */
  readonly identity?: string | undefined;
  /** Where a flattened stream ends before its end mark (bytes of the stream): what is not there then reads as zeros. */
  readonly cutOff?: bigint | undefined;
  /**
   * Reads bytes at an offset; fewer than asked for only at the end. Reads may overlap in time.
   * @throws VmcoreError `READ_FAILED`, `BAD_DUMP`
   */
  read(offset: bigint, target: Uint8Array): Promise<number>;
  /**
   * The first byte from an offset on that may be other than zero; undefined when all that follow are zeros. Sources that
   * do not know leave it out. What lies between need not be read.
   */
  readonly nextData?: (offset: bigint) => bigint | undefined;
  /**
   * Reads some bytes at once, while everything else waits: for many tiny reads that depend on each other. Sources that
   * cannot leave it out.
   * @returns bytes read
   */
  readonly readNow?: (offset: bigint, target: Uint8Array) => number;
  close(): Promise<void>;
}

/** A file that is read, with what all its names have in common. */
export interface NamedInput {
  readonly path: string;
  readonly identity: string;
}

/** Offsets beyond this are not exact as numbers; no file that exists is as large (8 PiB). */
export const MAX_OFFSET = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * Checks that a range lies inside a source, before anything is allocated for it.
 * @throws VmcoreError `TRUNCATED`
 */
export function checkRange(source: ByteSource, offset: bigint, length: bigint, field: string): void {
  if (offset >= 0n && length >= 0n && offset <= source.size && length <= source.size - offset) return;
  throw new VmcoreError('TRUNCATED', 'the file ends before this', {
    file: source.name,
    field,
    offset,
    found: `a file of ${source.size} bytes`,
    expected: `${length} bytes here`,
  });
}

/**
 * Fills a buffer.
 * @throws VmcoreError `TRUNCATED` when the source ends before it is full.
 */
export async function fillFrom(
  source: ByteSource,
  offset: bigint,
  target: Uint8Array,
  field: string,
): Promise<Uint8Array> {
  checkRange(source, offset, BigInt(target.length), field);
  const read = await source.read(offset, target);
  if (read < target.length) {
    throw new VmcoreError('TRUNCATED', 'the file has become shorter', { file: source.name, field, offset });
  }
  return target;
}

/** Reads bytes into a buffer of their own. @throws VmcoreError `TRUNCATED` */
export async function bytesAt(
  source: ByteSource,
  offset: bigint,
  length: number,
  field: string,
): Promise<Uint8Array<ArrayBuffer>> {
  checkRange(source, offset, BigInt(length), field);
  const target = new Uint8Array(length);
  await fillFrom(source, offset, target, field);
  return target;
}

/** Bytes that are in memory already. */
export function memorySource(bytes: Uint8Array, name = 'memory'): ByteSource {
  check.bytes(bytes);
  return {
    name,
    size: BigInt(bytes.length),
    async read(offset, target) {
      if (offset >= BigInt(bytes.length)) return 0;
      const part = bytes.subarray(Number(offset), Number(offset) + target.length);
      target.set(part);
      return Promise.resolve(part.length);
    },
    async close() {
      return Promise.resolve();
    },
  };
}
