import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

// A program, not a library: one module format, each command in a chunk of its own, and the TypeScript of the engine
// bundled and minified, because starting is part of what users wait for. What finds files beside itself stays outside.
export default defineConfig({
  ...library({ entry: ['src/main.ts'], platform: 'node', format: ['esm'], splitting: true, dts: false, minify: true }),
  noExternal: [/^@instar\/(engine|operands|shared-abi)$/],
});
