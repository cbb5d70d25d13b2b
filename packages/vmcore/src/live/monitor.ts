import { createConnection, type Socket } from 'node:net';
import { VmcoreError } from '../errors.js';
import { systemErrorText } from '../system-error.js';

/** Most bytes of an answer: those that are asked for have a few hundred. */
const MAX_LINE = 1 << 20;

/** A member of what came as JSON. */
export function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** QEMU's monitor at a Unix socket (QEMU, docs/interop/qmp-spec.rst). One command at a time. */
export class Monitor {
  readonly #socket: Socket;
  readonly #name: string;
  #text = '';
  #waiting: Waiting | undefined;
  #lost: VmcoreError | undefined;

  private constructor(socket: Socket, name: string) {
    this.#socket = socket;
    this.#name = name;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      this.#receive(text);
    });
    socket.on('error', (error) => {
      this.#lose(`the monitor cannot be reached: ${systemErrorText(error)}`);
    });
    socket.on('close', () => {
      this.#lose('QEMU has closed its monitor');
    });
  }

  /** Connects, and leaves the mode in which every monitor starts. @throws VmcoreError `READ_FAILED`, `UNSUPPORTED` */
  static async connect(path: string, signal: AbortSignal | undefined): Promise<Monitor> {
    const monitor = new Monitor(createConnection({ path, ...(signal === undefined ? {} : { signal }) }), path);
    try {
      // Its greeting comes unasked; another monitor on this socket would keep it waiting.
      await monitor.#next();
      await monitor.execute('qmp_capabilities');
      return monitor;
    } catch (error) {
      monitor.close();
      throw error;
    }
  }

  /** @returns what the command returned @throws VmcoreError `UNSUPPORTED` with QEMU's words, `READ_FAILED` */
  async execute(command: string, words: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const answer = this.#next();
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: words })}\n`);
    const message = await answer;
    const error = member(message, 'error');
    if (error === undefined) return member(message, 'return');
    const text = member(error, 'desc');
    const shown = typeof text === 'string' ? text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 500) : 'no reason';
    throw new VmcoreError('UNSUPPORTED', `QEMU refuses ${command}: ${shown}`, { file: this.#name });
  }

  async #next(): Promise<unknown> {
    if (this.#lost !== undefined) throw this.#lost;
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  #receive(text: string): void {
    this.#text += text;
    for (;;) {
      const end = this.#text.indexOf('\n');
      if (end < 0) break;
      this.#take(this.#text.slice(0, end));
      this.#text = this.#text.slice(end + 1);
    }
    if (this.#text.length > MAX_LINE) {
      this.#lose(`found an answer of more than ${MAX_LINE} characters, expected QEMU's monitor protocol`);
      this.#socket.destroy();
    }
  }

  #take(line: string): void {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      this.#lose("what answers there does not speak QEMU's monitor protocol (-qmp unix:PATH,server=on,wait=off)");
      return;
    }
    if (['return', 'error', 'QMP'].every((name) => member(message, name) === undefined)) return;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(message);
  }

  #lose(problem: string): void {
    this.#lost ??= new VmcoreError('READ_FAILED', problem, { file: this.#name });
    this.#waiting?.reject(this.#lost);
    this.#waiting = undefined;
  }

  close(): void {
    this.#socket.destroy();
  }
}
