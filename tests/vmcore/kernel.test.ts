import { openDump, readLog, writeDump, type Dump, type LogRecord, type MemoryImage } from '@instar/vmcore';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { instar, program } from '../support/command.js';
import { requireJudge } from '../support/judge.js';
import { workdir, type Workdir } from '../support/workdir.js';
import {
  DIRECT,
  LOG_DATA,
  ancientKernel,
  newKernel,
  oldKernel,
  PHYS_BASE,
  SCATTERED,
  TEXT,
  type Line,
} from './kernel-memory.js';
import { DRGN, GDB, MAKEDUMPFILE, SYSTEM_PYTHON } from './tools.js';

const LINES: readonly Line[] = [
  { time: 0n, level: 5, text: 'Linux version 6.1.0-test (a test) #1 SMP' },
  { time: 1_234_567_890n, level: 6, text: 'two lines\nof one record' },
  { time: 98_765_432_109_876n, level: 0, text: 'Kernel panic - not syncing: \u001b[31mred\u00e9' },
  { time: 98_765_432_109_999n, level: 7, text: '' },
  { time: 98_765_500_000_000n, level: 3, text: 'the last one' },
];
/** More than the rings hold in one turn. */
const MANY: readonly Line[] = Array.from({ length: 14 }, (_, index) => ({
  time: BigInt(index) * 1_000_000_007n,
  level: index % 8,
  text: `record ${index} ${'.'.repeat(index * 3)}`,
}));

const KERNELS: readonly (readonly [string, readonly Line[], () => MemoryImage])[] = [
  ['of before 5.10', LINES, () => oldKernel(LINES)],
  ['of before 5.10, whose buffer has begun anew', MANY, () => oldKernel(MANY, 3800)],
  ['since 5.10', LINES, () => newKernel(LINES)],
  ['since 5.10, whose rings are in a later turn', MANY, () => newKernel(MANY, 1011)],
  ['since 5.10, with five levels of page tables', LINES, () => newKernel(LINES, 3, true)],
];

async function withDump(image: MemoryImage, format: 'elf' | 'kdump'): Promise<Workdir> {
  const directory = workdir();
  await writeDump(image, { file: directory.file('dump') }, { format });
  return directory;
}

async function logOf(dump: Dump): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  for await (const record of readLog(dump)) records.push(record);
  return records;
}

