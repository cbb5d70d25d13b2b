import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

// A program, not a library: one module format, and one minified file with the engine in it, because
// starting is part of what users wait for and node takes more than a millisecond for each module that it looks up.
// What finds files beside itself stays outside.
export default defineConfig({
  ...library({
    entry: { main: 'src/main.ts', abi: 'src/commands/abi.ts', vmcore: 'src/commands/vmcore.ts' },
    platform: 'node',
    format: ['esm'],
    dts: false,
    minify: true,
  }),
  noExternal: [/^@instar\/(engine|host-files|operands|shared-abi)(\/|$)/],
});
