// Builds the addon into the package of this platform, and its type declarations beside the TypeScript face.
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const platform = join(root, 'npm', 'linux-x64-gnu');
const options = [
  '--release',
  '--platform',
  '--no-js',
  '--no-const-enum',
  '-p',
  'instar-addon',
  '--dts',
  '../../src/generated/native.d.ts',
];

execFileSync('napi', ['build', ...options, '--output-dir', platform, '--', '--locked'], {
  cwd: root,
  stdio: 'inherit',
  shell: false,
});
