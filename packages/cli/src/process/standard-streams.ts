import { describeSystemError, systemErrorName } from '@instar/host-files/text';
import { closeSync, openSync } from 'node:fs';
import { isLostReader } from './lost-reader.js';
import type { Program } from '../voice.js';
import { mayBeClosed, type Start } from './start.js';

/** The first failure of each output stream. */
const failures = new Map<NodeJS.WriteStream, Error>();

/** Remembers what happens to the standard streams, so that no failed write is taken for success. */
export function watchStandardStreams(how: Start): void {
  for (const fd of [0, 1, 2]) {
    if (how.closed(fd) !== true) continue;
    // In place of what node has opened: of the wrong direction, so that a use of it fails, and under the same number, so
    // that no file gets it.
    closeSync(fd);
    openSync('/dev/null', fd === 0 ? 'w' : 'r');
  }
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: Error) => {
      if (!failures.has(stream)) failures.set(stream, error);
    });
  }
}

/** Why a standard stream cannot be used, and what helps; undefined where it is open. */
export function whyClosed(start: Start, fd: 0 | 1): string | undefined {
  const closed = start.closed(fd);
  if (closed === false || !(closed === true || mayBeClosed(fd))) return undefined;
  const what = closed === true ? 'is closed' : 'is closed, or /dev/null opened for reading and writing';
  const instead = fd === 0 ? 'nothing can be read; redirect it (< FILE)' : 'no byte would arrive; redirect it (> FILE)';
  return `${what}: ${instead}`;
}

async function flushed(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.writableLength === 0 || stream.destroyed) return;
  await new Promise<void>((resolve) => {
    stream.once('error', () => {
      resolve();
    });
    stream.write('', () => {
      resolve();
    });
  });
}

/** How the standard output streams came through. */
export type StreamsOutcome = 'complete' | 'lost-reader' | 'failed';

/** Waits until all that was printed is written, and says on standard error what could not be. */
export async function finishStandardStreams(program: Program): Promise<StreamsOutcome> {
  await flushed(process.stdout);
  await flushed(process.stderr);
  // An error is told in a later turn of the event loop than the write that it belongs to.
  await new Promise((resolve) => setImmediate(resolve));
  if ([...failures.values()].some(isLostReader)) return 'lost-reader';
  const failure = failures.get(process.stdout);
  if (failure !== undefined && !failures.has(process.stderr)) {
    const name = systemErrorName(failure);
    const why = name === undefined ? failure.message : describeSystemError(name);
    process.stderr.write(`${program}: standard output: cannot be written: ${why}\n`);
  }
  return failures.size > 0 ? 'failed' : 'complete';
}
