import { createOutput, HostFileError, type OutputFile as HostOutput } from '@instar/host-files';
import { write, writev } from 'node:fs';
import { promisify } from 'node:util';
import { VmcoreError } from '../errors.js';
import type { NamedInput } from '../source/byte-source.js';
import { systemErrorText } from '../system-error.js';
import type { Appender, DumpSink } from './dump-sink.js';

const writeFile = promisify(write);
const writeVector = promisify(writev);

/** What an output has to know besides its name. */
export interface OutputFileOptions {
  /** Files that are read: none of them may be the output. */
  readonly inputs: readonly NamedInput[];
  /** Called with sentences that a user should see. */
  readonly onWarning?: ((warning: string) => void) | undefined;
}

function failed(file: string, what: string, cause: unknown): VmcoreError {
  if (cause instanceof VmcoreError) return cause;
  if (cause instanceof HostFileError) {
    const code = cause.code === 'SAME_FILE' ? 'SAME_FILE' : 'WRITE_FAILED';
    return new VmcoreError(code, cause.problem, { file, cause: cause.cause ?? cause });
  }
  return new VmcoreError('WRITE_FAILED', `${what}: ${systemErrorText(cause)}`, { file, cause });
}

/**
 * A file that is written beside its name, with mode 0600, and takes the name when it is complete: a dump holds what was in
 * memory, so that nobody else may read it.
 */
export class OutputFile implements DumpSink, Appender {
  readonly #file: string;
  readonly #output: HostOutput;
  #position = 0n;

  private constructor(file: string, output: HostOutput) {
    this.#file = file;
    this.#output = output;
  }

  /** @throws VmcoreError `WRITE_FAILED`, `SAME_FILE` when it is one of the inputs */
  static async create(file: string, { inputs, onWarning }: OutputFileOptions): Promise<OutputFile> {
    try {
      const output = await createOutput({
        path: file,
        limit: 0n,
        sparse: true,
        noClobber: false,
        forceShare: true,
        force: false,
        ownerOnly: true,
        filesOnly: true,
        visible: true,
        inputs,
        onWarning,
      });
      return new OutputFile(file, output);
    } catch (error) {
      throw failed(file, 'cannot be created', error);
    }
  }

  async write(offset: bigint, data: Uint8Array): Promise<void> {
    let done = 0;
    try {
      while (done < data.length) {
        const position = Number(offset) + done;
        done += (await writeFile(this.#output.fd, data, done, data.length - done, position)).bytesWritten;
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
      written = (await writeVector(this.#output.fd, buffers, Number(offset))).bytesWritten;
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
      await this.#output.finish(length);
    } catch (error) {
      throw failed(this.#file, 'cannot be completed', error);
    }
  }

  async abandon(): Promise<void> {
    await this.#output.abandon().catch(() => undefined);
  }
}
