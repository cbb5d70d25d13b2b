// Builds the addons into the package of this platform, and their type declarations beside the TypeScript face.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rustNotices } from '../../../scripts/rust-notices.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const platform = join(root, 'npm', 'linux-x64-gnu');
/** @param {string} crate @param {string} declarations @param {string[]} more */
function build(crate, declarations, more = []) {
  const options = ['--release', '--platform', '--no-js', '--no-const-enum', '-p', crate, '--dts', declarations];
  execFileSync('napi', ['build', ...options, ...more, '--output-dir', platform, '--', '--locked'], {
    cwd: root,
    stdio: 'inherit',
    shell: false,
  });
}

build('instar-addon', '../../src/generated/native.d.ts');
build('instar-pages-addon', '../../src/generated/pages.d.ts', ['--config-path', 'napi-pages.json']);
build('instar-files-addon', '../../src/generated/files.d.ts', ['--config-path', 'napi-files.json']);

const notices = rustNotices(root, ['instar-addon', 'instar-pages-addon', 'instar-files-addon']);
writeFileSync(join(platform, 'THIRD_PARTY_NOTICES.txt'), notices);
