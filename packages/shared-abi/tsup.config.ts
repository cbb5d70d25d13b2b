import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

export default defineConfig(
  library({
    entry: {
      index: 'src/index.ts',
      disk: 'src/disk/index.ts',
      extract: 'src/extract.ts',
      kaitai: 'src/kaitai.ts',
      layout: 'src/layout.ts',
      releases: 'src/versions/releases.ts',
    },
  }),
);
