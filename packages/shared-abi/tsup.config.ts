import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

export default defineConfig(
  library({
    entry: {
      index: 'src/index.ts',
      disk: 'src/disk/index.ts',
      extract: 'src/extract/index.ts',
      kaitai: 'src/kaitai/index.ts',
      layout: 'src/language.ts',
      releases: 'src/versions/releases.ts',
    },
    // One LayoutError for all entries.
    splitting: true,
    // Only `extract` uses Node; the main entry stays free of it, and runs in browsers.
    external: [/^node:/],
    removeNodeProtocol: false,
  }),
);
