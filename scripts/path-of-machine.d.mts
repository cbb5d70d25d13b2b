/** `PATH` without the programs of packages. */
export function pathOfMachine(path?: string): string;
