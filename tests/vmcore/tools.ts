import type { Judge } from '../support/judge.js';

/** Debian's modules for Python are not seen by another Python that comes first on PATH. */
export const SYSTEM_PYTHON = '/usr/bin/python3';

export const GDB: Judge = { program: 'gdb', probe: ['--version'], package: 'gdb' };
export const GDB_MULTIARCH: Judge = { program: 'gdb-multiarch', probe: ['--version'], package: 'gdb-multiarch' };
export const READELF: Judge = { program: 'readelf', probe: ['--version'], package: 'binutils' };
export const FILE: Judge = { program: 'file', probe: ['--version'], package: 'file' };
export const CRASH: Judge = { program: 'crash', probe: ['--version'], package: 'crash' };
export const MAKEDUMPFILE: Judge = { program: 'makedumpfile', probe: ['-v'], package: 'makedumpfile' };
export const LIBKDUMPFILE: Judge = {
  program: SYSTEM_PYTHON,
  probe: ['-c', 'import kdumpfile; print("libkdumpfile")'],
  package: 'python3-libkdumpfile',
};
export const DRGN: Judge = {
  program: SYSTEM_PYTHON,
  probe: ['-c', 'import drgn; print(drgn.__version__)'],
  package: 'python3-drgn',
};
export const VMCORE_DMESG: Judge = { program: 'sh', probe: ['-c', 'command -v vmcore-dmesg'], package: 'kexec-tools' };
export const QEMU_X86_64: Judge = { program: 'qemu-system-x86_64', probe: ['--version'], package: 'qemu-system-x86' };
