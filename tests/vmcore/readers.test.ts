import { readFileSync, writeFileSync } from 'node:fs';

import { openDump } from '@instar/vmcore';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { requireJudge } from '../support/judge.js';
import { Random } from '../support/random.js';
import { Workdir } from '../support/workdir.js';
import { readWithCrash } from './judges/crash.js';
import { readWithDrgn } from './judges/drgn.js';
import { describeFile } from './judges/file.js';
import { readWithGdb } from './judges/gdb.js';
import { readWithKdumpfile } from './judges/kdumpfile.js';
import { convertWithMakedumpfile, rearrange } from './judges/makedumpfile.js';
import { readElf } from './judges/readelf.js';
import { ReaderRefusal, type Reading } from './judges/reading.js';
import { type InventedMachine, OS_RELEASE, X86_64_FRAGMENTED } from './readers/machines.js';
import { READERS, type Reader, TABLE_FILE, Table } from './readers/table.js';
import { type DumpVariant, VARIANTS, writeVariant } from './readers/variants.js';
import { CRASH, DRGN, FILE, GDB, GDB_MULTIARCH, LIBKDUMPFILE, MAKEDUMPFILE, READELF } from './tools.js';

const SEED = Number(process.env['INSTAR_SEED'] ?? 20_261_121);
const PLACES = 1000;
/** Linux, Documentation/arch/x86/x86_64/mm.rst: direct mapping of all physical memory, 4 levels. */
const LINUX_PAGE_OFFSET = 0xffff_8880_0000_0000n;
/** Of these, what our own reader looks at: it has tests of its own. */
const OWN_PLACES = 250;
const JUDGES = {
  gdb: GDB_MULTIARCH,
  crash: CRASH,
  makedumpfile: MAKEDUMPFILE,
  libkdumpfile: LIBKDUMPFILE,
  drgn: DRGN,
  readelf: READELF,
  file: FILE,
} as const;

const table = new Table();

/** Holds what a reader found to what was written. @returns what was compared */
function compared(reading: Reading, machine: InventedMachine, expected: readonly Buffer[]): string[] {
  const same: string[] = [];
  if (reading.cpus !== undefined) {
    expect(reading.cpus).toEqual(machine.cpus);
    same.push('R');
  }
  if (reading.bytes !== undefined) {
    const differing = expected.findIndex((bytes, index) => reading.bytes?.[index]?.equals(bytes) !== true);
    expect({ differing, read: reading.bytes[differing] }).toEqual({ differing: -1, read: undefined });
    expect(reading.bytes).toHaveLength(expected.length);
    same.push('B');
  }
  if (reading.vmcoreinfo !== undefined || reading.osRelease !== undefined) {
    if (reading.vmcoreinfo !== undefined) expect(reading.vmcoreinfo).toBe(machine.vmcoreinfo);
    else expect({ [OS_RELEASE]: machine.vmcoreinfo !== undefined }).toEqual({ [reading.osRelease ?? '']: true });
    same.push('V');
  }
  return same;
}

