// `npm test`: builds what changed, runs every test runner of the workspace, adds their counts up.
//
// The last line is always `N passed, N failed` (with `, N skipped` when there are any), and the exit code is 0 only
// when nothing failed and at least MINIMUM_PASSED tests ran. With arguments (`npm test -- operands`) they go to vitest
// as filters and only vitest runs.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { pathOfMachine } from './path-of-machine.mjs';
import { countCargo, countVitest, emptyTally, fail, readSkipLog } from './test-tally.mjs';

/**
 * The floor under a full run. It exists because a glob that matches nothing is green otherwise; raise it whenever tests
 * are added, never lower it without saying in the commit which tests went away.
 */
const MINIMUM_PASSED = 7700;

/** Cargo workspaces, tested in this order. One that has no Cargo.toml yet is left out. */
const CARGO_WORKSPACES = ['packages/convert-guest', 'packages/vmm-native'];

const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'instar-test-'));
const skipLog = join(scratch, 'skips');
const filters = process.argv.slice(2);
const total = emptyTally();

function add(tally) {
  total.passed += tally.passed;
  total.failed += tally.failed;
  total.skipped += tally.skipped;
  total.reasons.push(...tally.reasons);
  total.failures.push(...tally.failures);
}

function run(program, args, { cwd = root, collect = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd,
      stdio: ['ignore', collect ? 'pipe' : 'inherit', 'inherit'],
      env: { ...process.env, PATH: pathOfMachine(process.env.PATH), INSTAR_SKIP_LOG: skipLog },
    });
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (text) => {
      output += text;
      process.stdout.write(text);
    });
    child.on('error', (error) => {
      console.error(`${program}: ${error.message}`);
      resolve({ status: 127, output });
    });
    child.on('close', (status, signal) => {
      if (signal !== null) console.error(`${program}: killed by ${signal}`);
      resolve({ status: status ?? 1, output });
    });
  });
}

async function vitest() {
  const packageFile = createRequire(import.meta.url).resolve('vitest/package.json');
  const report = join(scratch, 'vitest.json');
  const { status } = await run(process.execPath, [
    join(dirname(packageFile), 'vitest.mjs'),
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...filters,
  ]);
  add(countVitest(existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : undefined, status));
}

async function buildCargo(workspace) {
  await run('cargo', ['test', '--workspace', '--no-run', '--quiet'], { cwd: join(root, workspace), collect: true });
}

async function cargo(workspace) {
  console.log(`\ncargo test (${workspace})`);
  const { status, output } = await run('cargo', ['test', '--workspace', '--no-fail-fast'], {
    cwd: join(root, workspace),
    collect: true,
  });
  add(countCargo(output, status, workspace));
}

/** All workspaces. Most tests have one core: what the next ones need is built beside them, and nothing beside the last ones. */
async function everyCargo(workspaces) {
  let built;
  for (const [index, workspace] of workspaces.entries()) {
    await built;
    const next = workspaces[index + 1];
    // Where it does not build, its own turn says so and counts it.
    built = next === undefined ? undefined : buildCargo(next);
    await cargo(workspace);
  }
}

try {
  const build = await run(process.execPath, ['scripts/turbo.mjs', 'run', 'build', '--output-logs=new-only']);
  if (build.status !== 0) {
    fail(total, 'the build: no test was run');
  } else {
    await vitest();
    if (filters.length === 0) {
      await everyCargo(CARGO_WORKSPACES.filter((workspace) => existsSync(join(root, workspace, 'Cargo.toml'))));
    }
    // A Rust test cannot tell its harness that it was skipped: it logs the reason and returns, and is counted here.
    for (const skip of readSkipLog(skipLog)) {
      total.passed -= 1;
      total.skipped += 1;
      total.reasons.push(skip);
    }
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

console.log('');
if (total.reasons.length > 0) {
  console.log('skipped, because:');
  const counts = new Map();
  for (const reason of total.reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  for (const [reason, count] of counts) console.log(`  ${count} × ${reason}`);
}

// Again at the end, where somebody who sees only the last lines of a long log finds them.
if (total.failures.length > 0) {
  console.log('failed:');
  for (const failure of total.failures) console.log(`  ${failure}`);
}

// Tests that want a program or /dev/kvm are skipped, with their reason, on a machine without it; under CI none may be.
const seen = total.passed + total.failed + (process.env['CI'] === 'true' ? 0 : total.skipped);
const tooFew = filters.length === 0 && seen < MINIMUM_PASSED;
if (tooFew) console.log(`test: ${seen} tests were met, and at least ${MINIMUM_PASSED} must be (scripts/test.mjs).`);
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
process.exitCode = total.failed > 0 || tooFew ? 1 : 0;
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
