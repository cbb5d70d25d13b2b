import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { ExtractError } from '../errors.js';
import { HEADER, isElf } from './elf.js';

/** The bytes of a file; of a large one those that were filled in, and zeros elsewhere. */
export interface FileBytes {
  readonly bytes: Uint8Array;
  readonly fill: (from: number, to: number) => void;
}

/** A file of fewer bytes is read at once. */
const SMALL = 1 << 20;

function reading<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const { code = 'EIO' } = cause as NodeJS.ErrnoException;
    throw new ExtractError('EXTRACT_BINARY', `${file} cannot be read (${code})`, { cause });
  }
}

function readRange(file: string, bytes: Uint8Array, from: number, to: number): void {
  reading(file, () => {
    const fd = openSync(file, 'r');
    try {
      for (let at = from; at < to;) {
        const count = readSync(fd, bytes, at, Math.min(to - at, 1 << 30), at);
        if (count === 0) return;
        at += count;
      }
    } finally {
      closeSync(fd);
    }
  });
}

/** Nothing of a pipe, which is read once. */
function sizeOf(file: string): number | undefined {
  const stat = reading(file, () => statSync(file));
  return stat.isFile() ? stat.size : undefined;
}

function memoryFor(file: string, size: number): Uint8Array {
  try {
    return new Uint8Array(size);
  } catch (cause) {
    throw new ExtractError('EXTRACT_BINARY', `${file} has ${size} bytes, for which there is no memory`, { cause });
  }
}

/**
 * Opens a file of which perhaps little is needed: a kernel with its debug information has hundreds of megabytes, and its BTF
 * six. Memory that nothing was read into costs nothing.
 * @throws ExtractError `EXTRACT_BINARY`
 */
export function openBytes(file: string): FileBytes {
  const size = sizeOf(file);
  if (size !== undefined && size > SMALL) {
    const bytes = memoryFor(file, size);
    readRange(file, bytes, 0, HEADER);
    if (isElf(bytes)) {
      return {
        bytes,
        fill: (from, to) => {
          readRange(file, bytes, from, Math.min(to, size));
        },
      };
    }
  }
  return { bytes: reading(file, () => readFileSync(file)), fill: () => undefined };
}
