import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';

/** A command that is not answered by then failed (milliseconds). */
const ANSWERS_WITHIN = 30_000;
/** `timeout` ends the machine by then, even where the test itself was killed (seconds). */
const LIVES_FOR = '240';

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** What QEMU says when it refuses a command. */
export class QmpError extends Error {
  readonly errorClass: string;

  constructor(command: string, errorClass: string, description: string) {
    super(`${command}: ${description}`);
    this.name = 'QmpError';
    this.errorClass = errorClass;
  }
}

/** A member of what came as JSON. */
export function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** One QEMU process and its QMP monitor on standard input and output: with neither socket nor port it leaves nothing behind. */
export class Qmp {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number, Waiting>();
  readonly #events: { readonly name: string; readonly data: unknown }[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #ended: Promise<void>;
  #stderr = '';
  #next = 1;
  #alive = true;

  /** @param words QEMU with the options of its machine */
  constructor(words: readonly string[]) {
    const quiet = ['-nodefaults', '-display', 'none', '-serial', 'none', '-monitor', 'none', '-qmp', 'stdio'];
    this.#process = spawn('timeout', ['--kill-after=5', LIVES_FOR, ...words, ...quiet], { stdio: 'pipe' });
    createInterface({ input: this.#process.stdout }).on('line', (line) => {
      this.#receive(line);
    });
    this.#process.stderr.on('data', (bytes: Buffer) => (this.#stderr += bytes.toString('utf8')));
    this.#process.stdin.on('error', () => undefined);
    this.#ended = new Promise((resolve) => {
      const end = (why: string): void => {
        this.#alive = false;
        for (const waiting of this.#waiting.values()) waiting.reject(new Error(`QEMU ${why}: ${this.#stderr}`));
        this.#waiting.clear();
        for (const listener of this.#listeners) listener();
        resolve();
      };
      this.#process.on('error', (error) => {
        end(error.message);
      });
      this.#process.on('close', (code, signal) => {
        end(`ended with ${String(code ?? signal)}`);
      });
    });
  }

  /** Leaves the negotiation mode in which every monitor starts. */
  async negotiate(): Promise<void> {
    await this.execute('qmp_capabilities');
  }

  /** @throws QmpError */
  async execute(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    if (!this.#alive) throw new Error(`${command}: QEMU has ended: ${this.#stderr}`);
    const id = this.#next++;
    const answer = new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`${command}: no answer in ${ANSWERS_WITHIN} ms: ${this.#stderr}`));
      }, ANSWERS_WITHIN);
      this.#waiting.set(id, {
        resolve: (value) => {
          clearTimeout(timer);
          resolve(value);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
    });
    this.#process.stdin.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    return answer.catch((error: unknown) => {
      if (error instanceof Error && error.name === 'QmpRefusal') {
        throw new QmpError(command, text(error.cause), error.message);
      }
      throw error;
    });
  }

  /** A command of the human monitor. */
  async human(line: string): Promise<string> {
    return text(await this.execute('human-monitor-command', { 'command-line': line })).replaceAll('\r', '');
  }

  /** Waits for an event and takes it. */
  async event(name: string): Promise<unknown> {
    const until = Date.now() + ANSWERS_WITHIN;
    for (;;) {
      const at = this.#events.findIndex((event) => event.name === name);
      if (at >= 0) return this.#events.splice(at, 1)[0]?.data;
      const left = until - Date.now();
      if (!this.#alive || left <= 0) throw new Error(`no event ${name} from QEMU: ${this.#stderr}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        const listener = (): void => {
          clearTimeout(timer);
          this.#listeners.delete(listener);
          resolve();
        };
        this.#listeners.add(listener);
      });
    }
  }

  /** Forgets events that came before something was asked for. */
  forget(name: string): void {
    for (let at = this.#events.length - 1; at >= 0; at -= 1) {
      if (this.#events[at]?.name === name) this.#events.splice(at, 1);
    }
  }

  /** Ends QEMU, whatever state it is in. */
  async close(): Promise<void> {
    if (this.#alive) this.#process.kill('SIGTERM');
    const hard = setTimeout(() => this.#process.kill('SIGKILL'), 10_000);
    await this.#ended;
    clearTimeout(hard);
  }

  #receive(line: string): void {
    const message: unknown = JSON.parse(line);
    const event = member(message, 'event');
    if (typeof event === 'string') {
      this.#events.push({ name: event, data: member(message, 'data') });
      for (const listener of this.#listeners) listener();
      return;
    }
    const id = member(message, 'id');
    if (typeof id !== 'number') return;
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    const error = member(message, 'error');
    if (error === undefined) {
      waiting?.resolve(member(message, 'return'));
    } else {
      const refusal = new Error(text(member(error, 'desc')), { cause: member(error, 'class') });
      refusal.name = 'QmpRefusal';
      waiting?.reject(refusal);
    }
  }
}
