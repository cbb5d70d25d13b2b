import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { builtinModules } from 'node:module';
import type { Plugin } from 'esbuild';

const LOCATED = fileURLToPath(new URL('../src/process/located.ts', import.meta.url));

/** Packages that find files beside their modules, which are not where the program's are. */
export const locatedPackages: Plugin = {
  name: 'located-packages',
  setup(build) {
    build.onLoad({ filter: /\/(?:convert-guest|vmm-native)\/dist\/index\.js$/ }, async ({ path }) => {
      const name = path.split('/').at(-3);
      const text = await readFile(path, 'utf8');
      const own = `'@instar/${name}', `;
      const here = text
        .replace(/fileURLToPath\(new URL\(("[^"]+"), import\.meta\.url\)\)/g, `pathInPackage(${own}$1)`)
        .replace(/\bcreateRequire\(import\.meta\.url\)/g, `(file) => requireNative(${own}file)`);
      if (here.includes('import.meta.url')) throw new Error(`${path} finds files in a way that is not known here`);
      const found = `import { pathInPackage, requireNative } from ${JSON.stringify(LOCATED)};`;
      return { contents: `${found}\n${here}`, loader: 'js' };
    });
  },
};

/** Commander starts subcommands as programs of their own where one asks for that; no command here does. */
export const withoutChildProcess: Plugin = {
  name: 'without-child-process',
  setup(build) {
    build.onResolve({ filter: /^(?:node:)?child_process$/ }, ({ importer }) =>
      importer.includes('/commander/') ? { path: 'child_process', namespace: 'absent' } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: 'absent' }, () => ({ contents: 'module.exports = {};', loader: 'js' }));
  },
};

/** Functions of node's own modules that few command lines need, by module. */
const LATE: Readonly<Record<string, readonly string[]>> = {
  crypto: ['createCipheriv', 'createHash', 'createHmac', 'pbkdf2', 'pbkdf2Sync', 'randomBytes', 'randomUUID'],
  'fs/promises': [
    'copyFile',
    'lstat',
    'mkdtemp',
    'open',
    'readFile',
    'readdir',
    'realpath',
    'rename',
    'rm',
    'stat',
    'unlink',
  ],
  module: ['createRequire'],
  'timers/promises': ['setTimeout'],
};

/** The same of a class of node's that the API has functions for. */
const LATE_CLASSES: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  stream: { Readable: ['from', 'toWeb'] },
};

/** Loads modules of node that take milliseconds to load when a function of theirs is called, and not when a program starts. */
export const lateModules: Plugin = {
  name: 'late-modules',
  setup(build) {
    const names = Object.keys(LATE).join('|');
    build.onResolve({ filter: new RegExp(`^(?:node:)?(?:${names})$`), namespace: 'file' }, ({ path }) => ({
      path: path.replace(/^node:/, ''),
      namespace: 'late',
      sideEffects: false,
    }));
    build.onResolve({ filter: /^(?:node:)?stream$/, namespace: 'file' }, ({ path, importer }) =>
      importer.includes('/engine/src/')
        ? { path: path.replace(/^node:/, ''), namespace: 'late-class', sideEffects: false }
        : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: 'late-class' }, ({ path }) => ({
      contents: Object.entries(LATE_CLASSES[path] ?? {})
        .map(([name, functions]) => {
          const late = functions.map(
            (own) => `${own}(...args) { return require('node:${path}').${name}.${own}(...args); }`,
          );
          return `export const ${name} = {${late.join(',')}};`;
        })
        .join('\n'),
      loader: 'js',
    }));
    build.onLoad({ filter: /.*/, namespace: 'late' }, ({ path }) => ({
      contents: (LATE[path] ?? [])
        .map((name) => `export function ${name}(...args) { return require('node:${path}').${name}(...args); }`)
        .join('\n'),
      loader: 'js',
    }));
  },
};

/** Loads none of node's own modules that nothing is left of in a bundle. */
export const unusedModules: Plugin = {
  name: 'unused-modules',
  setup(build) {
    const names = builtinModules.join('|');
    build.onResolve({ filter: new RegExp(`^(?:node:)?(?:${names})$`), namespace: 'file' }, ({ path }) => ({
      path: path.replace(/^node:/, ''),
      external: true,
      sideEffects: false,
    }));
  },
};

/** Where the modules of a package's subpaths are, apart from those that have the names of these. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  'engine/prepare': 'session/ahead',
  'shared-abi/releases': 'versions/releases',
};

/**
 * Takes packages of this workspace from their sources: of a package that was bundled before, modules of which a program uses
 * nothing cannot be told from others.
 */
export const fromSources: Plugin = {
  name: 'from-sources',
  setup(build) {
    build.onResolve({ filter: /^@instar\/(?:engine|host-files|layout|operands|shared-abi)(?:\/|$)/ }, ({ path }) => {
      const [, name = '', part = 'index'] = path.split('/');
      const module = OTHER_NAMES[`${name}/${part}`] ?? part;
      const files = [`${module}.ts`, `${module}/index.ts`].map((file) =>
        fileURLToPath(new URL(`../../${name}/src/${file}`, import.meta.url)),
      );
      const found = files.find((file) => existsSync(file));
      return found === undefined ? undefined : { path: found, sideEffects: false };
    });
  },
};
