import { closeFile, createNamelessFile } from '@instar/host-files';
import { DEVICE_ROLE, IMAGE_FORMAT, NO_PARENT } from '@instar/shared-abi';
import { read } from 'node:fs';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import { withEngineErrors } from '../errors.js';
import type { GuestDevice } from '../guest.js';

const readAt = promisify(read);

/** Most bytes of records that one operation may leave. */
const MOST_BYTES = 4n << 30n;
/** Bytes that are read at once. */
const PIECE = 1 << 18;

/** Where a guest leaves records of one size: a file without a name, so that lists have no end and memory is bounded. */
export class RecordFile {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** @throws EngineError where the directory of temporary files cannot be written. */
  static async create(): Promise<RecordFile> {
    return new RecordFile(await withEngineErrors(() => createNamelessFile(`${tmpdir()}/instar-records`)));
  }

  /** Most bytes that it takes. */
  get limit(): bigint {
    return MOST_BYTES;
  }

  /** The device that the guest writes to. */
  get device(): GuestDevice {
    return {
      path: 'records',
      entry: {
        role: DEVICE_ROLE.values.OUTPUT,
        format: IMAGE_FORMAT.values.RAW,
        parent: NO_PARENT,
        flags: 0,
        file_size: MOST_BYTES,
        virtual_size: 0n,
        start: 0n,
      },
      options: { fd: this.#fd, access: 'output', size: MOST_BYTES, fresh: true },
    };
  }

  /**
   * The records, in order.
   * @param size bytes of one record
   * @throws RangeError where fewer were written
   */
  async *records(size: number, count: bigint): AsyncGenerator<Uint8Array> {
    const buffer = new Uint8Array(Math.max(1, Math.floor(PIECE / size)) * size);
    let position = 0;
    let left = count;
    while (left > 0n) {
      const wanted = left * BigInt(size) < BigInt(buffer.length) ? Number(left) * size : buffer.length;
      let filled = 0;
      while (filled < wanted) {
        const { bytesRead } = await readAt(this.#fd, buffer, filled, wanted - filled, position + filled);
        if (bytesRead === 0) throw new RangeError('there are fewer records than were counted');
        filled += bytesRead;
      }
      for (let at = 0; at < wanted; at += size) yield buffer.subarray(at, at + size);
      position += wanted;
      left -= BigInt(wanted / size);
    }
  }

  async close(): Promise<void> {
    await closeFile(this.#fd);
  }
}
