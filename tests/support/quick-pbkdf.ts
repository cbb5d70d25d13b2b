import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('quick-pbkdf.c', import.meta.url));
const BUILT = fileURLToPath(new URL('../../node_modules/.cache/instar-tests', import.meta.url));
/** Words of command lines that have keys made of passphrases. */
const KEYS = /luks|encrypt|iter-time/;

let environment: Readonly<Record<string, string>> | undefined;

/** Built once for all files of tests; where nothing builds it, key slots take their second. */
function built(): Readonly<Record<string, string>> {
  const library = join(BUILT, `quick-pbkdf-${createHash('sha256').update(readFileSync(SOURCE)).digest('hex')}.so`);
  if (!existsSync(library)) {
    mkdirSync(BUILT, { recursive: true });
    const own = `${library}.${process.pid}`;
    const compiled = spawnSync('gcc', ['-O1', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC', '-o', own, SOURCE]);
    if (compiled.status !== 0) return {};
    renameSync(own, library);
  }
  return { LD_PRELOAD: library };
}

/**
 * What qemu-img is started with so that it makes key slots in milliseconds: see quick-pbkdf.c.
 * @param words its arguments; where no key is made of a passphrase, nothing is changed
 */
export function quickPbkdf(words: readonly string[]): Readonly<Record<string, string>> {
  if (!words.some((word) => KEYS.test(word))) return {};
  environment ??= built();
  return environment;
}
