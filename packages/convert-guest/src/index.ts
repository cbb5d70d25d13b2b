import { fileURLToPath } from 'node:url';

/** Path of the guest image that runs the info and convert operations. */
export function convertGuestPath(): string {
  return fileURLToPath(new URL('../guests/convert.img', import.meta.url));
}

/** Path of the program that sets a sandboxed process up before it runs a guest. */
export function sandboxHelperPath(): string {
  return fileURLToPath(new URL('../guests/sandbox-helper', import.meta.url));
}
