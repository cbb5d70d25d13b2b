import { closeFile, createNamelessFile, escapeText, HostFileError, reasonOf } from '@instar/host-files';
import { read } from 'node:fs';
import { promisify } from 'node:util';
import { EngineError } from './errors.js';

const readFile = promisify(read);

/** A nameless file for a guest's memory, in the directory of the dump, so that only that must have room for it. */
export class DumpMemory {
  readonly fd: number;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** @throws EngineError `FILE_NOT_USABLE` where the dump could not be written either. */
  static async create(dump: string): Promise<DumpMemory> {
    try {
      return new DumpMemory(await createNamelessFile(dump));
    } catch (error) {
      const cause = error instanceof HostFileError && error.cause !== undefined ? error.cause : error;
      const problem = `the dump cannot be written: ${escapeText(reasonOf(cause))}`;
      throw new EngineError('FILE_NOT_USABLE', problem, { file: dump, cause });
    }
  }

  /** Fills a buffer with guest memory from a guest physical address on. */
  async read(address: bigint, target: Uint8Array): Promise<void> {
    let done = 0;
    while (done < target.length) {
      const { bytesRead } = await readFile(this.fd, target, done, target.length - done, Number(address) + done);
      if (bytesRead === 0) throw new RangeError('the memory of the guest ends too early');
      done += bytesRead;
    }
  }

  async close(): Promise<void> {
    await closeFile(this.fd);
  }
}
