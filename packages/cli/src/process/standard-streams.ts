import { describeSystemError, systemErrorName } from '@instar/host-files/text';
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';
import { isLostReader } from './lost-reader.js';
import type { Program } from '../voice.js';
import { mayBeClosed, type Start } from './start.js';

/** Why a reader of this process must wait: node's own stream can. */
const MUST_WAIT = 'EAGAIN';

/** Major number of /dev/null and its like. */
const MEMORY_DEVICES = 1;

/** Whether a descriptor may be a terminal's, for which it has to be a character device. */
function mayBeTerminal(fd: number): boolean {
  try {
    const status = fstatSync(fd);
    return status.isCharacterDevice() && status.rdev >> 8 !== MEMORY_DEVICES;
  } catch {
    return false;
  }
}

/**
 * A standard stream that is written to. Node's own takes milliseconds to load, and most commands print a few lines: as long as
 * nobody asks for that one, text is written by the system call alone, and waits where that waits, as node's does for files,
 * pipes and terminals.
 */
export class OutputStream {
  #nodes: NodeJS.WriteStream | undefined;
  /** The first failure. */
  #failure: Error | undefined;

  constructor(
    readonly fd: 1 | 2,
    readonly name: 'stdout' | 'stderr',
  ) {}

  /** Sees to it that no failure of node's own stream ends the process, whoever uses that. */
  watch(): void {
    const own = Object.getOwnPropertyDescriptor(process, this.name);
    if (own?.get === undefined) return;
    const get = (): NodeJS.WriteStream => {
      if (this.#nodes !== undefined) return this.#nodes;
      const stream = own.get?.call(process) as NodeJS.WriteStream;
      stream.on('error', (error: Error) => {
        this.#failure ??= error;
      });
      return (this.#nodes = stream);
    };
    Object.defineProperty(process, this.name, { ...own, get });
  }

  /** Node's own stream. From then on it gets all that is written, so that nothing overtakes what waits there. */
  get stream(): NodeJS.WriteStream {
    return process[this.name];
  }

  get isTTY(): boolean {
    if (this.#nodes === undefined && !mayBeTerminal(this.fd)) return false;
    // A pipe has no such property.
    return (this.stream as { readonly isTTY?: boolean }).isTTY ?? false;
  }

  /** Writes a text. A failure is told when the program ends. */
  write(text: string | Uint8Array): void {
    if (this.#nodes !== undefined) {
      this.#nodes.write(text);
      return;
    }
    let rest: Uint8Array = typeof text === 'string' ? Buffer.from(text) : text;
    try {
      while (rest.length > 0 && this.#failure === undefined) rest = rest.subarray(writeSync(this.fd, rest));
    } catch (error) {
      if (systemErrorName(error) === MUST_WAIT) this.stream.write(rest);
      else this.#failure ??= error instanceof Error ? error : new Error(String(error));
    }
  }

  /** Waits until all is written. Tells the first failure, where there was one. */
  async finish(): Promise<Error | undefined> {
    const stream = this.#nodes;
    if (stream === undefined) return this.#failure;
    if (stream.writableLength > 0 && !stream.destroyed) {
      await new Promise<void>((resolve) => {
        stream.once('error', () => {
          resolve();
        });
        stream.write('', () => {
          resolve();
        });
      });
    }
    // An error is told in a later turn of the event loop than the write that it belongs to.
    await new Promise((resolve) => setImmediate(resolve));
    return this.#failure;
  }
}

interface Streams {
  readonly output: OutputStream;
  readonly error: OutputStream;
}

/** The program and its command are bundles with a copy of this module each: what was written by one, the other has to know. */
const SHARED = Symbol.for('instar.standard-streams');
const shared = globalThis as Record<symbol, Streams | undefined>;
const streams = (shared[SHARED] ??= { output: new OutputStream(1, 'stdout'), error: new OutputStream(2, 'stderr') });

export const standardOutput = streams.output;
export const standardError = streams.error;

/** Remembers what happens to the standard streams, so that no failed write is taken for success. */
export function watchStandardStreams(how: Start): void {
  for (const fd of [0, 1, 2]) {
    if (how.closed(fd) !== true) continue;
    // In place of what node has opened: of the wrong direction, so that a use of it fails, and under the same number, so
    // that no file gets it.
    closeSync(fd);
    openSync('/dev/null', fd === 0 ? 'w' : 'r');
  }
  standardOutput.watch();
  standardError.watch();
}

/** Why a standard stream cannot be used, and what helps; undefined where it is open. */
export function whyClosed(start: Start, fd: 0 | 1): string | undefined {
  const closed = start.closed(fd);
  if (closed === false || !(closed === true || mayBeClosed(fd))) return undefined;
  const what = closed === true ? 'is closed' : 'is closed, or /dev/null opened for reading and writing';
  const instead = fd === 0 ? 'nothing can be read; redirect it (< FILE)' : 'no byte would arrive; redirect it (> FILE)';
  return `${what}: ${instead}`;
}

/** How the standard output streams came through. */
export type StreamsOutcome = 'complete' | 'lost-reader' | 'failed';

/** Waits until all that was printed is written, and says on standard error what could not be. */
export async function finishStandardStreams(program: Program): Promise<StreamsOutcome> {
  const failed = await standardOutput.finish();
  const untold = await standardError.finish();
  if (isLostReader(failed) || isLostReader(untold)) return 'lost-reader';
  if (failed !== undefined && untold === undefined) {
    const name = systemErrorName(failed);
    const why = name === undefined ? failed.message : describeSystemError(name);
    standardError.write(`${program}: standard output: cannot be written: ${why}\n`);
  }
  return failed !== undefined || untold !== undefined ? 'failed' : 'complete';
}