describe('the log of a kernel', () => {
  it.each(KERNELS)('%s is read whole, with times and levels', async (_name, lines, image) => {
    for (const format of ['elf', 'kdump'] as const) {
      const dump = await openDump((await withDump(image(), format)).file('dump'));
      const records = await logOf(dump);
      expect(records.map(({ time, level, text }) => ({ time, level, text: Buffer.from(text).toString() }))).toEqual(
        lines,
      );
      expect(records.every(({ facility }) => facility === 1)).toBe(true);
      await dump.close();
    }
  });

  it.for(KERNELS)('%s is printed as makedumpfile prints it', async ([, , image], context) => {
    requireJudge(context, MAKEDUMPFILE);
    const directory = await withDump(image(), 'kdump');
    const ours = instar('vmcore', 'dmesg', 'dump').in(directory).must().stdout;
    const theirs = program('timeout', '60', 'makedumpfile', '-f', '--dump-dmesg', 'dump', 'log').in(directory).run();
    expect(`${theirs.stdout}${theirs.stderr}`).toContain('saved to log');
    // makedumpfile prints bytes above 0x7f as negative numbers: \xffffffc3.
    expect(ours).toBe(readFileSync(directory.file('log'), 'latin1').replaceAll('\\xffffff', '\\x'));
  });

  it('tells who wrote a record, and is refused with what is missing where there is no VMCOREINFO', async () => {
    const directory = await withDump(newKernel(LINES), 'elf');
    const shown = instar('vmcore', 'dmesg', '--caller', 'dump').in(directory).must().stdout;
    expect(shown).toMatch(/^\[ {4}0\.000000\] \[ {3}T42\] Linux version/);
    expect(shown).toMatch(/\[ {4}C3\] two lines\n {24}of one record/);
    const records = instar('vmcore', 'dmesg', '--json', 'dump').in(directory).must().stdout;
    expect(JSON.parse(records)).toMatchObject({ records: [{ sequence: 0, level: 5, caller: 'T42' }, {}, {}, {}, {}] });
    instar('vmcore', 'filter', '--begin', '0', '--length', '4K', 'dump', 'part').in(directory).must();
    const refused = instar('vmcore', 'dmesg', 'part').in(directory).run();
    expect([refused.status, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toMatch(/cannot be looked up: its PML4 table is not in the dump/);
  });
});

describe('the log of a kernel before 3.5', () => {
  const lines = MANY.map(({ time, level, text }) => ({ time: (time / 1000n) * 1000n, level, text }));

  it.for([
    ['that was never full', 4096],
    ['that has begun anew', 256],
  ] as const)('%s has the lines that makedumpfile prints', async ([, size], context) => {
    requireJudge(context, MAKEDUMPFILE);
    const directory = await withDump(ancientKernel(lines, size), 'kdump');
    const ours = instar('vmcore', 'dmesg', 'dump').in(directory).must().stdout;
    program('makedumpfile', '-f', '--dump-dmesg', 'dump', 'log').in(directory).must();
    // It prints the ring as it is, with levels; and the end of a line whose start was overwritten.
    const theirs = readFileSync(directory.file('log'), 'latin1').replaceAll(/^<\d>/gm, '').split('\n');
    expect(ours.split('\n').slice(1)).toEqual(theirs.slice(1));
    const dump = await openDump(directory.file('dump'));
    const records = await logOf(dump);
    // The first one may have lost its start.
    const whole = records.slice(size === 256 ? 1 : 0);
    expect(whole.length).toBeGreaterThan(2);
    expect(whole.map(({ time, level, text }) => ({ time, level, text: Buffer.from(text).toString() }))).toEqual(
      lines.slice(lines.length - whole.length),
    );
    await dump.close();
  });
});

describe('virtual addresses', () => {
  it('are looked up through pages of each size, and read where pages do not follow each other', async () => {
    const directory = await withDump(newKernel(LINES), 'kdump');
    const dump = await openDump(directory.file('dump'));
    const text = TEXT + 0x12_3456n;
    expect(await dump.translate(text)).toEqual({ physical: 0x132_3456n, pageSize: 2n << 20n, level: 'PD' });
    expect(await dump.translate(DIRECT + 0x5678n)).toEqual({ physical: 0x5678n, pageSize: 1n << 30n, level: 'PDPT' });
    const across = Buffer.from(await dump.readVirtual(SCATTERED + 4000n, 200));
    expect(across.toString()).toMatch(/^tered 0 scattered 0 .* scattered 1 /);
    expect(across.subarray(96).toString('latin1').startsWith('scattered 1 ')).toBe(true);
    await expect(dump.translate(SCATTERED + 0x2000n)).rejects.toMatchObject({ code: 'NOT_MAPPED', field: 'PT' });
    await expect(dump.translate(0x1000n)).rejects.toMatchObject({ code: 'NOT_MAPPED', field: 'PML4' });
    await expect(dump.translate(1n << 50n)).rejects.toMatchObject({ code: 'NOT_MAPPED' });
    const pgd = TEXT + 0x10_0000n;
    const { physical } = await dump.translate(pgd);
    expect(physical - (pgd - 0xffff_ffff_8000_0000n)).toBe(PHYS_BASE);
    expect((await dump.translate(text, { pgd: physical })).physical).toBe(0x132_3456n);
    await dump.close();
    const raw = instar('vmcore', 'read', '--virtual', 'dump', `0x${(SCATTERED + 4096n).toString(16)}`, '16');
    expect(raw.in(directory).must().stdout).toContain('scattered 1');
  });

  it.for([
    { how: 'was a kdump', words: ['convert'] },
    { how: 'lacks pages of the image', words: ['filter', '--exclude', 'zero'] },
  ])('are those that gdb finds in an ELF file that $how', async ({ words: command }, context) => {
    requireJudge(context, GDB);
    const directory = await withDump(newKernel(LINES), 'kdump');
    instar('vmcore', ...command, '--to', 'elf', 'dump', 'elf')
      .in(directory)
      .must();
    const dump = await openDump(directory.file('dump'));
    const ring = dump.vmcoreinfo?.symbol('prb') ?? 0n;
    const words = [`x/gx 0x${ring.toString(16)}`, `x/s 0x${(DIRECT + BigInt(LOG_DATA + 8)).toString(16)}`];
    const shown = program('gdb', '-nx', '-batch', '-c', 'elf', ...words.flatMap((word) => ['-ex', word]))
      .in(directory)
      .run().stdout;
    const expected = Buffer.from(await dump.readVirtual(ring, 8)).readBigUInt64LE();
    expect(shown).toContain(`0x${expected.toString(16)}`);
    expect(shown).toContain('Linux version 6.1.0-test');
    await dump.close();
  });

  it('are those that drgn reads through the same page tables', async (context) => {
    requireJudge(context, DRGN);
    const directory = await withDump(newKernel(LINES), 'elf');
    const script = `import drgn
prog = drgn.Program()
prog.set_core_dump("dump")
print(prog.read(${SCATTERED}, 24), prog.read(${SCATTERED + 4096n}, 24))`;
    const shown = program(SYSTEM_PYTHON, '-c', script).in(directory).run();
    expect(`${shown.stdout}${shown.stderr}`).toContain("b'scattered 0 scattered 0 ' b'scattered 1 scattered 1 '");
  });
});
