import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';
import { thirdPartyNotices } from '../../tsup.notices.js';
import {
  fromSources,
  lateModules,
  locatedPackages,
  unusedModules,
  withoutChildProcess,
} from './scripts/bundle-plugins.js';
import { COMMANDS } from './src/commands/names.js';

// A program, not a library: one module format, and one minified file a command with all that it needs in it, because
// starting is part of what users wait for: node takes more than a millisecond for each module that it looks up, and as
// much for every 20 KiB that it reads. CommonJS, since node's loader of ES modules takes longer to start, and looks at every
// export of node's own modules, which loads what nobody asked for. What finds files beside itself is told where they are.
export default defineConfig({
  ...library({
    entry: {
      start: 'src/start.ts',
      main: 'src/main.ts',
      'progress-bar': 'src/render/progress-bar.ts',
      'qemu-img': 'src/qemu-img/main.ts',
      manual: 'src/completion/manual.ts',
      ...Object.fromEntries(COMMANDS.map((name) => [`commands/${name}`, `src/commands/${name}.ts`])),
    },
    platform: 'node',
    format: ['cjs'],
    // tsup would say what becomes of `node:child_process` before the plugins below can.
    removeNodeProtocol: false,
    // `import()` would start the loader of ES modules.
    esbuildOptions(options) {
      options.supported = { ...options.supported, 'dynamic-import': false };
      options.define = {
        ...options.define,
        'import.meta.url': 'MODULE_URL',
        'import.meta.dirname': '__dirname',
        performance: 'CLOCK',
      };
    },
    dts: false,
    minify: true,
    sourcemap: false,
    // esbuild leaves out what is not used; a second pass for that takes ten times as long and finds 2 %.
    treeshake: false,
  }),
  noExternal: [/^@instar\/(convert-guest|engine|host-files|layout|operands|shared-abi|vmm-native)(\/|$)/],
  // Whoever names objects of S3 installs it.
  external: ['@aws-sdk/client-s3'],
  // As pathToFileURL has it, in less time; node's own clock is a module that is loaded when it is first asked.
  banner: {
    js:
      "const MODULE_URL='file://'+encodeURI(__filename).replace(/[?#]/g,encodeURIComponent)," +
      'CLOCK={now:()=>process.uptime()*1e3};',
  },
  esbuildPlugins: [fromSources, withoutChildProcess, lateModules, locatedPackages, unusedModules, thirdPartyNotices],
});
