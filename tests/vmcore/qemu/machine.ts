import { readFileSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

import type { Workdir } from '../../support/workdir.js';
import type { BuiltGuest, Guest } from './guest.js';
import { Qmp, member, text } from './qmp.js';

/** A guest that has not written everything by then hangs (milliseconds). */
const READY_WITHIN = 60_000;

/** RAM or ROM of a machine. */
export interface Block {
  readonly start: bigint;
  /** Bytes. */
  readonly length: bigint;
}

/** What QEMU's dump-guest-memory can be told. */
export interface DumpOptions {
  /** Absolute. */
  readonly path: string;
  readonly format?: 'elf' | 'kdump-zlib' | 'kdump-lzo' | 'kdump-snappy';
  /** Bytes; only for ELF, and only with `length`. */
  readonly begin?: bigint;
  readonly length?: bigint;
  readonly paging?: boolean;
  readonly detach?: boolean;
}

/** A guest that has written everything, stopped: whatever is asked about it, the answer stays the same. */
export class RunningGuest {
  readonly built: BuiltGuest;
  readonly #qmp: Qmp;
  readonly #directory: Workdir;

  private constructor(built: BuiltGuest, qmp: Qmp, directory: Workdir) {
    this.built = built;
    this.#qmp = qmp;
    this.#directory = directory;
  }

  /** Starts a guest and stops it when it is ready. The caller closes it. */
  static async start(built: BuiltGuest, directory: Workdir): Promise<RunningGuest> {
    const qmp = new Qmp([...built.guest.machine, ...built.guest.load(built.image)]);
    try {
      await qmp.negotiate();
      const { address, value } = built.guest.done;
      const until = Date.now() + READY_WITHIN;
      for (;;) {
        const word = /: 0x([0-9a-f]+)/.exec(await qmp.human(`xp /1wx 0x${address.toString(16)}`))?.[1];
        if (word !== undefined && BigInt(`0x${word}`) === value) break;
        if (Date.now() > until) throw new Error(`${built.guest.name}: not ready after ${READY_WITHIN} ms`);
        await delay(20);
      }
      await qmp.execute('stop');
      return new RunningGuest(built, qmp, directory);
    } catch (error) {
      await qmp.close();
      throw error;
    }
  }

  get guest(): Guest {
    return this.built.guest;
  }

  /** @throws QmpError when QEMU refuses */
  async dump(options: DumpOptions): Promise<void> {
    this.#qmp.forget('DUMP_COMPLETED');
    await this.#qmp.execute('dump-guest-memory', {
      paging: options.paging ?? false,
      protocol: `file:${options.path}`,
      ...(options.format === undefined ? {} : { format: options.format }),
      ...(options.begin === undefined ? {} : { begin: Number(options.begin) }),
      ...(options.length === undefined ? {} : { length: Number(options.length) }),
      ...(options.detach === undefined ? {} : { detach: options.detach }),
    });
    // Also without `detach` QEMU announces the end; with it, only this does.
    await this.#qmp.event('DUMP_COMPLETED');
  }

  /** State of the last dump: query-dump. */
  async dumpState(): Promise<{ status: string; completed: number; total: number }> {
    const state = await this.#qmp.execute('query-dump');
    return {
      status: text(member(state, 'status')),
      completed: Number(member(state, 'completed')),
      total: Number(member(state, 'total')),
    };
  }

  /** Formats that this QEMU was built with. */
  async dumpFormats(): Promise<string[]> {
    const formats = member(await this.#qmp.execute('query-dump-guest-memory-capability'), 'formats');
    return Array.isArray(formats) ? formats.map(text) : [];
  }

  /** Physical memory, by pmemsave. */
  async memory(block: Block): Promise<Buffer> {
    const file = this.#directory.file('pmemsave');
    await this.#qmp.execute('pmemsave', { val: Number(block.start), size: Number(block.length), filename: file });
    const bytes = readFileSync(file);
    rmSync(file);
    return bytes;
  }

  /** RAM and ROM as the memory core has it, which is not what the dump code looks at; neighbours are one block. */
  async blocks(): Promise<Block[]> {
    const views = (await this.#qmp.human('info mtree -f')).split(/^FlatView /m);
    const view = views.find((candidate) => candidate.includes('AS "memory"')) ?? '';
    const blocks: Block[] = [];
    for (const [, from = '', to = ''] of view.matchAll(/^ *([0-9a-f]+)-([0-9a-f]+) \(prio -?\d+, (?:ram|rom)\)/gm)) {
      const start = BigInt(`0x${from}`);
      const length = BigInt(`0x${to}`) - start + 1n;
      const last = blocks.at(-1);
      if (last !== undefined && last.start + last.length === start) {
        blocks[blocks.length - 1] = { start: last.start, length: last.length + length };
      } else {
        blocks.push({ start, length });
      }
    }
    if (blocks.length === 0) throw new Error(`no memory in:\n${views.join('')}`);
    return blocks;
  }

  /** General registers of CPU 0, with gdb's names, by the monitor's `info registers`. */
  async registers(): Promise<Record<string, bigint>> {
    const shown = new Map<string, bigint>();
    for (const [, name = '', value = ''] of (await this.#qmp.human('info registers')).matchAll(
      /\b(\w+) *= *([0-9a-f]{8,16})\b/g,
    )) {
      if (!shown.has(name.toLowerCase())) shown.set(name.toLowerCase(), BigInt(`0x${value}`));
    }
    const psw = /\baddr ([0-9a-f]{16})/.exec(await this.#qmp.human('info registers'))?.[1];
    if (psw !== undefined) shown.set('pc', BigInt(`0x${psw}`));
    const found: Record<string, bigint> = {};
    for (const name of Object.keys(this.built.registers)) {
      const digits = /^([xr])(\d+)$/.exec(name);
      const padded = digits === null ? name : `${digits[1] ?? ''}${(digits[2] ?? '').padStart(2, '0')}`;
      const value = shown.get(name) ?? shown.get(padded);
      if (value !== undefined) found[name] = value;
    }
    return found;
  }

  async close(): Promise<void> {
    await this.#qmp.close();
  }
}
