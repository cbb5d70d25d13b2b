// The pre-commit hook: formatting and lint of the staged files only, so that a commit costs seconds.
import { execFileSync, spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);

const staged = execFileSync('git', ['diff', '--cached', '--name-only', '--diff-filter=ACMR', '-z'], {
  encoding: 'utf8',
})
  .split('\0')
  .filter((path) => path !== '');

function check(program, args, files) {
  if (files.length === 0) return true;
  return spawnSync(process.execPath, [program, ...args, ...files], { stdio: 'inherit' }).status === 0;
}

const prettier = require.resolve('prettier/bin/prettier.cjs');
const eslint = join(dirname(require.resolve('eslint/package.json')), 'bin', 'eslint.js');

const formatted = check(prettier, ['--check', '--ignore-unknown'], staged);
const linted = check(
  eslint,
  ['--no-warn-ignored'],
  staged.filter((path) => /\.[cm]?[jt]s$/.test(path)),
);
if (!formatted || !linted) {
  console.error('pre-commit: mend the above, or run `npm run format`, then stage the result.');
  process.exitCode = 1;
}
