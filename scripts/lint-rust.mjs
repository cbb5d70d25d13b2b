// rustfmt and clippy over both Cargo workspaces; with --fix, rustfmt mends.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const fix = process.argv.includes('--fix');
const STEPS = fix
  ? [['fmt', '--all']]
  : [
      ['fmt', '--all', '--check'],
      ['clippy', '--workspace', '--all-targets', '--locked', '--quiet', '--', '-D', 'warnings'],
    ];

for (const workspace of ['packages/convert-guest', 'packages/vmm-native']) {
  const cwd = fileURLToPath(new URL(`../${workspace}`, import.meta.url));
  if (!existsSync(`${cwd}/Cargo.toml`)) continue;
  for (const step of STEPS) {
    const { status, error } = spawnSync('cargo', step, { cwd, stdio: 'inherit' });
    if (error) throw error;
    if (status !== 0) process.exit(status ?? 1);
  }
}
