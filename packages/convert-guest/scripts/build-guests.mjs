// Builds the guest programs and turns them into guest images under guests/.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeGuestImage } from '../dist/mkimage.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const target = process.env['CARGO_TARGET_DIR'] ?? join(root, 'target');
const packages = ['instar-guest', 'instar-attack-guest', 'instar-sandbox-helper'];

execFileSync('cargo', ['build', '--release', '--locked', ...packages.flatMap((name) => ['-p', name])], {
  cwd: root,
  stdio: 'inherit',
});

mkdirSync(join(root, 'guests'), { recursive: true });
for (const [program, image] of [
  ['instar-guest', 'convert.img'],
  ['instar-attack-guest', 'attack.img'],
]) {
  writeFileSync(join(root, 'guests', image), makeGuestImage(readFileSync(join(target, 'release', program))));
}
const helper = join(root, 'guests', 'sandbox-helper');
copyFileSync(join(target, 'release', 'instar-sandbox-helper'), helper);
chmodSync(helper, 0o755);
