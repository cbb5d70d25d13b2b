// What has ended takes no memory: a process may make millions of runs.
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';

const resolve = createRequire(import.meta.url).resolve;
const url = (name: string): string => JSON.stringify(pathToFileURL(resolve(name)).href);

/** Bytes by which the resident set of a new process grows from the 5,000th to the last of so many times. */
function growth(imports: string, once: string, times: number): number {
  const source = `
    ${imports}
    const some = async (count) => { for (let turn = 0; turn < count; turn += 1) { ${once} } gc(); };
    await some(5000);
    const before = process.memoryUsage.rss();
    await some(${times});
    process.stdout.write(String(process.memoryUsage.rss() - before));`;
  const words = ['--expose-gc', '--max-semi-space-size=1', '--input-type=module', '-e', source];
  return Number(execFileSync(process.execPath, words, { encoding: 'utf8', timeout: 120_000 }));
}

describe('nothing stays in memory', () => {
  it('of promises that other threads settle', { timeout: 150_000 }, () => {
    const imports = `
      import { createSandboxPool } from ${url('@instar/vmm-native')};
      const image = Buffer.alloc(4096);
      const pool = createSandboxPool({ image, helper: '/nonexistent', sandbox: 'process', size: 1 });`;
    // Each left 600 bytes.
    expect(growth(imports, 'await pool.close();', 60_000)).toBeLessThan(8e6);
  });

  it('of names that were kept', { timeout: 150_000 }, () => {
    const imports = `
      import { keepName, removeNameAtEnd } from ${url('@instar/vmm-native')};
      const name = Buffer.from('x'.repeat(200));`;
    // Each left 280.
    expect(growth(imports, 'keepName(removeNameAtEnd(-1, name));', 100_000)).toBeLessThan(8e6);
  });
});
