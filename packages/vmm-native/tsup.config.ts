import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

// Loads the package of this platform, in both module systems.
export default defineConfig(library({ entry: ['src/index.ts', 'src/errno.ts'], platform: 'node', shims: true }));
