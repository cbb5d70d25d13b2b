// `npm run lint`: prettier and eslint over the tree, rustfmt and clippy over the crates, at the same time: eslint has one core to
// itself for minutes. What each says is shown as a whole when it ends. With names (`npm run lint -- eslint`) only those run.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { resolve } = createRequire(import.meta.url);
const LINTERS = {
  eslint: [join(dirname(resolve('eslint/package.json')), 'bin', 'eslint.js'), '.'],
  prettier: [join(dirname(resolve('prettier/package.json')), 'bin', 'prettier.cjs'), '--check', '.'],
  'rustfmt and clippy': [fileURLToPath(new URL('lint-rust.mjs', import.meta.url))],
};

/** @returns whether it found nothing */
async function lint([name, words]) {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, words, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    const pieces = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece) => pieces.push(piece));
    child.on('error', failed);
    child.on('close', (status, signal) => {
      const seconds = Math.round(performance.now() / 1000);
      console.log(
        `\nlint: ${name}: ${status === 0 ? 'passed' : `failed (${signal ?? `exit ${status}`})`} after ${seconds} s`,
      );
      process.stdout.write(Buffer.concat(pieces));
      done(status === 0);
    });
  });
}

const names = process.argv.slice(2);
for (const name of names) {
  if (!Object.hasOwn(LINTERS, name)) {
    console.error(`lint: found "${name}", expected one of: ${Object.keys(LINTERS).join(', ')}`);
    process.exit(1);
  }
}
const chosen = Object.entries(LINTERS).filter(([name]) => names.length === 0 || names.includes(name));
const passed = await Promise.all(chosen.map(lint));
process.exitCode = passed.every(Boolean) ? 0 : 1;
