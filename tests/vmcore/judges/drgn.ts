import { fileURLToPath } from 'node:url';

import { SYSTEM_PYTHON } from '../tools.js';
import { type Reading, type Wanted, answered, limited, question } from './reading.js';

const SCRIPT = fileURLToPath(new URL('read-with-drgn.py', import.meta.url));

/**
 * What drgn reads. With VMCOREINFO it takes the dump for a Linux kernel's: it reads physical memory, but finds threads
 * only with the kernel's debugging information. Without, it reads at p_vaddr and finds the threads of the notes; then it
 * takes ELF files only.
 */
export function readWithDrgn(file: string, wanted: readonly Wanted[], registers: readonly string[]): Reading {
  return answered('drgn', limited([SYSTEM_PYTHON, SCRIPT], question(file, wanted, registers)));
}
