import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * Where the first module of an installed package lies, as a URL: as node would find it, without reading its manifest
 * first, which takes as long as many a command works.
 * @param name of a package whose first module is `dist/index.js`
 * @throws Error with node's code `MODULE_NOT_FOUND` where it is not installed
 */
export function urlOfPackage(name: string): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const module = join(folder, 'node_modules', name, 'dist', 'index.js');
    if (existsSync(module)) return pathToFileURL(realpathSync(module)).href;
    // Where packages lie elsewhere, node knows it.
    if (folder === dirname(folder)) return pathToFileURL(createRequire(import.meta.url).resolve(name)).href;
  }
}
