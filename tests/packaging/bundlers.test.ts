// docs/bundlers.md, followed: the packages stay outside of a bundle, and what traces files for a deployment finds all of them.
import { mkdirSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build as buildByEsbuild } from 'esbuild';
import { nodeFileTrace } from '@vercel/nft';
import { build as buildByVite } from 'vite';
import { beforeEach, describe, expect, it } from 'vitest';
import webpack from 'webpack';
import { program, ROOT } from '../support/command.js';
import { workdir, type Workdir } from '../support/workdir.js';

const PROGRAM = `import { inspect } from '@instar/engine';
const { verdict, description } = await inspect('disk.raw');
console.log(verdict.safe, description.format, String(description.virtualSize));
`;
const PRINTED = 'true raw 4096\n';

describe('a program that uses the engine', () => {
  let directory: Workdir;

  beforeEach(() => {
    directory = workdir().write('main.mjs', PROGRAM).write('disk.raw', Buffer.alloc(4096, 1));
    mkdirSync(directory.file('out'));
    symlinkSync(join(ROOT, 'node_modules'), directory.file('node_modules'));
  });

  function printed(file: string): string {
    return program(process.execPath, file).in(directory).must().stdout;
  }

  it('runs when it is bundled by esbuild', async () => {
    await buildByEsbuild({
      entryPoints: [directory.file('main.mjs')],
      outfile: directory.file('out/main.mjs'),
      bundle: true,
      platform: 'node',
      format: 'esm',
      external: ['@instar/*'],
    });
    expect(printed('out/main.mjs')).toBe(PRINTED);
  });

  it('runs when it is bundled by webpack', async () => {
    await new Promise<void>((resolve, reject) => {
      webpack(
        {
          mode: 'production',
          context: directory.path,
          entry: directory.file('main.mjs'),
          target: 'node',
          experiments: { outputModule: true },
          output: { path: directory.file('out'), filename: 'main.mjs', module: true, library: { type: 'module' } },
          externalsType: 'module',
          externals: [/^@instar\//],
        },
        (error, stats) => {
          const problem = error ?? (stats?.hasErrors() === true ? new Error(stats.toString()) : undefined);
          if (!problem) resolve();
          else reject(problem);
        },
      );
    });
    expect(printed('out/main.mjs')).toBe(PRINTED);
  });

  it('runs when it is bundled by Vite for a server', async () => {
    await buildByVite({
      root: directory.path,
      configFile: false,
      logLevel: 'error',
      ssr: { external: ['@instar/engine'] },
      build: { ssr: directory.file('main.mjs'), outDir: directory.file('out'), emptyOutDir: false },
    });
    expect(printed('out/main.mjs')).toBe(PRINTED);
  });

  it('has all of its files found by @vercel/nft', async () => {
    const { fileList } = await nodeFileTrace([join(ROOT, 'packages/engine/dist/index.js')], { base: ROOT });
    const found = [...fileList].map((file) => relative('packages', file));
    expect(found).toEqual(
      expect.arrayContaining([
        'vmm-native/npm/linux-x64-gnu/instar-vmm.linux-x64-gnu.node',
        'vmm-native/npm/linux-x64-gnu/instar-files.linux-x64-gnu.node',
        'convert-guest/guests/convert.img',
        'convert-guest/guests/sandbox-helper',
      ]),
    );
  });
});
