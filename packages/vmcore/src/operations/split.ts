import { closeFile, identity, openFile, statFile } from '@instar/host-files';
import { constants } from 'node:fs';
import { VmcoreError } from '../errors.js';
import type { MemoryImage } from '../image.js';
import { check } from '../options/calls.js';
import type { NamedInput } from '../source/byte-source.js';
import type { DumpState } from '../write/dump-state.js';
import { partBounds } from '../write/page-count.js';
import { writePart, type WriteOptions } from '../write/write-dump.js';
import { abortable } from './filter.js';

/** Most parts of a split dump. */
const MAX_PARTS = 64;

async function identityOf(file: string): Promise<string> {
  const fd = await openFile(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return identity(statFile(fd));
  } finally {
    await closeFile(fd);
  }
}

/**
 * Writes a dump as several kdump-compressed files with about as many pages each (makedumpfile --split).
 * @param files names of the parts, 2 to 64
 * @returns the state of each part
 * @throws VmcoreError; parts that were complete stay
 */
export async function splitDump(
  image: MemoryImage,
  files: readonly string[],
  given: Omit<WriteOptions, 'format' | 'part'>,
): Promise<DumpState[]> {
  check.image(image);
  check.files(files);
  const options = check.split(given);
  if (files.length < 2 || files.length > MAX_PARTS || new Set(files).size !== files.length) {
    throw new VmcoreError('INVALID_ARGUMENT', 'a dump cannot be split into so many files', {
      found: `${files.length} names, ${new Set(files).size} of them different`,
      expected: `2 to ${MAX_PARTS} different names`,
    });
  }
  const bounds = await partBounds(abortable(image, options.signal), files.length);
  const time = options.time ?? new Date();
  const states: DumpState[] = [];
  const written: NamedInput[] = [];
  for (const [index, file] of files.entries()) {
    const part = { startPfn: bounds[index] ?? 0n, endPfn: bounds[index + 1] ?? 0n };
    states.push(await writePart(image, file, { ...options, time, format: 'kdump', part }, written));
    written.push({ path: file, identity: await identityOf(file) });
  }
  return states;
}
