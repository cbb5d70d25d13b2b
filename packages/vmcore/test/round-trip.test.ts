import fc from 'fast-check';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  openDump,
  splitDump,
  unflatten,
  flatten,
  writeDump,
  type Compression,
  type Dump,
  type Machine,
  type MemoryImage,
} from '../src/index.js';
import { createReadStream } from 'node:fs';
import { extentsOf, madeUpImage, MadeUpMemory, memoryMaps, pageRanges, type MemoryMap } from './support/memory.js';

const RUNS = Number(process.env['INSTAR_CASES'] ?? 40);
/** A failure is told before the test runner gives up. */
const LIMIT = { interruptAfterTimeLimit: 100_000, markInterruptAsFailure: true };
const directory = mkdtempSync(join(tmpdir(), 'instar-vmcore-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});
const file = (name: string): string => join(directory, name);

const compressions: readonly Compression[] = ['none', 'zlib', 'lzo', 'snappy', 'zstd'];
const machines: readonly { machine: Machine; wordBits: 32 | 64; limit: bigint; register: string }[] = [
  { machine: 'x86_64', wordBits: 64, limit: 1n << 42n, register: 'rip' },
  { machine: 's390x', wordBits: 64, limit: 1n << 42n, register: 'psw_addr' },
  { machine: 'aarch64', wordBits: 64, limit: 1n << 42n, register: 'pc' },
  { machine: 'i386', wordBits: 32, limit: 1n << 32n, register: 'eip' },
];

const vmcoreinfo =
  'OSRELEASE=6.1.0-test\nPAGESIZE=4096\nSYMBOL(_stext)=ffffffff81000000\nNUMBER(phys_base)=-16777216\n';

function imageOf(map: MemoryMap, { machine, register }: (typeof machines)[number]): MemoryImage {
  return madeUpImage(map, {
    machine,
    vmcoreinfo,
    cpus: [{ registers: { [register]: 0x1234_5678n } }, { registers: { [register]: 0xfedc_ba98n }, pid: 42 }],
    notes: [{ name: 'LINUX', type: 0x202, descriptor: Uint8Array.of(1, 2, 3, 4, 5) }],
  });
}

async function withDump<T>(path: string | readonly string[], use: (dump: Dump) => Promise<T>): Promise<T> {
  const dump = await openDump(path);
  try {
    return await use(dump);
  } finally {
    await dump.close();
  }
}

/** Every byte that the map has, and zeros in the rest of its pages, where the format has whole pages. */
async function expectMemory(dump: Dump, map: MemoryMap): Promise<void> {
  const memory = new MadeUpMemory(map.seed, map.pageSize);
  for (const { start, length } of map.ranges) {
    const expected = new Uint8Array(Number(length));
    memory.fill(start, expected);
    const found = await dump.read(start, Number(length));
    expect(Buffer.compare(found, expected)).toBe(0);
  }
}

function expectState(dump: Dump, image: MemoryImage, register: string): void {
  expect(dump.machine).toBe(image.machine);
  expect(dump.byteOrder).toBe(image.byteOrder);
  expect(dump.wordBits).toBe(image.wordBits);
  expect(dump.notes).toEqual(image.notes);
  expect(dump.cpus.map((cpu) => [cpu.pid, cpu.registers[register]])).toEqual([
    [1, 0x1234_5678n],
    [42, 0xfedc_ba98n],
  ]);
  expect(dump.vmcoreinfo?.text).toBe(vmcoreinfo);
  expect(dump.vmcoreinfo?.physBase).toBe(-16777216n);
}

describe('a dump that was written', () => {
  it('goes from memory to ELF, kdump, flattened kdump and back to ELF with every byte, note and register', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...machines).chain((machine) => fc.tuple(fc.constant(machine), memoryMaps(machine.limit))),
        fc.constantFrom(...compressions),
        fc.boolean(),
        async ([machine, map], compression, flattened) => {
          const image = imageOf(map, machine);
          await writeDump(image, { file: file('a.elf') }, { format: 'elf', flattened });
          await withDump(file('a.elf'), async (elf) => {
            expect(elf.files[0]?.flattened).toBe(flattened);
            expectState(elf, image, machine.register);
            await expectMemory(elf, map);
            await writeDump(
              { ...elf, pageSize: map.pageSize },
              { file: file('b.kdump') },
              { format: 'kdump', compression },
            );
          });
          await withDump(file('b.kdump'), async (kdump) => {
            expectState(kdump, image, machine.register);
            expect(await extentsOf(kdump)).toEqual(pageRanges(map));
            expect(kdump.pageSize).toBe(map.pageSize);
            await expectMemory(kdump, map);
            await writeDump(kdump, { file: file('c.flat') }, { format: 'kdump', compression, flattened: true });
          });
          await withDump(file('c.flat'), async (flat) => {
            expectState(flat, image, machine.register);
            expect(flat.files[0]?.flattened).toBe(true);
            await expectMemory(flat, map);
            await writeDump(flat, { file: file('d.elf') }, { format: 'elf' });
          });
          await withDump(file('d.elf'), async (elf) => {
            expectState(elf, image, machine.register);
            expect(await extentsOf(elf)).toEqual(pageRanges(map));
            await expectMemory(elf, map);
          });
        },
      ),
      { numRuns: RUNS, ...LIMIT },
    );
  });

  it('is the same bytes after flatten and unflatten', async () => {
    await fc.assert(
      fc.asyncProperty(memoryMaps(1n << 40n), fc.constantFrom('elf', 'kdump'), async (map, format) => {
        const image = madeUpImage(map, { machine: 'x86_64' });
        await writeDump(image, { file: file('e') }, { format: format === 'elf' ? 'elf' : 'kdump' });
        await flatten(file('e'), { file: file('e.flat') });
        await unflatten(map.seed % 2 === 0 ? file('e.flat') : createReadStream(file('e.flat')), file('e.again'));
        await withDump(file('e.again'), async (again) => expectMemory(again, map));
        await withDump(file('e'), async (dump) =>
          withDump(file('e.flat'), async (flat) => {
            expect(await extentsOf(flat)).toEqual(await extentsOf(dump));
          }),
        );
      }),
      { numRuns: Math.ceil(RUNS / 4), ...LIMIT },
    );
  });

  it('is whole again when its parts are opened together', async () => {
    await fc.assert(
      fc.asyncProperty(memoryMaps(1n << 40n), fc.integer({ min: 2, max: 5 }), async (map, count) => {
        const image = imageOf(map, machines[0] ?? { machine: 'x86_64', wordBits: 64, limit: 0n, register: 'rip' });
        const parts = Array.from({ length: count }, (_, index) => file(`part-${index}`));
        await splitDump(image, parts, { compression: 'zstd' });
        await withDump([...parts].reverse(), async (whole) => {
          expectState(whole, image, 'rip');
          expect(await extentsOf(whole)).toEqual(pageRanges(map));
          await expectMemory(whole, map);
        });
      }),
      { numRuns: Math.ceil(RUNS / 4), ...LIMIT },
    );
  });
});
