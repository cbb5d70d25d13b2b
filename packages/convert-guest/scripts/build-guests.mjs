// Builds the guest programs and turns them into guest images under guests/.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rustNotices } from '../../../scripts/rust-notices.mjs';
import { makeGuestImage, withBuildId } from '../dist/mkimage.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const target = process.env['CARGO_TARGET_DIR'] ?? join(root, 'target');
const packages = ['instar-guest', 'instar-attack-guest', 'instar-sandbox-helper'];

// For who changes the guest and tries it at once: quick to build, and slower to run.
const profile = ['', '0', undefined].includes(process.env['INSTAR_QUICK']) ? 'release' : 'quick';

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
// Symbols are shipped: they must not say where they were built.
const paths = [
  [join(root, '..', '..'), '/instar'],
  [process.env['CARGO_HOME'] ?? join(homedir(), '.cargo'), '/cargo'],
];
const config = readFileSync(join(root, '.cargo', 'config.toml'), 'utf8');
const cFlags = [
  /^CFLAGS = "(.*)"$/m.exec(config)?.[1] ?? '',
  '-g1',
  ...paths.map(([from, to]) => `-ffile-prefix-map=${from}=${to}`),
].join(' ');
const remap = paths.map(([from, to]) => `"--remap-path-prefix=${from}=${to}"`).join(', ');

execFileSync(
  'cargo',
  [
    'build',
    `--profile=${profile}`,
    '--locked',
    '--config',
    `build.rustflags=[${remap}]`,
    ...packages.flatMap((name) => ['-p', name]),
  ],
  {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, INSTAR_GUEST_VERSION: version, CFLAGS: cFlags },
  },
);

mkdirSync(join(root, 'guests'), { recursive: true });
for (const [name, guest] of [
  ['instar-guest', 'convert'],
  ['instar-attack-guest', 'attack'],
]) {
  const program = withBuildId(readFileSync(join(target, profile, name)));
  writeFileSync(join(root, 'guests', `${guest}.elf`), program);
  writeFileSync(join(root, 'guests', `${guest}.img`), makeGuestImage(program));
}
const helper = join(root, 'guests', 'sandbox-helper');
// Beside it first: a helper that runs cannot be written, only replaced.
copyFileSync(join(target, profile, 'instar-sandbox-helper'), `${helper}.new`);
chmodSync(`${helper}.new`, 0o755);
renameSync(`${helper}.new`, helper);

const notices = rustNotices(root, ['instar-guest', 'instar-sandbox-helper']);
writeFileSync(join(root, 'dist', 'THIRD_PARTY_NOTICES.txt'), notices);
