import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The first folder of installed packages, from this module's own on upwards, that has a file of this name; and the file's path. */
function installed(file: string): string | undefined {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const path = `${folder}/node_modules/${file}`;
    if (existsSync(path)) return path;
    if (folder === dirname(folder)) return undefined;
  }
}

/**
 * The first module of an installed package, by its real name, beside which its own packages may lie. Where packages lie elsewhere
 * than beside the program, node knows it.
 */
function firstModule(name: string): string {
  const found = installed(`${name}/dist/index.js`);
  return found === undefined ? require.resolve(name) : realpathSync.native(found);
}

/**
 * Path of a file of an installed package, as node would find it, without reading the package's manifest first, which takes
 * as long as many a command works.
 * @param name of a package whose first module is `dist/index.js`
 * @param file from the folder of its first module on
 * @throws Error with node's code `MODULE_NOT_FOUND` where it is not installed
 */
export function pathInPackage(name: string, file: string): string {
  return join(dirname(firstModule(name)), file);
}

/**
 * Loads a native module as `require` does, with the first of two ways to find it that succeeds: beside the program, which
 * takes less time, then from the package that needs it.
 * @param name of that package
 * @param file the native module, with its own package's name
 * @throws Error of node where it is not installed or cannot be loaded
 */
export function requireNative(name: string, file: string): unknown {
  const path = installed(file);
  if (path === undefined) return createRequire(firstModule(name))(file);
  const known = require.cache[path];
  if (known !== undefined) return known.exports;
  const module = { exports: {} as unknown, loaded: true };
  process.dlopen(module, path);
  // Parts of the program that are loaded one after the other share what it has.
  require.cache[path] = module as NodeJS.Module;
  return module.exports;
}
