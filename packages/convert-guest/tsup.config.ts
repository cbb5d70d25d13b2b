import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

// Finds files beside itself, in both module systems.
export default defineConfig(library({ entry: ['src/index.ts', 'src/mkimage.ts'], platform: 'node', shims: true }));
