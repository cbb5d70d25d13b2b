// `npm run test:one FILE`: the tests of one file, at once: nothing is built, and only the project that has it is looked through.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const [file, ...more] = process.argv.slice(2);
if (file === undefined) {
  console.error('test:one: found no file, expected one as in npm run test:one packages/operands/src/size.test.ts');
  process.exit(1);
}
const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
const run = spawnSync(process.execPath, [vitest, 'run', file, ...more], { stdio: 'inherit' });
process.exitCode = run.status ?? 1;
