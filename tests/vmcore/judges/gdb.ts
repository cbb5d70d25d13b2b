import { fileURLToPath } from 'node:url';

import { type Reading, type Wanted, answered, limited, question } from './reading.js';

const SCRIPT = fileURLToPath(new URL('read-with-gdb.py', import.meta.url));

/**
 * What gdb reads from an ELF vmcore. It reads virtual memory, that is at p_vaddr: where that is the physical address, the
 * two are the same.
 * @param multiarch for a machine other than this
 * @param registers names of registers to ask for
 */
export function readWithGdb(
  file: string,
  wanted: readonly Wanted[],
  registers: readonly string[],
  multiarch: boolean,
): Reading {
  const words = [multiarch ? 'gdb-multiarch' : 'gdb', '-nx', '-batch', '-core', file, '-x', SCRIPT];
  return answered('gdb', limited(words, question(file, wanted, registers)));
}
