import { fileURLToPath } from 'node:url';

/** Path of the guest image that runs the info and convert operations. */
export function convertGuestPath(): string {
  return fileURLToPath(new URL('../guests/convert.img', import.meta.url));
}

/** Path of the program that sets a sandboxed process up before it runs a guest. */
export function sandboxHelperPath(): string {
  return fileURLToPath(new URL('../guests/sandbox-helper', import.meta.url));
}

/**
 * Path of the same program as {@link convertGuestPath} with symbols, line tables and call frame information, for gdb on
 * a dump. Its build id is the one in the dump's VMCOREINFO note.
 */
export function convertGuestSymbolsPath(): string {
  return fileURLToPath(new URL('../guests/convert.elf', import.meta.url));
}
