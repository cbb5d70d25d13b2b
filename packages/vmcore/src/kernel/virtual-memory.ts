import { VmcoreError } from '../errors.js';
import type { Dump, ReadOptions } from '../read/dump.js';
import { PageTables, type TranslateOptions, type Translation } from './page-walk.js';

/** Most bytes of one read. */
const READ_MAX = 1 << 30;
/** Pages whose place is kept: logs and lists go back and forth. */
const CACHED_PAGES = 4096;
/** Bytes of a large page that are read at once. */
const MOST_AT_ONCE = 1 << 20;

/** Memory of a dump as its kernel sees it. */
export class VirtualMemory {
  readonly #dump: Dump;
  readonly #tables: PageTables;
  readonly #pages = new Map<bigint, Translation>();

  private constructor(dump: Dump, tables: PageTables) {
    this.#dump = dump;
    this.#tables = tables;
  }

  /** @throws VmcoreError `UNSUPPORTED` when the page tables cannot be found */
  static async of(dump: Dump, options: TranslateOptions = {}): Promise<VirtualMemory> {
    return new VirtualMemory(dump, await PageTables.of(dump, options));
  }

  /** @throws VmcoreError `NOT_MAPPED` naming the level, and what reading a page table comes to */
  async translate(address: bigint): Promise<Translation> {
    return this.#tables.translate(address);
  }

  async #pageOf(address: bigint): Promise<Translation> {
    const page = address >> 12n;
    const known = this.#pages.get(page);
    if (known !== undefined) return known;
    const found = await this.translate(page << 12n);
    if (this.#pages.size >= CACHED_PAGES) this.#pages.clear();
    this.#pages.set(page, found);
    return found;
  }

  /** Reads memory at a virtual address; pages need not follow each other in physical memory. */
  async read(address: bigint, length: number, options?: ReadOptions): Promise<Uint8Array> {
    if (!Number.isInteger(length) || length < 0 || length > READ_MAX) {
      throw new VmcoreError('INVALID_ARGUMENT', 'cannot be read', {
        found: `length ${length}`,
        expected: `a length from 0 to ${READ_MAX}`,
      });
    }
    const parts: Uint8Array[] = [];
    for (let done = 0; done < length;) {
      const position = address + BigInt(done);
      const inPage = Number(position & 0xfffn);
      const { physical, pageSize } = await this.#pageOf(position);
      const at = physical + BigInt(inPage);
      const size = Math.min(length - done, Number(pageSize - (at & (pageSize - 1n))), MOST_AT_ONCE);
      parts.push(await this.#dump.read(at, size, options));
      done += size;
    }
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
  }
}
