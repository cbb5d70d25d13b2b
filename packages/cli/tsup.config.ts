import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

// A program, not a library: one module format, and one minified file with the engine and small libraries in it, because
// starting is part of what users wait for and node takes more than a millisecond for each module that it looks up.
// What finds files beside itself stays outside.
export default defineConfig({
  // commander is CommonJS and asks for node's modules by require, which an ES module has to make for itself.
  banner: { js: "import{createRequire as requireOf}from'node:module';const require=requireOf(import.meta.url);" },
  ...library({ entry: ['src/main.ts'], platform: 'node', format: ['esm'], dts: false, minify: true }),
  noExternal: [/^@instar\/(engine|operands|shared-abi)$/, 'commander', 'picocolors'],
});