describe.each(VARIANTS)('$name', (variant: DumpVariant) => {
  const { machine, options } = variant;
  let directory: Workdir;
  let expected: readonly Buffer[] = [];
  const places = machine.memory.places(PLACES, new Random(SEED));
  const names = Object.keys(machine.cpus[0] ?? {});
  const foreign = !['x86_64', 'i386'].includes(machine.provider.machine);
  const file = (): string => directory.file('dump');

  beforeAll(async () => {
    directory = new Workdir();
    expected = places.map((place) => machine.memory.bytes(place));
    await writeVariant(variant, file());
  });

  afterAll(() => {
    directory.remove();
  });

  /** All that `@instar/vmcore` itself finds in a dump, as a reader among others. */
  async function readByOurselves(path: string): Promise<Reading> {
    const dump = await openDump(path);
    const bytes: Buffer[] = [];
    for (const { address, length } of places.slice(0, OWN_PLACES)) {
      bytes.push(Buffer.from(await dump.read(address, length, { excluded: 'zero' })));
    }
    const renamed = (registers: Readonly<Record<string, bigint>>): Record<string, bigint> =>
      Object.fromEntries(names.map((name) => [name, registers[name] ?? registers['psw_addr'] ?? -1n]));
    const cpus = dump.cpus.map(({ registers }) => renamed(registers));
    await dump.close();
    // Without VMCOREINFO makedumpfile names no machine in the header.
    return { cpus: dump.machine === 'unknown' ? undefined : cpus, bytes, vmcoreinfo: dump.vmcoreinfo?.text };
  }

  /** Where gdb finds the places: dumps of a Linux on x86-64 have the addresses of its mapping of all memory. */
  function virtualPlaces(): typeof places {
    const linux = machine.provider.machine === 'x86_64' && machine.vmcoreinfo?.includes('SYMBOL(_stext)=') === true;
    if (!linux) return places;
    return places.map(({ address, length }) => ({ address: address + LINUX_PAGE_OFFSET, length }));
  }

  /** Reads by one of the programs. @throws ReaderRefusal */
  async function readBy(reader: Reader): Promise<string[]> {
    switch (reader) {
      case 'gdb':
        return compared(readWithGdb(file(), virtualPlaces(), names, foreign), machine, expected);
      case 'crash':
        return compared(readWithCrash(file()), machine, expected);
      case 'libkdumpfile':
        return compared(readWithKdumpfile(file(), places, names), machine, expected);
      case 'drgn':
        return compared(readWithDrgn(file(), places, names), machine, expected);
      case 'makedumpfile': {
        const result = directory.file('result');
        if (options.flattened) {
          rearrange(file(), result);
          const plain = directory.file('plain');
          await writeVariant({ ...variant, options: { ...options, flattened: false } }, plain);
          expect(readFileSync(result).equals(readFileSync(plain))).toBe(true);
          return ['='];
        }
        convertWithMakedumpfile(file(), result, ['-c', '-d', '0']);
        return ['C', ...compared(await readByOurselves(result), machine, expected.slice(0, OWN_PLACES))];
      }
      case 'readelf': {
        const shown = readElf(file());
        const [elfClass, data, name] = machine.readelf;
        expect(shown).toMatchObject({ elfClass, machine: name, type: 'CORE (Core file)', warnings: [] });
        expect(shown.data).toMatch(data);
        // The kernel's image is shown a second time, where x86-64 maps it: each part of it that there is.
        const kernel = ({ virtual }: { readonly virtual: bigint }): boolean => virtual >= 0xffff_ffff_8000_0000n;
        const loads = shown.segments.filter((segment) => segment.type === 'LOAD' && !kernel(segment));
        const mapped = shown.segments.filter(kernel);
        expect(mapped.every(({ virtual, physical }) => virtual - physical === 0xffff_ffff_8000_0000n)).toBe(true);
        const parts = mapped.map(({ physical, fileSize }) => [physical, physical + fileSize] as const);
        const { ranges } = machine.memory;
        const lies = ([start, end]: readonly [bigint, bigint]): boolean => {
          // The last range that begins no later; they are in order.
          let [from, to] = [0, ranges.length];
          while (to - from > 1) {
            const middle = (from + to) >> 1;
            if ((ranges[middle]?.start ?? 0n) <= start) from = middle;
            else to = middle;
          }
          const range = ranges[from];
          return range !== undefined && range.start <= start && end <= range.start + range.length;
        };
        if (machine === X86_64_FRAGMENTED) expect(shown.segments.length).toBeGreaterThan(0xffff);
        expect(parts.every(lies) && new Set(parts.map(([start]) => start)).size === parts.length).toBe(true);
        expect(loads.map(({ physical, fileSize }) => ({ start: physical, length: fileSize }))).toEqual(
          machine.memory.ranges,
        );
        const info = machine.vmcoreinfo === undefined ? [] : ['VMCOREINFO'];
        expect(shown.notes.map(({ owner }) => owner)).toEqual(['CORE', 'CORE', ...info]);
        return ['H'];
      }
      case 'file': {
        const described = describeFile(file());
        const kind = options.format === 'elf' ? /^ELF (32|64)-bit [LM]SB core file/ : /^Kdump compressed dump v/;
        if (options.flattened && options.format === 'elf') throw new ReaderRefusal('file', described);
        expect(described).toMatch(options.flattened ? /^Flattened kdump compressed dump v/ : kind);
        return ['T'];
      }
    }
  }

  it('is read by its writer', async () => {
    expect(compared(await readByOurselves(file()), machine, expected.slice(0, OWN_PLACES))).toEqual(
      machine.vmcoreinfo === undefined ? ['R', 'B'] : ['R', 'B', 'V'],
    );
  });

  it.for(READERS)('%s: what it reads is the same', async (reader, context) => {
    requireJudge(context, JUDGES[reader]);
    if (reader === 'gdb') requireJudge(context, GDB);
    try {
      table.set(variant.name, reader, { same: await readBy(reader) });
    } catch (error) {
      if (!(error instanceof ReaderRefusal)) throw error;
      table.set(variant.name, reader, { refused: error.message.replaceAll(directory.path, '').replaceAll(/`/g, "'") });
    }
  });
});

describe('docs/vmcore-readers.md', () => {
  it('says which reader reads which variant', async (context) => {
    for (const reader of READERS) requireJudge(context, JUDGES[reader]);
    expect(table.size, 'this test needs those before it').toBe(VARIANTS.length * READERS.length);
    const markdown = await table.markdown(VARIANTS.map(({ name }) => name));
    if (process.env['INSTAR_WRITE_TABLE'] === '1') writeFileSync(TABLE_FILE, markdown);
    expect(readFileSync(TABLE_FILE, 'utf8'), 'npm test with INSTAR_WRITE_TABLE=1 writes it anew').toBe(markdown);
  });
});
