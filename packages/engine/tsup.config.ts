import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

// What is not used is left out by whoever bundles it; a second pass for that takes as long as the rest of the build.
export default defineConfig(
  library({ entry: { index: 'src/index.ts', prepare: 'src/session/ahead.ts' }, platform: 'node', treeshake: false }),
);
