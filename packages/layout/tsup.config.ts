import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

export default defineConfig(
  library({
    entry: {
      index: 'src/index.ts',
      emit: 'src/emit/index.ts',
      extract: 'src/extract/index.ts',
      kaitai: 'src/kaitai/index.ts',
      versions: 'src/versions/index.ts',
    },
    // One LayoutError for all entries.
    splitting: true,
    // Only `extract` uses Node; the other entries stay free of it, and run in browsers.
    external: [/^node:/],
    removeNodeProtocol: false,
  }),
);
