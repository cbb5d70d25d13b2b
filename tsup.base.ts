import type { Options } from 'tsup';
import { thirdPartyNotices } from './tsup.notices.js';

/**
 * The build that every TypeScript library of this workspace shares: ES modules, CommonJS and type declarations
 * for both. A package adds its entry points and nothing else, unless it has a reason that it states.
 */
export function library(options: Options & { entry: NonNullable<Options['entry']> }): Options {
  return {
    format: ['esm', 'cjs'],
    target: 'es2022',
    platform: 'neutral',
    dts: true,
    clean: true,
    sourcemap: true,
    treeshake: true,
    splitting: false,
    esbuildPlugins: [thirdPartyNotices],
    ...options,
  };
}
