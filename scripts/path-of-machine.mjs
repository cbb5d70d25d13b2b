import { delimiter, sep } from 'node:path';

const PROGRAMS_OF_PACKAGES = `node_modules${sep}.bin`;

/**
 * `PATH` without the programs of packages: npm puts them in front, and one of this workspace is called `qemu-img`, which
 * must not be taken for the one that tests and benchmarks compare with.
 *
 * @param {string | undefined} path
 * @returns {string}
 */
export function pathOfMachine(path = '') {
  return path
    .split(delimiter)
    .filter((directory) => !directory.endsWith(PROGRAMS_OF_PACKAGES))
    .join(delimiter);
}
