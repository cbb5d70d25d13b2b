import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INSTAR, program, type Finished } from '../support/command.js';
import { Workdir } from '../support/workdir.js';

const CONTENT = Buffer.from('what a job in the background copies\n'.repeat(60_000)).subarray(0, 2_000_000);
const PADDED = Buffer.concat([CONTENT, Buffer.alloc(384)]);

let directory: Workdir;

/** Whether some process has an output in the directory open: until it is complete, it may have no name. */
function outputIsOpen(): boolean {
  const links = (folder: string): string[] => {
    try {
      return readdirSync(folder).map((name) => {
        try {
          return readlinkSync(`${folder}/${name}`);
        } catch {
          return '';
        }
      });
    } catch {
      // The process is gone.
      return [];
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => links(`/proc/${pid}/fd`))
    .some((link) => link.startsWith(`${directory.path}/#`) || link.startsWith(`${directory.path}/.copy.raw.instar-`));
}

/** A copy from standard input that goes on until `end` is called. */
class Job {
  stderr = '';
  readonly #child: ChildProcess;
  readonly #ended: Promise<[number | null, NodeJS.Signals | null]>;

  constructor(...words: readonly string[]) {
    const [command = '', ...args] = words;
    this.#child = spawn(command, args, { cwd: directory.path, stdio: ['pipe', 'ignore', 'pipe'] });
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.#child.stdin?.write(CONTENT);
    this.#ended = new Promise((resolve) => {
      this.#child.on('close', (status, signal) => {
        resolve([status, signal]);
      });
    });
  }

  /** Waits until the output is being written, or a condition holds. */
  async until(what: () => boolean = outputIsOpen): Promise<void> {
    for (let turn = 0; !what(); turn += 1) {
      if (turn > 600) throw new Error(`waited in vain: ${this.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  kill(signal: NodeJS.Signals): void {
    process.kill(this.#child.pid ?? 0, signal);
  }

  async end(): Promise<[number | null, NodeJS.Signals | null]> {
    this.#child.stdin?.end();
    return this.#ended;
  }

  async gone(): Promise<[number | null, NodeJS.Signals | null]> {
    const ended = await this.#ended;
    this.#child.stdin?.destroy();
    return ended;
  }
}

const COPY = [process.execPath, INSTAR, 'dd', 'if=-', 'of=copy.raw', 'bs=1M'] as const;
/** As it is installed: the launcher runs before node. */
const LAUNCHED = [INSTAR, 'dd', 'if=-', 'of=copy.raw', 'bs=1M'] as const;

const shell = (script: string, ...words: readonly string[]): Finished =>
  program('bash', '-c', script, 'bash', ...words)
    .in(directory)
    .run();

beforeAll(() => {
  directory = new Workdir();
  directory.write('in.raw', CONTENT);
});

afterAll(() => {
  directory.remove();
});

describe('signals', () => {
  for (const signal of [
    'SIGQUIT',
    'SIGABRT',
    'SIGALRM',
    'SIGXCPU',
    'SIGUSR2',
    'SIGVTALRM',
    'SIGPROF',
    'SIGIO',
  ] as const) {
    it(`${signal} ends a copy by that signal, and nothing of the output stays`, async () => {
      const job = new Job(...COPY);
      await job.until();
      job.kill(signal);
      expect(await job.gone()).toEqual([null, signal]);
      expect(directory.names()).toEqual(['in.raw']);
      expect(job.stderr).toBe('');
    });
  }

  it('a copy that hangs in the opening of a FIFO ends on Ctrl-C', async () => {
    shell('mkfifo fifo');
    const job = new Job(process.execPath, INSTAR, 'abi', 'decode', 'CallTable', 'fifo');
    await new Promise((resolve) => setTimeout(resolve, 600));
    job.kill('SIGINT');
    expect(await job.gone()).toEqual([null, 'SIGINT']);
    directory.delete('fifo');
  });

  it('SIGUSR1 is answered with the progress, and the copy goes on', async () => {
    const job = new Job(...COPY);
    await job.until();
    job.kill('SIGUSR1');
    await job.until(() => job.stderr.includes('\n'));
    expect(job.stderr).toMatch(/^\d+ bytes \([^)]+\) copied, \d+\.\d s, [^\n]+\/s\n$/);
    job.kill('SIGUSR1');
    expect(await job.end()).toEqual([0, null]);
    expect(job.stderr).not.toContain('Debugger');
    expect(directory.read('copy.raw').equals(PADDED)).toBe(true);
    directory.delete('copy.raw');
  });

  for (const [how, words] of [
    ['after trap in the shell that starts it', ['sh', '-c', `trap '' HUP; "$@"; exit $?`, 'sh', ...COPY]],
    ['when it replaces the shell that ignores it', ['sh', '-c', `trap '' HUP; exec "$@"`, 'sh', ...LAUNCHED]],
    ['under nohup', ['nohup', ...LAUNCHED]],
  ] as const) {
    it(`SIGHUP stays ignored ${how}`, async () => {
      const job = new Job(...words);
      await job.until();
      const copies = program('pgrep', '-f', `^[^ ]*node .*instar.js dd if=- of=copy.raw`)
        .run()
        .stdout.trim()
        .split('\n');
      for (const pid of copies) process.kill(Number(pid), 'SIGHUP');
      expect(await job.end()).toEqual([0, null]);
      expect(directory.read('copy.raw').equals(PADDED)).toBe(true);
      directory.delete('copy.raw');
    });
  }

  it('SIGINT stays ignored in a background job without job control', async () => {
    const script = '"$@" <&3 3<&- & wait $!';
    const job = new Job('sh', '-c', `exec 3<&0; ${script}`, 'sh', ...LAUNCHED);
    await job.until();
    const pid = program('pgrep', '-f', `^[^ ]*node .*instar.js dd if=- of=copy.raw`).run().stdout.trim();
    process.kill(Number(pid), 'SIGINT');
    expect(await job.end()).toEqual([0, null]);
    directory.delete('copy.raw');
  });
});

describe('standard streams', () => {
  const COMMANDS = [
    ['--help'],
    ['--version'],
    ['dd', '--help'],
    ['dd', '--json', 'if=in.raw', 'of=copy.raw'],
    ['dd', 'if=in.raw', 'of=-'],
    ['info', 'in.raw'],
    ['info', '--json', '--require-safe', 'in.raw'],
    ['map', '-f', 'raw', 'in.raw'],
    ['bench', '-f', 'raw', '-c', '3', 'in.raw'],
    ['doctor', '--json'],
    ['abi', 'show'],
    ['abi', 'emit', '--to', 'rust'],
    ['vmcore', 'read', '--help'],
  ] as const;

  for (const command of COMMANDS) {
    it(`instar ${command.join(' ')} fails when its output cannot be written`, () => {
      for (const redirection of ['>/dev/full', '>&-', '</dev/null >&-']) {
        const finished = shell(`"$@" ${redirection}`, INSTAR, ...command);
        expect(finished.status, `${redirection} ${finished.stderr}`).toBe(1);
        expect(finished.stderr).toMatch(/^instar: [^\n]+\n$/);
      }
      const full = shell('"$@" >/dev/full', process.execPath, INSTAR, ...command);
      expect(full.status).toBe(1);
      // Once, in one line.
      expect(full.stderr.match(/no space left on device/g)).toHaveLength(1);
    });

    it(`instar ${command.join(' ')} dies of SIGPIPE without a word when nobody reads`, () => {
      const finished = shell('set -o pipefail; "$@" | true', process.execPath, INSTAR, ...command);
      expect([finished.status, finished.stderr]).toEqual([141, '']);
    });
  }

  it('a warning that cannot be written is a failure', () => {
    const finished = shell('"$@" 2>/dev/full', process.execPath, INSTAR, 'dd', 'if=in.raw', 'of=copy.raw', 'skip=1G');
    expect(finished.status).toBe(1);
  });

  for (const program of [[process.execPath, INSTAR], [INSTAR]]) {
    it(`${program.length === 1 ? 'instar' : 'node instar.js'} refuses a closed stream as input or output`, () => {
      directory.delete('copy.raw');
      const output = shell('"$@" if=in.raw of=- >&-', ...program, 'dd');
      expect(output.status).toBe(1);
      expect(output.stderr).toMatch(/^instar: dd: standard output: is closed[^\n]*\n$/);
      const input = shell('"$@" if=- of=copy.raw <&-', ...program, 'dd');
      expect(input.status).toBe(1);
      expect(input.stderr).toMatch(/^instar: dd: standard input: is closed[^\n]*\n$/);
      expect(directory.names()).toEqual(['in.raw']);
    });
  }

  it('a stream that is /dev/null on purpose is none that is closed', () => {
    expect(shell('"$@" > /dev/null', INSTAR, 'dd', 'if=in.raw', 'of=-').status).toBe(0);
    expect(shell('"$@" > /dev/null', process.execPath, INSTAR, 'dd', 'if=in.raw', 'of=-').status).toBe(0);
    expect(shell('"$@" < /dev/null', process.execPath, INSTAR, 'dd', 'if=-', 'of=copy.raw').status).toBe(0);
    directory.delete('copy.raw');
  });
});
