import { closeFile } from '@instar/host-files';
import { DEVICE_ROLE, IMAGE_FORMAT, NO_PARENT } from '@instar/shared-abi';
import { read } from 'node:fs';
import { promisify } from 'node:util';
import { EngineError, fileError } from '../errors.js';
import type { GuestDevice } from '../session/context.js';
import { openTemporary, temporaryPlace } from '../temporary.js';

const readAt = promisify(read);

/** Most bytes that one request may leave. */
const MOST_BYTES = 4n << 30n;
/** Bytes that are read at once. */
const PIECE = 1 << 18;

/**
 * Where a guest leaves what has no room in a result, records of one size or bytes of a disk: a file without a name, so that
 * lists have no end and memory is bounded. What one request left, the next overwrites.
 */
export class ScratchFile {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** @throws EngineError where the directory of temporary files cannot be written. */
  static async create(): Promise<ScratchFile> {
    return new ScratchFile(await openTemporary());
  }

  /** Most bytes that it takes. */
  get limit(): bigint {
    return MOST_BYTES;
  }

  /** The device that the guest writes to. */
  get device(): GuestDevice {
    return {
      path: temporaryPlace(),
      entry: {
        role: DEVICE_ROLE.values.OUTPUT,
        format: IMAGE_FORMAT.values.RAW,
        parent: NO_PARENT,
        flags: 0,
        file_size: MOST_BYTES,
        virtual_size: 0n,
        start: 0n,
      },
      options: { fd: this.#fd, access: 'output', size: MOST_BYTES },
    };
  }

  /**
   * The records, in order.
   * @param size bytes of one record
   * @throws EngineError where fewer were written, or they cannot be read back
   */
  async *records(size: number, count: bigint): AsyncGenerator<Uint8Array> {
    const most = Math.max(1, Math.floor(PIECE / size)) * size;
    let position = 0;
    let left = count;
    while (left > 0n) {
      const wanted = left * BigInt(size) < BigInt(most) ? Number(left) * size : most;
      const buffer = await this.bytes(wanted, position);
      for (let at = 0; at < wanted; at += size) yield buffer.subarray(at, at + size);
      position += wanted;
      left -= BigInt(wanted / size);
    }
  }

  /** @throws EngineError where fewer were written, or they cannot be read back */
  async bytes(length: number, position = 0): Promise<Uint8Array<ArrayBuffer>> {
    const buffer = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const bytesRead = await this.#read(buffer.subarray(filled), position + filled);
      if (bytesRead === 0) {
        throw new EngineError('GUEST_FAILED', 'the sandboxed reader left fewer bytes than it counted');
      }
      filled += bytesRead;
    }
    return buffer;
  }

  async #read(into: Uint8Array, position: number): Promise<number> {
    try {
      return (await readAt(this.#fd, into, 0, into.length, position)).bytesRead;
    } catch (error) {
      throw fileError('READ_FAILED', this.device.path, 'cannot be read back', error);
    }
  }

  async close(): Promise<void> {
    await closeFile(this.#fd);
  }
}
