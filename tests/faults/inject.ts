import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { constants } from 'node:os';
import type { CommandLine, Finished } from '../support/command.js';
import type { Workdir } from '../support/workdir.js';

const SOURCE = fileURLToPath(new URL('injector.c', import.meta.url));
/** What the injector exits with when the kernel has no seccomp listeners. */
const NO_LISTENER = 126;

/** What a call fails with; `KILL`: the process is killed in it. */
export type ErrorName = 'EIO' | 'ENOSPC' | 'EDQUOT' | 'KILL';

/** Calls `from` to `from + times − 1` of `call`, counted from 1, fail with `error`. */
export interface Fault {
  readonly call: string;
  readonly from: number;
  readonly times: number;
  readonly error: ErrorName;
}

/** A command that ended under the injector. */
export interface Injected {
  readonly finished: Finished;
  /** How often each call was made on the files that count. */
  readonly counts: ReadonlyMap<string, number>;
  /** Calls that were made to fail. */
  readonly injected: number;
  /** Whether a process outlived the command. */
  readonly left: boolean;
  /** The signal that ended the command; 0 where it exited. */
  readonly signal: number;
}

/** What a command works on. */
export interface Ground {
  /** Directory whose files count as outputs. */
  readonly output: string;
  /** Directory whose files count as inputs. */
  readonly input: string;
  /** One more output: a device, or `-` for standard output. */
  readonly device: string | undefined;
}

/** Compiles the injector into a directory; the reason why that, or running it, is impossible here. */
export function buildInjector(directory: Workdir): string | undefined {
  const compiled = spawnSync('gcc', ['-O1', '-Wall', '-Wextra', '-Werror', '-o', directory.file('injector'), SOURCE], {
    encoding: 'utf8',
  });
  if (compiled.error !== undefined) return 'gcc is not installed (Debian: apt-get install gcc)';
  if (compiled.status !== 0) throw new Error(compiled.stderr);
  const probe = ['report', '/nowhere', '/nowhere', '/nowhere', 'none', '1', '0', '0', '--', 'true'];
  const { status } = spawnSync(directory.file('injector'), probe, { cwd: directory.path });
  return status === NO_LISTENER ? 'seccomp user notification is not available' : undefined;
}

/** Runs a command with a fault; without one it only counts. */
export async function inject(
  directory: Workdir,
  command: CommandLine,
  ground: Ground,
  fault: Fault | undefined,
): Promise<Injected> {
  const report = `${ground.output}.report`;
  const { call, from, times, error } = fault ?? { call: 'none', from: 1, times: 0, error: 'EIO' };
  const numbers = [String(from), String(times), String(error === 'KILL' ? 0 : constants.errno[error])];
  const files = [ground.output, ground.input, ground.device ?? '/nowhere'];
  const finished = await command.under(directory.file('injector'), report, ...files, call, ...numbers, '--').start();
  const words = new Map<string, number>();
  if (finished.signal === null) {
    for (const line of readFileSync(report, 'utf8').trim().split('\n')) {
      const [word = '', number] = line.split(' ');
      words.set(word, Number(number));
    }
    rmSync(report);
  }
  const take = (word: string): number => {
    const value = words.get(word) ?? 0;
    words.delete(word);
    return value;
  };
  const [injected, left, signal] = [take('injected'), take('left') !== 0, take('signal')];
  return { finished, counts: words, injected, left, signal };
}
