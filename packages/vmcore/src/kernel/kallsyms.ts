import { VmcoreError } from '../errors.js';
import type { VmcoreInfo } from '../notes/vmcoreinfo.js';
import type { Dump } from '../read/dump.js';
import { wordAt } from './words.js';

/** Most symbols that are believed: kernels have 100,000 to 200,000. */
const MAX_SYMBOLS = 1 << 22;
/** Bytes of names that are read at once; none is longer. */
const BLOCK = 64 << 10;
/** A name is at most KSYM_NAME_LEN bytes before it is expanded, and so many after (bytes). */
const MAX_TOKENS = 512;
/** Symbols whose addresses VMCOREINFO tells too: they say how offsets are meant. */
const KNOWN = ['init_uts_ns', '_stext', 'swapper_pg_dir', 'init_top_pgt', 'node_online_map', 'prb'];

interface Tables {
  readonly names: bigint;
  readonly offsets: bigint;
  readonly base: bigint;
  readonly count: number;
  readonly tokens: readonly string[];
}

async function readTables(dump: Dump, info: VmcoreInfo): Promise<Tables | undefined> {
  const symbols = ['names', 'num_syms', 'token_table', 'token_index', 'offsets', 'relative_base'].map((name) =>
    info.symbol(`kallsyms_${name}`),
  );
  const [names, number, table, index, offsets, relative] = symbols;
  if (names === undefined || number === undefined || table === undefined || index === undefined) return undefined;
  if (offsets === undefined || relative === undefined) return undefined;
  const little = dump.byteOrder === 'little';
  const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view(await dump.readVirtual(number, 4)).getUint32(0, little);
  if (count > MAX_SYMBOLS) {
    throw new VmcoreError('BAD_DUMP', 'the kernel cannot have so many symbols', {
      file: dump.name,
      field: 'kallsyms_num_syms',
      found: String(count),
      expected: `at most ${MAX_SYMBOLS}`,
    });
  }
  const places = view(await dump.readVirtual(index, 512));
  const starts = Array.from({ length: 256 }, (_, token) => places.getUint16(2 * token, little));
  const texts = Buffer.from(await dump.readVirtual(table, Math.max(...starts) + MAX_TOKENS));
  const tokens = starts.map((start) => {
    const end = texts.indexOf(0, start);
    return texts.toString('latin1', start, end < 0 ? start : end);
  });
  const base = wordAt(await dump.readVirtual(relative, dump.wordBits / 8), 0, dump);
  return { names, offsets, base, count, tokens };
}

/** The names in order, each with its type's letter before it (Linux, scripts/kallsyms.c). */
async function* namesOf(dump: Dump, { names, count, tokens }: Tables): AsyncGenerator<string> {
  let bytes: Uint8Array = new Uint8Array(0);
  let [at, next] = [0, names];
  for (let symbol = 0; symbol < count; symbol += 1) {
    if (bytes.length - at < MAX_TOKENS + 2) {
      // The names may end with the image: what is not mapped behind them is not needed.
      const more = await readUntil(dump, next, BLOCK);
      bytes = Buffer.concat([bytes.subarray(at), more]);
      next += BigInt(more.length);
      at = 0;
    }
    let length = bytes[at] ?? 0;
    at += 1;
    if (length >= 0x80) {
      length = (length & 0x7f) | ((bytes[at] ?? 0) << 7);
      at += 1;
    }
    if (length > MAX_TOKENS || at + length > bytes.length) {
      throw new VmcoreError('BAD_DUMP', "the names of the kernel's symbols are damaged", {
        file: dump.name,
        field: 'kallsyms_names',
        found: `${length} bytes of symbol ${symbol}`,
      });
    }
    let name = '';
    for (let index = 0; index < length; index += 1) name += tokens[bytes[at + index] ?? 0] ?? '';
    at += length;
    yield name;
  }
}

async function readUntil(dump: Dump, address: bigint, length: number): Promise<Uint8Array> {
  const inPage = Number(address & 0xfffn);
  for (let size = length - inPage; size > 4096; size = Math.floor(size / 8192) * 4096) {
    try {
      return await dump.readVirtual(address, size);
    } catch (error) {
      if (!(error instanceof VmcoreError) || error.code === 'READ_FAILED') throw error;
    }
  }
  return dump.readVirtual(address, 4096 - inPage);
}

/**
 * Looks symbols up in the kernel's own table, whose places VMCOREINFO tells since Linux 6.0.
 * @returns addresses by name, of those that were found; undefined where VMCOREINFO does not tell
 * @throws VmcoreError `BAD_DUMP`, and what reading the kernel's memory comes to
 */
export async function lookUpSymbols(
  dump: Dump,
  wanted: ReadonlySet<string>,
): Promise<ReadonlyMap<string, bigint> | undefined> {
  const { vmcoreinfo: info } = dump;
  const tables = info === undefined ? undefined : await readTables(dump, info);
  if (info === undefined || tables === undefined) return undefined;
  const told = new Map(KNOWN.flatMap((name) => [[name, info.symbol(name)] as const]));
  const indices = new Map<string, number>();
  let index = 0;
  for await (const typed of namesOf(dump, tables)) {
    const name = typed.slice(1);
    if ((wanted.has(name) || told.get(name) !== undefined) && !indices.has(name)) indices.set(name, index);
    index += 1;
  }
  const little = dump.byteOrder === 'little';
  const raw = new Map<string, number>();
  for (const [name, place] of indices) {
    const bytes = await dump.readVirtual(tables.offsets + BigInt(4 * place), 4);
    raw.set(name, new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, little));
  }
  const { base } = tables;
  const wrap = (value: bigint): bigint => BigInt.asUintN(dump.wordBits, value);
  const plain = (offset: number): bigint => wrap(base + BigInt(offset >>> 0));
  // With CONFIG_KALLSYMS_ABSOLUTE_PERCPU what is not negative is absolute.
  const signed = (offset: number): bigint => wrap(offset >= 0 ? BigInt(offset) : base - 1n - BigInt(offset));
  const right = [plain, signed].find((decode) =>
    [...raw].some(([name, offset]) => told.get(name) !== undefined && decode(offset) === told.get(name)),
  );
  if (right === undefined) {
    throw new VmcoreError('UNSUPPORTED', "the addresses of the kernel's symbols are written in an unknown way", {
      file: dump.name,
      field: 'kallsyms_offsets',
      expected: 'the addresses that VMCOREINFO has; name the kernel (--vmlinux FILE)',
    });
  }
  const found = new Map<string, bigint>();
  for (const [name, offset] of raw) if (wanted.has(name)) found.set(name, right(offset));
  return found;
}
