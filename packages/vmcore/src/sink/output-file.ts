import { close, constants, ftruncate, open, rename, stat, unlink, unlinkSync, write, writev } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { VmcoreError } from '../errors.js';
import { systemErrorText } from '../system-error.js';
import type { Appender, DumpSink } from './dump-sink.js';

const closeFile = promisify(close);
const openFile = promisify(open);
const renameFile = promisify(rename);
const statFile = promisify(stat);
const truncateFile = promisify(ftruncate);
const unlinkFile = promisify(unlink);
const writeFile = promisify(write);
const writeVector = promisify(writev);

/** A dump holds what was in memory: nobody else may read it. */
const MODE = 0o600;
const ATTEMPTS = 100;

const active = new Set<string>();

function removeActive(): void {
  for (const file of active) {
    try {
      unlinkSync(file);
    } catch {
      // It is gone; the process ends either way.
    }
  }
}

function failed(file: string, what: string, cause: unknown): VmcoreError {
  if (cause instanceof VmcoreError) return cause;
  return new VmcoreError('WRITE_FAILED', `${what}: ${systemErrorText(cause)}`, { file, cause });
}

async function checkTarget(file: string): Promise<void> {
  const found = await statFile(file).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw failed(file, 'cannot be created', error);
  });
  if (found === undefined || found.isFile()) return;
  throw new VmcoreError('WRITE_FAILED', 'is no regular file and is not replaced', { file });
}

async function createBeside(file: string): Promise<{ fd: number; temporary: string }> {
  // NAME_MAX is 255 bytes: a long name gives way to what makes the temporary one unique.
  const name = Buffer.from(path.basename(file))
    .subarray(0, 200)
    .toString('latin1')
    .replaceAll(/[^\x20-\x7e]/g, '_');
  for (let attempt = 0; ; attempt += 1) {
    const temporary = path.join(path.dirname(file), `.${name}.instar-${process.pid}-${attempt}.tmp`);
    try {
      const fd = await openFile(temporary, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, MODE);
      return { fd, temporary };
    } catch (error) {
      const taken = error instanceof Error && 'code' in error && error.code === 'EEXIST';
      if (!taken || attempt === ATTEMPTS) throw failed(file, 'cannot be created', error);
    }
  }
}

/** A file that is written beside its name, with mode 0600, and renamed over it when it is complete. */
export class OutputFile implements DumpSink, Appender {
  readonly #file: string;
  readonly #fd: number;
  readonly #temporary: string;
  #position = 0n;
  #open = true;

  private constructor(file: string, fd: number, temporary: string) {
    this.#file = file;
    this.#fd = fd;
    this.#temporary = temporary;
    if (active.size === 0) process.once('exit', removeActive);
    active.add(temporary);
  }

  /** @throws VmcoreError `WRITE_FAILED` */
  static async create(file: string): Promise<OutputFile> {
    await checkTarget(file);
    const { fd, temporary } = await createBeside(file);
    return new OutputFile(file, fd, temporary);
  }

  async write(offset: bigint, data: Uint8Array): Promise<void> {
    let done = 0;
    try {
      while (done < data.length) {
        const position = Number(offset) + done;
        done += (await writeFile(this.#fd, data, done, data.length - done, position)).bytesWritten;
      }
    } catch (error) {
      throw failed(this.#file, 'cannot be written', error);
    }
  }

  /** Writes buffers one behind the other. @throws VmcoreError `WRITE_FAILED` */
  async writeAll(offset: bigint, buffers: readonly Uint8Array[]): Promise<void> {
    const [only] = buffers;
    if (buffers.length === 1 && only !== undefined) {
      await this.write(offset, only);
      return;
    }
    const length = buffers.reduce((sum, bytes) => sum + bytes.length, 0);
    let written: number;
    try {
      written = (await writeVector(this.#fd, buffers, Number(offset))).bytesWritten;
    } catch (error) {
      throw failed(this.#file, 'cannot be written', error);
    }
    // A full disk takes a part and tells why with the rest.
    if (written < length) await this.write(offset + BigInt(written), Buffer.concat(buffers).subarray(written));
  }

  async append(...data: readonly Uint8Array[]): Promise<void> {
    for (const bytes of data) {
      await this.write(this.#position, bytes);
      this.#position += BigInt(bytes.length);
    }
  }

  async finish(length = this.#position): Promise<void> {
    try {
      await truncateFile(this.#fd, Number(length));
      await renameFile(this.#temporary, this.#file);
    } catch (error) {
      throw failed(this.#file, 'cannot be completed', error);
    }
    this.#release();
    await closeFile(this.#fd);
  }

  async abandon(): Promise<void> {
    if (!this.#open) return;
    await unlinkFile(this.#temporary).catch(() => undefined);
    this.#release();
    await closeFile(this.#fd);
  }

  #release(): void {
    this.#open = false;
    active.delete(this.#temporary);
    if (active.size === 0) process.off('exit', removeActive);
  }
}
