import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Workdir } from './workdir.js';

/** Beyond this a program counts as hanging (milliseconds). */
const HANGS_AFTER = 60_000;
const MAX_OUTPUT = 64 << 20;

/** Root of the repository. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** The committed entry point of the CLI. */
export const INSTAR = fileURLToPath(new URL('../../packages/cli/bin/instar.js', import.meta.url));

/** A program that has ended. */
export interface Finished {
  /** The command line, to be pasted into a shell. */
  readonly command: string;
  /** Exit code; null when a signal ended it. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stdoutBytes: Buffer;
  readonly stderr: string;
  readonly elapsedMs: number;
}

/** Puts a word so that a shell takes it as it is. */
export function shellWord(word: string): string {
  return /^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** A program with its arguments, told step by step; `run` starts it and waits for its end. */
export class CommandLine {
  /** Program and arguments. */
  readonly words: readonly string[];
  #directory: string | undefined;
  #input: Uint8Array | undefined;
  #environment: Readonly<Record<string, string>> = {};

  constructor(words: readonly string[]) {
    this.words = words;
  }

  /** More arguments at the end. */
  with(...words: readonly string[]): CommandLine {
    return this.#copy([...this.words, ...words]);
  }

  /** The same under another program (`strace`, `prlimit`) that starts it. */
  under(...words: readonly string[]): CommandLine {
    return this.#copy([...words, ...this.words]);
  }

  /** Its current directory. */
  in(directory: Workdir | string): CommandLine {
    const copy = this.#copy(this.words);
    copy.#directory = typeof directory === 'string' ? directory : directory.path;
    return copy;
  }

  /** What it finds on its standard input; without this, nothing. */
  reading(input: Uint8Array | string): CommandLine {
    const copy = this.#copy(this.words);
    copy.#input = typeof input === 'string' ? Buffer.from(input) : input;
    return copy;
  }

  environment(variables: Readonly<Record<string, string>>): CommandLine {
    const copy = this.#copy(this.words);
    copy.#environment = { ...this.#environment, ...variables };
    return copy;
  }

  /** As one would type it. */
  toString(): string {
    return this.words.map(shellWord).join(' ');
  }

  run(): Finished {
    const [program = '', ...args] = this.words;
    const started = performance.now();
    const child = spawnSync(program, args, {
      cwd: this.#directory,
      input: this.#input ?? Buffer.alloc(0),
      env: { ...process.env, ...this.#environment },
      maxBuffer: MAX_OUTPUT,
      timeout: HANGS_AFTER,
      killSignal: 'SIGKILL',
    });
    if (child.error !== undefined) throw new Error(`${this.toString()}: ${child.error.message}`);
    return {
      command: this.toString(),
      status: child.status,
      signal: child.signal,
      stdout: child.stdout.toString('utf8'),
      stdoutBytes: child.stdout,
      stderr: child.stderr.toString('utf8'),
      elapsedMs: performance.now() - started,
    };
  }

  /** Runs it while the test goes on. */
  async start(): Promise<Finished> {
    const [program = '', ...args] = this.words;
    const started = performance.now();
    const child = spawn(program, args, {
      cwd: this.#directory,
      env: { ...process.env, ...this.#environment },
      stdio: 'pipe',
      timeout: HANGS_AFTER,
      killSignal: 'SIGKILL',
    });
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => stderr.push(bytes));
    // A program that ends without reading breaks the pipe, which is its right.
    child.stdin.on('error', () => undefined);
    child.stdin.end(this.#input ?? Buffer.alloc(0));
    const [status, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, name) => {
        resolve([code, name]);
      });
    });
    const stdoutBytes = Buffer.concat(stdout);
    return {
      command: this.toString(),
      status,
      signal,
      stdout: stdoutBytes.toString('utf8'),
      stdoutBytes,
      stderr: Buffer.concat(stderr).toString('utf8'),
      elapsedMs: performance.now() - started,
    };
  }

  /** Runs it; anything but exit code 0 is an error of the test. */
  must(): Finished {
    const finished = this.run();
    if (finished.status === 0) return finished;
    throw new Error(`${finished.command}: exit ${String(finished.status)}\n${finished.stderr}${finished.stdout}`);
  }

  #copy(words: readonly string[]): CommandLine {
    const copy = new CommandLine(words);
    copy.#directory = this.#directory;
    copy.#input = this.#input;
    copy.#environment = this.#environment;
    return copy;
  }
}

/** `instar …`, as a user starts it. */
export function instar(...args: readonly string[]): CommandLine {
  return new CommandLine([process.execPath, INSTAR, ...args]);
}

/** Any other program. */
export function program(...words: readonly string[]): CommandLine {
  return new CommandLine(words);
}
