import { fileURLToPath } from 'node:url';

import { SYSTEM_PYTHON } from '../tools.js';
import { type Reading, type Wanted, answered, limited, question } from './reading.js';

const SCRIPT = fileURLToPath(new URL('read-with-kdumpfile.py', import.meta.url));

/**
 * What libkdumpfile reads. It knows the machine of a kdump-compressed file only by a utsname with sysname "Linux" and
 * with release, version and machine (util.c, uts_looks_sane), and shows registers only of a machine that it knows.
 */
export function readWithKdumpfile(file: string, wanted: readonly Wanted[], registers: readonly string[]): Reading {
  return answered('libkdumpfile', limited([SYSTEM_PYTHON, SCRIPT], question(file, wanted, registers)));
}
