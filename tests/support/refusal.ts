import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { instar, shellWord, type CommandLine, type Finished } from './command.js';
import type { Workdir } from './workdir.js';

const PEAK_MEMORY = fileURLToPath(new URL('peak-memory.cjs', import.meta.url));
const MIB_IN_KIB = 1024;
/** What reading any image may cost, with node itself. */
const MOST_MEMORY_KIB = 256 * MIB_IN_KIB;
/** What refusing any image may take (milliseconds); the rest is a loaded machine. */
const MOST_TIME = 10_000;

/** Control characters, C1 among them, and what turns the direction of text; a line feed ends a line. */
// eslint-disable-next-line no-control-regex -- these are looked for
const UNSAFE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;

/** Runs an instar command on a hostile image; its memory and time must stay bounded whatever comes of it. */
export function bounded(command: CommandLine, directory: Workdir): Finished {
  const peak = `${directory.path}.peak`;
  const finished = command
    .in(directory)
    .environment({ NODE_OPTIONS: `--require ${shellWord(PEAK_MEMORY)}`, INSTAR_TEST_PEAK: peak })
    .run();
  const memory = Number(directory.readOutside(peak));
  expect(memory, `peak memory (KiB) of ${finished.command}`).toBeLessThan(MOST_MEMORY_KIB);
  expect(finished.elapsedMs, finished.command).toBeLessThan(MOST_TIME);
  expect(finished.signal, finished.command).toBeNull();
  expect(UNSAFE.exec(finished.stderr)).toBeNull();
  return finished;
}

/** One line for people, and nothing else. */
export function expectOneLine(finished: Finished, command: 'dd' | 'info'): void {
  expect(finished.stderr).toMatch(new RegExp(`^instar: ${command}: [^\\n]+\\n$`));
  expect(finished.stderr).not.toMatch(/ {4}at |internal error|gave up|attack its reader/);
  expect(finished.stdout).toBe('');
  expect(finished.status).toBe(1);
}

/**
 * `instar dd` of a file refuses in one line, in either sandbox, an output that exists is as it was, and no other file is
 * left behind.
 * @returns the line
 */
export function expectRefusedByDd(directory: Workdir, input: string, ...tokens: readonly string[]): string {
  directory.write('there.raw', 'before');
  const before = directory.digests();
  let line: string | undefined;
  for (const sandbox of ['kvm', 'process']) {
    const finished = bounded(instar('dd', `--sandbox=${sandbox}`, `if=${input}`, 'of=there.raw', ...tokens), directory);
    expectOneLine(finished, 'dd');
    expect(directory.digests()).toEqual(before);
    line ??= finished.stderr;
    expect(finished.stderr).toBe(line);
  }
  return line ?? '';
}

/** Text that a terminal may show. */
export function expectHarmlessText(text: string): void {
  expect(UNSAFE.exec(text)).toBeNull();
}
