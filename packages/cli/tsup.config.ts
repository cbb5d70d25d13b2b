import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';
import { thirdPartyNotices } from '../../tsup.notices.js';
import { withoutChildProcess } from './scripts/bundle-plugins.js';
import { COMMANDS } from './src/commands/names.js';

// A program, not a library: one module format, and one minified file a command with all that it needs in it, because
// starting is part of what users wait for: node takes more than a millisecond for each module that it looks up, and as
// much for every 20 KiB that it reads. What finds files beside itself stays outside.
export default defineConfig({
  ...library({
    entry: {
      main: 'src/main.ts',
      'progress-bar': 'src/render/progress-bar.ts',
      'qemu-img': 'src/qemu-img/main.ts',
      manual: 'src/completion/manual.ts',
      ...Object.fromEntries(COMMANDS.map((name) => [`commands/${name}`, `src/commands/${name}.ts`])),
    },
    platform: 'node',
    format: ['esm'],
    dts: false,
    minify: true,
    sourcemap: false,
  }),
  noExternal: [/^@instar\/(engine|host-files|layout|operands|shared-abi|vmm-native\/errno)(\/|$)/],
  // Whoever names objects of S3 installs it.
  external: ['@aws-sdk/client-s3'],
  // Packages that are not ES modules ask for node's own modules with `require`.
  banner: { js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);" },
  esbuildPlugins: [withoutChildProcess, thirdPartyNotices],
});
