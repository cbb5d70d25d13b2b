import { type Dump, openDump } from '@instar/vmcore';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { type Judge, judgeVersion, requireJudge } from '../support/judge.js';
import { Workdir } from '../support/workdir.js';
import { readWithGdb } from './judges/gdb.js';
import { rearrange } from './judges/makedumpfile.js';
import { type ShownNote, readElf } from './judges/readelf.js';
import { GUESTS, X86_64, build, vmcoreName } from './qemu/guest.js';
import { type Block, type DumpOptions, RunningGuest } from './qemu/machine.js';
import { QmpError } from './qemu/qmp.js';
import { GDB_MULTIARCH, MAKEDUMPFILE, READELF } from './tools.js';

/** How QEMU is asked for a dump. */
interface Variant {
  readonly name: string;
  readonly options: Omit<DumpOptions, 'path'>;
  /** Whether makedumpfile turns the flattened stream into the file that it stands for. */
  readonly rearranged?: boolean;
}

const VARIANTS: readonly Variant[] = [
  { name: 'ELF', options: { format: 'elf' } },
  { name: 'ELF, detached', options: { format: 'elf', detach: true } },
  { name: 'flattened kdump-zlib', options: { format: 'kdump-zlib' } },
  { name: 'flattened kdump-zlib, detached', options: { format: 'kdump-zlib', detach: true } },
  { name: 'kdump-zlib, rearranged', options: { format: 'kdump-zlib' }, rearranged: true },
];

/** Where memory lies, neighbouring extents as one. */
async function memoryOf(dump: Dump): Promise<Block[]> {
  const blocks: Block[] = [];
  for await (const { start, length } of dump.extents()) {
    const last = blocks.at(-1);
    if (last !== undefined && last.start + last.length === start) {
      blocks[blocks.length - 1] = { start: last.start, length: last.length + length };
    } else {
      blocks.push({ start, length });
    }
  }
  return blocks;
}

/** What is left of blocks in a window. */
function clipped(blocks: readonly Block[], begin: bigint, length: bigint): Block[] {
  return blocks.flatMap((block) => {
    const start = block.start > begin ? block.start : begin;
    const end = block.start + block.length < begin + length ? block.start + block.length : begin + length;
    return end > start ? [{ start, length: end - start }] : [];
  });
}

