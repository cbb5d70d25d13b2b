import { spawn } from 'node:child_process';
import { ExtractError } from './errors.js';

/** What a program wrote, and how it ended. */
export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const MOST_OUTPUT = 512 * 1024 * 1024;

/**
 * Runs a compiler without a shell, in a process group of its own, so that an abort also ends what it started.
 * @throws ExtractError `EXTRACT_COMPILER_MISSING`, `EXTRACT_ABORTED`.
 */
export async function run(
  program: string,
  args: readonly string[],
  input: string,
  signal: AbortSignal | undefined,
  directory?: string,
): Promise<Ran> {
  if (signal?.aborted === true) throw aborted(signal);
  return new Promise<Ran>((resolve, reject) => {
    const child = spawn(program, args, {
      detached: true,
      ...(directory === undefined ? {} : { cwd: directory }),
      stdio: ['pipe', 'pipe', 'pipe'],
      // Messages are quoted to people and compared by tests: in one language.
      env: { ...process.env, LC_ALL: 'C' },
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let size = 0;
    const end = (): void => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended already.
      }
    };
    const onAbort = (): void => {
      end();
      reject(aborted(signal));
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MOST_OUTPUT) stdout.push(chunk);
      else end();
    });
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.on('error', (cause: NodeJS.ErrnoException) => {
      signal?.removeEventListener('abort', onAbort);
      const why = cause.code === 'ENOENT' ? 'is not installed' : `cannot be started (${cause.code ?? cause.message})`;
      reject(
        new ExtractError('EXTRACT_COMPILER_MISSING', `${program} ${why}; install it or name another compiler`, {
          cause,
        }),
      );
    });
    child.on('close', (status) => {
      signal?.removeEventListener('abort', onAbort);
      if (size > MOST_OUTPUT) {
        reject(new ExtractError('EXTRACT_ASSEMBLY', `${program} wrote more than ${MOST_OUTPUT} bytes`));
        return;
      }
      resolve({
        status,
        stdout: Buffer.concat(stdout).toString('utf8'),
        stderr: Buffer.concat(stderr).toString('utf8'),
      });
    });
    // A compiler that refuses its arguments does not read its input.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

function aborted(signal: AbortSignal | undefined): ExtractError {
  return new ExtractError('EXTRACT_ABORTED', 'extract was aborted', { cause: signal?.reason });
}

/** The line of a compiler's output that says what is wrong. */
export function firstMessage(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  return lines.find((line) => /\berror\b/i.test(line)) ?? lines[0] ?? 'no message';
}
