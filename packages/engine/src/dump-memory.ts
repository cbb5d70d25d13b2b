import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import path from 'node:path';
import { EngineError, describeSystemError, systemErrorName } from './errors.js';

const ATTEMPTS = 100;
const OWNER_ONLY = 0o600;

/** A nameless file for a guest's memory, in the directory of the dump, so that only that must have room for it. */
export class DumpMemory {
  readonly #handle: fs.FileHandle;

  private constructor(handle: fs.FileHandle) {
    this.#handle = handle;
  }

  /** @throws EngineError `FILE_NOT_USABLE` where the dump could not be written either. */
  static async create(dump: string): Promise<DumpMemory> {
    for (let attempt = 0; ; attempt += 1) {
      const name = path.join(path.dirname(dump), `.instar-memory-${process.pid}-${attempt}`);
      try {
        const handle = await fs.open(name, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, OWNER_ONLY);
        await fs.unlink(name);
        return new DumpMemory(handle);
      } catch (error) {
        const code = systemErrorName(error);
        if (code === 'EEXIST' && attempt < ATTEMPTS) continue;
        const why = code === undefined ? String(error) : describeSystemError(code);
        throw new EngineError('FILE_NOT_USABLE', `the dump cannot be written: ${why}`, { file: dump, cause: error });
      }
    }
  }

  get fd(): number {
    return this.#handle.fd;
  }

  /** Fills a buffer with guest memory from a guest physical address on. */
  async read(address: bigint, target: Uint8Array): Promise<void> {
    let done = 0;
    while (done < target.length) {
      const { bytesRead } = await this.#handle.read(target, done, target.length - done, Number(address) + done);
      if (bytesRead === 0) throw new RangeError('the memory of the guest ends too early');
      done += bytesRead;
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}