describe.each(GUESTS)("a dump of QEMU's $name guest", (guest) => {
  let directory: Workdir;
  let running: RunningGuest | undefined;
  let memory: { readonly block: Block; readonly bytes: Buffer }[] = [];
  const judges: readonly Judge[] = [...guest.judges, MAKEDUMPFILE, GDB_MULTIARCH, READELF];
  const elf = (): string => directory.file('judged.elf');

  beforeAll(async () => {
    directory = new Workdir();
    if (!judges.every((judge) => judgeVersion(judge) !== undefined)) return;
    running = await RunningGuest.start(build(guest, directory), directory);
    memory = [];
    for (const block of await running.blocks()) memory.push({ block, bytes: await running.memory(block) });
    await running.dump({ path: elf() });
  });

  afterAll(async () => {
    await running?.close();
    directory.remove();
  });

  function started(): RunningGuest {
    if (running === undefined) throw new Error('not started');
    return running;
  }

  /** Dumps it and opens the dump; whoever asked closes it. */
  async function dumped({ options, rearranged }: Variant): Promise<Dump> {
    const path = directory.file('dump');
    directory.delete('dump');
    await started().dump({ path, ...options });
    if (rearranged !== true) return openDump(path);
    rearrange(path, directory.file('rearranged'));
    return openDump(directory.file('rearranged'));
  }

  const blocks = (): Block[] => memory.map(({ block }) => block);

  function bytesAt({ start, length }: Block): Buffer {
    const holder = memory.find(({ block }) => start >= block.start && start < block.start + block.length);
    if (holder === undefined) throw new Error(`no memory at ${start}`);
    const from = Number(start - holder.block.start);
    return holder.bytes.subarray(from, from + Number(length));
  }

  async function expectBytes(dump: Dump, expected: readonly Block[]): Promise<void> {
    for (const block of expected) {
      const read = await dump.read(block.start, Number(block.length));
      expect(Buffer.compare(read, bytesAt(block)), `memory from ${block.start} on`).toBe(0);
    }
  }

  describe.each(VARIANTS)('as $name', (variant) => {
    let dump: Dump | undefined;

    beforeAll(async () => {
      if (running !== undefined) dump = await dumped(variant);
    });

    afterAll(async () => dump?.close());

    function opened(): Dump {
      if (dump === undefined) throw new Error('not dumped');
      return dump;
    }

    it('holds every byte that pmemsave saves, and no other memory', async (context) => {
      for (const judge of judges) requireJudge(context, judge);
      const found = await memoryOf(opened());
      expect(found).toEqual(blocks());
      await expectBytes(opened(), blocks());
    });

    it('says how its words are stored', (context) => {
      for (const judge of judges) requireJudge(context, judge);
      const { format, byteOrder, wordBits, files, pageSize } = opened();
      expect({ format, byteOrder, wordBits }).toEqual({
        format: variant.options.format === 'elf' ? 'elf' : 'kdump',
        byteOrder: guest.littleEndian ? 'little' : 'big',
        wordBits: guest.elfClass === 'ELF64' ? 64 : 32,
      });
      expect(files.map(({ flattened }) => flattened)).toEqual([
        variant.options.format !== 'elf' && variant.rearranged !== true,
      ]);
      if (format === 'kdump') expect(pageSize).toBe(guest.blockSize);
    });

    it('says which machine it was', (context) => {
      for (const judge of judges) requireJudge(context, judge);
      expect(opened().machine).toBe(guest.processor);
    });

    it('has the registers that the monitor and gdb show', async (context) => {
      for (const judge of judges) requireJudge(context, judge);
      const names = Object.keys(started().built.registers);
      const { cpus } = readWithGdb(elf(), [], names, true);
      const found = opened().cpus.map(({ registers }) =>
        Object.fromEntries(names.map((name) => [name, registers[vmcoreName(guest, name)]])),
      );
      expect(found).toEqual(cpus);
      expect(found[0]).toEqual(await started().registers());
      expect(opened().cpus[0]?.programCounter).toBe(started().built.registers[guest.programCounter]);
    });

    it('has the notes that readelf shows, with the VMCOREINFO that the guest wrote', (context) => {
      for (const judge of judges) requireJudge(context, judge);
      const notes = opened().notes.map(({ name, descriptor }): ShownNote => ({ owner: name, size: descriptor.length }));
      expect(notes).toEqual(readElf(elf()).notes);
      expect(opened().vmcoreinfo?.text).toBe(guest.vmcoreinfo);
      if (guest.vmcoreinfo === undefined) return;
      expect(opened().vmcoreinfo?.osRelease).toBe('6.1.0-instar-guest');
      expect(opened().vmcoreinfo?.pageSize).toBe(BigInt(guest.blockSize));
    });
  });

  it('filtered by begin and length holds just what was asked for', async (context) => {
    for (const judge of judges) requireJudge(context, judge);
    const end = blocks().at(-1)?.start ?? 0n;
    const windows: [bigint, bigint][] = [
      [guest.pattern + 0x1003n, 7n],
      [guest.pattern + 0xfffn, 0x2_0002n],
      [guest.pattern + 0x2_0000n, 0x1_0001n],
      [guest.pattern - 5n, 0x4_0003n],
      // Over the hole between two blocks, where there is one.
      [guest.pattern + 0x3_3333n, end - guest.pattern - 0x3_3333n + 0x1001n],
    ];
    for (const [begin, length] of windows) {
      if (length <= 0n) continue;
      const dump = await dumped({ name: 'filtered', options: { format: 'elf', begin, length } });
      const expected = clipped(blocks(), begin, length);
      expect(expected).not.toEqual([]);
      expect(await memoryOf(dump)).toEqual(expected);
      await expectBytes(dump, expected);
      await expect(dump.read(begin - 1n, 1)).rejects.toMatchObject({ code: 'NO_MEMORY' });
      await expect(dump.read(begin + length, 1)).rejects.toMatchObject({ code: 'NO_MEMORY' });
      await dump.close();
    }
    // QEMU takes no filter for kdump, and none that leaves nothing.
    const path = directory.file('refused');
    const window = { begin: guest.pattern, length: 4096n };
    await expect(started().dump({ path, format: 'kdump-zlib', ...window })).rejects.toThrow(QmpError);
    await expect(started().dump({ path, begin: 1n << 50n, length: 4096n })).rejects.toThrow(QmpError);
  });

  // QEMU walks the page tables of x86 only, and only this guest has some.
  if (guest !== X86_64) return;

  it('with the virtual addresses of its page tables holds the same memory', async (context) => {
    for (const judge of judges) requireJudge(context, judge);
    const dump = await dumped({ name: 'paging', options: { format: 'elf', paging: true } });
    // Of a mapping over several blocks QEMU's headers reach the first one only.
    const loads = readElf(directory.file('dump')).segments.filter(
      ({ type, fileSize }) => type === 'LOAD' && fileSize > 0n,
    );
    expect(loads.map((segment) => segment.virtual)).toContain(0xffff_ffff_8000_0000n);
    await expectBytes(
      dump,
      loads.map(({ physical, fileSize }) => ({ start: physical, length: fileSize })),
    );
    await dump.close();
  });
});
