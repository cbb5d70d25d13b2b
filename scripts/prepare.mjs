// npm runs this after `npm ci` and `npm install`: it installs the git hooks (in a clone) and builds every package.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

// A source archive has no .git, and a production install has no husky; neither needs hooks.
if (existsSync(new URL('../.git', import.meta.url)) && process.env.CI === undefined) {
  try {
    const { default: husky } = await import('husky');
    const message = husky();
    if (message) console.log(message);
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  }
}

const build = spawnSync(process.execPath, ['scripts/turbo.mjs', 'run', 'build', '--output-logs=new-only'], {
  cwd: root,
  stdio: 'inherit',
});
if (build.error) throw build.error;
process.exitCode = build.status ?? 1;
