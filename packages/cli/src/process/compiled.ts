import { readFileSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { Script } from 'node:vm';

/**
 * Where what V8 made of a module lies: in a folder of this V8 (with node's own number of its changes to it) and this
 * processor.
 * @param path the module's
 * @param modules where the modules of the program are
 */
export function compiledPath(path: string, modules: string): string {
  return `${modules}/compiled/${process.versions.v8}-${process.arch}/${basename(path, '.cjs')}.bin`;
}

/** The text that V8 gets of a module: what `require` would make of it, so that it has the names a module has. */
export function wrapped(source: string): string {
  return `(function(exports,require,module,__filename,__dirname){${source}\n})`;
}

/** What was compiled of a module when the program was built; none where the module was changed since. */
function compiledBefore(path: string, modules: string): Buffer | undefined {
  const compiled = compiledPath(path, modules);
  try {
    return statSync(compiled).mtimeMs < statSync(path).mtimeMs ? undefined : readFileSync(compiled);
  } catch {
    return undefined;
  }
}

/**
 * Loads a CommonJS module of this program as `require` does, and spares V8 to compile it where that was done when the
 * program was built, by the same V8. With another version, or other flags of V8, it is compiled. It is loaded anew each
 * time, and gets the `require` of the module that asks, so it may name no module by a path that is relative.
 * @param modules where the modules of the program are
 */
export function requireCompiled(path: string, modules: string): unknown {
  const cachedData = compiledBefore(path, modules);
  const load = require;
  if (cachedData === undefined) return load(path);
  const script = new Script(wrapped(readFileSync(path, 'latin1')), { filename: path, cachedData });
  const module = { exports: {} };
  const run = script.runInThisContext() as (...args: readonly unknown[]) => void;
  run.call(module.exports, module.exports, load, module, path, dirname(path));
  return module.exports;
}
