import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

// A program, not a library: one module format, and each command in a chunk of its own, loaded when it is called.
export default defineConfig(
  library({ entry: ['src/main.ts'], platform: 'node', format: ['esm'], splitting: true, dts: false }),
);
