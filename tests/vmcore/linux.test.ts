import { openDump, writeDump, type Dump } from '@instar/vmcore';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { instar, program, type Finished } from '../support/command.js';
import { judgeVersion, requireJudge, skipLoudly } from '../support/judge.js';
import { Workdir } from '../support/workdir.js';
import { readWithCrash } from './judges/crash.js';
import { readWithDrgn } from './judges/drgn.js';
import { readWithKdumpfile } from './judges/kdumpfile.js';
import { readElf } from './judges/readelf.js';
import { BootedLinux } from './linux/boot.js';
import { debianKernel, type KernelFiles } from './linux/debian.js';
import { CRASH, DRGN, LIBKDUMPFILE, MAKEDUMPFILE, QEMU_X86_64, READELF, VMCORE_DMESG } from './tools.js';

/** What is logged from inside, and processes that are looked for. */
const SCRIPT = `
echo '<4>a line of the test' > /dev/kmsg
sleep 4242 &
sh -c 'exec tail -f /dev/null' &
cat /bin/busybox > /tmp/cached
usleep 100000
dmesg > /tmp/log
ps -o pid,ppid,comm
`;
const DUMPS = ['elf', 'paging', 'kdump'] as const;
type DumpName = (typeof DUMPS)[number];

/** INSTAR_LINUX=all boots more machines, and tries more on each. */
const ALL = process.env['INSTAR_LINUX'] === 'all';
/** A kernel with each kind of page tables, and where its half of the addresses begins. */
const MACHINES = [
  { levels: 4, cpu: 'max,la57=off', half: 0xffff_8000_0000_0000n },
  ...(ALL ? [{ levels: 5, cpu: 'max', half: 0xff00_0000_0000_0000n }] : []),
];
/** Levels of makedumpfile -d. */
const LEVELS = ALL ? [1, 2, 4, 8, 16, 31] : [8, 31];

let directory: Workdir;
let files: KernelFiles | undefined;
let reason = '';

beforeAll(() => {
  directory = new Workdir();
  try {
    files = debianKernel(directory);
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error);
  }
});

afterAll(() => {
  directory.remove();
});

async function memoryDigest(dump: Dump): Promise<string> {
  const digest = createHash('sha256');
  for await (const { pfn, data } of dump.pages()) digest.update(`${pfn} `).update(data);
  return digest.digest('hex');
}

describe.each(MACHINES)('dumps of a Debian kernel with $levels levels of page tables', ({ levels, cpu, half }) => {
  let booted: BootedLinux | undefined;
  const path = (name: string): string => directory.file(`${levels}-${name}`);

  beforeAll(async () => {
    if (files === undefined || judgeVersion(QEMU_X86_64) === undefined) return;
    booted = await BootedLinux.start(directory, { files, script: SCRIPT, cpu });
    await booted.dump(path('elf'));
    await booted.dump(path('paging'), { paging: true });
    await booted.dump(path('kdump'), { format: 'kdump-zlib' });
  });

  afterAll(async () => {
    await booted?.close();
  });

  function linux(context: TestContext): BootedLinux {
    requireJudge(context, QEMU_X86_64);
    return booted ?? skipLoudly(context, `no kernel of Debian can be fetched: ${reason}`);
  }

  /** A dump as we write it anew. */
  async function rewritten(name: DumpName, format: 'elf' | 'kdump'): Promise<string> {
    const output = path(`${name}.${format}`);
    if (existsSync(output)) return output;
    const dump = await openDump(path(name));
    await writeDump(dump, { file: output }, { format });
    await dump.close();
    return output;
  }

  it.for(DUMPS)(
    '%s: the log is what the console said, and what makedumpfile and vmcore-dmesg print',
    async (name, context) => {
      const machine = linux(context);
      for (const judge of [MAKEDUMPFILE, VMCORE_DMESG]) requireJudge(context, judge);
      const dmesg = instar('vmcore', 'dmesg', path(name)).must().stdout;
      // The console repeats the time on each line of a record. It leaves messages of debugging out, and says more.
      const text = (line: string): string => line.replace(/^\[ *\d+\.\d{6}\]/, '').trim();
      const lines = new Set(dmesg.split('\n').map(text));
      const said = machine
        .console()
        .split('\n')
        .filter((line) => /^\[ *\d+\.\d{6}\] /.test(line));
      expect(said.length).toBeGreaterThan(200);
      expect(said.map(text).filter((line) => !lines.has(line))).toEqual([]);
      expect(dmesg).toContain('] a line of the test\n');

      const elf = await rewritten(name, 'elf');
      program('makedumpfile', '-f', '--dump-dmesg', elf, path('log')).must();
      expect(readFileSync(path('log'), 'latin1')).toBe(dmesg);
      // It leaves the later lines of a record where they are.
      expect(program('vmcore-dmesg', elf).must().stdout).toBe(dmesg.replaceAll(/^ {15}/gm, ''));
    },
  );

  it.for(DUMPS)('%s: tells the time of day of each line, as the kernel set its clock', (name, context) => {
    linux(context);
    const log = instar('vmcore', 'dmesg', '--time', path(name)).must().stdout;
    const [, shown = '', told = ''] =
      /^\[(\S+Z)\] rtc_cmos .* setting system clock to \S+ UTC \((\d+)\)$/m.exec(log) ?? [];
    // The clock that it was set by has seconds.
    expect(Math.abs(Date.parse(shown) - Number(told) * 1000)).toBeLessThan(2000);
    const seconds = instar('vmcore', 'dmesg', path(name)).must().stdout;
    const texts = (lines: string): string[] => lines.split('\n').map((line) => line.replace(/^\[[^\]]+\]/, '').trim());
    expect(texts(log)).toEqual(texts(seconds));
  });

  it("translates virtual addresses as QEMU's own walk of the page tables", async (context) => {
    linux(context);
    requireJudge(context, READELF);
    const { segments } = readElf(path('paging'));
    const loads = segments.filter(({ type, fileSize }) => type === 'LOAD' && fileSize > 0n);
    expect(loads.length).toBeGreaterThan(50);
    for (const name of DUMPS) {
      const dump = await openDump(path(name));
      for (const { virtual, physical, fileSize } of loads) {
        // User space has page tables of its own, and QEMU extends the sign of its addresses.
        if (virtual < half) continue;
        for (const at of [0n, fileSize - 1n]) {
          expect((await dump.translate(virtual + at)).physical).toBe(physical + at);
        }
      }
      await dump.close();
    }
  });

  it.for(DUMPS)(
    '%s: the ELF file that is written of it has all memory where the kernel maps it',
    async (name, context) => {
      linux(context);
      requireJudge(context, READELF);
      const offsetOf = (file: string): bigint => {
        const [largest] = [...readElf(file).segments].sort((a, b) => Number(b.memorySize - a.memorySize));
        return (largest?.virtual ?? 0n) - (largest?.physical ?? 0n);
      };
      expect(offsetOf(await rewritten(name, 'elf'))).toBe(offsetOf(path('paging')));
    },
  );

  it.for(DUMPS)('%s: what is written of it has the same memory, and every reader opens it', async (name, context) => {
    linux(context);
    for (const judge of [CRASH, DRGN, LIBKDUMPFILE, MAKEDUMPFILE]) requireJudge(context, judge);
    const dump = await openDump(path(name));
    const text = dump.vmcoreinfo?.symbol('_stext') ?? 0n;
    const at = (await dump.translate(text)).physical;
    const bytes = Buffer.from(await dump.read(at, 64));
    const wanted = [{ address: at, length: 64 }];
    const digest = await memoryDigest(dump);
    const { osRelease, text: info } = dump.vmcoreinfo ?? { osRelease: undefined, text: undefined };
    await dump.close();
    expect(osRelease).toBe(files?.release);
    for (const format of ['elf', 'kdump'] as const) {
      const output = await rewritten(name, format);
      const again = await openDump(output);
      expect(await memoryDigest(again)).toBe(digest);
      expect(Buffer.from(await again.readVirtual(text, 64))).toEqual(bytes);
      await again.close();
      expect(readWithCrash(output)).toEqual({ osRelease });
      expect(readWithKdumpfile(output, wanted, [])).toMatchObject({ bytes: [bytes], vmcoreinfo: info });
      expect(readWithDrgn(output, wanted, [])).toMatchObject({ bytes: [bytes], osRelease });
    }
  });

  it('is dumped through the monitor of a QEMU that runs it', (context) => {
    const machine = linux(context);
    const dump = (...words: readonly string[]): Finished =>
      instar('vmcore', 'dump', '--qmp', machine.socket, ...words).run();
    const told = dump('--json', path('live'));
    expect([told.status, told.stderr]).toEqual([0, '']);
    const { result } = JSON.parse(told.stdout) as { result: Record<string, number> };
    expect(result['written-size']).toBe(result['total-size']);
    program('cmp', path('live'), path('elf')).must();
    expect(dump('--to', 'kdump-zlib', path('live-kdump')).status).toBe(0);
    program('cmp', path('live-kdump'), path('kdump')).must();
    const refused = dump('--to', 'kdump-zlib', '--paging', path('live'));
    expect([refused.status, refused.stderr.split('\n')]).toEqual([1, [expect.stringContaining('QEMU refuses'), '']]);
    expect(instar('vmcore', 'dump', '--qmp', path('none'), path('live')).run().stderr).toContain('ENOENT');
  });

  it.for(['elf', 'kdump'] as const)('%s: is raw memory as QEMU saves it', async (name, context) => {
    const machine = linux(context);
    const [begin, length] = [1n << 20n, 200n << 20n];
    await machine.memory(path('saved'), begin, length);
    const range = ['--begin', String(begin), '--length', String(length)];
    instar('vmcore', 'filter', ...range, '--to', 'raw', path(name), path('raw')).must();
    program('cmp', path('raw'), path('saved')).must();
    // From address 0 on, also into a pipe.
    const piped = instar('vmcore', 'filter', '--begin', '0', '--length', '2M', '--to', 'raw', path(name), '-').must();
    expect(piped.stdoutBytes).toHaveLength(2 << 20);
    await machine.memory(path('saved'), 0n, 2n << 20n);
    expect(piped.stdoutBytes.equals(readFileSync(path('saved')))).toBe(true);
  });

  /** What a report of makedumpfile counts. */
  function countsOf(report: string): Record<string, number> {
    const count = (line: string): number =>
      parseInt(new RegExp(`${line} *: 0x([0-9a-f]+)`).exec(report)?.[1] ?? '', 16);
    return {
      zero: count('Pages filled with zero'),
      cache: count('Non-private cache pages'),
      'cache-private': count('Private cache pages'),
      user: count('User process data pages'),
      free: count('Free pages'),
      hwpoison: count('Hwpoison pages'),
      offline: count('Offline pages'),
    };
  }

  /** Pages that a dump has. */
  async function pagesOf(file: string): Promise<bigint[]> {
    const dump = await openDump(file);
    const pages: bigint[] = [];
    for await (const { start, length, kind } of dump.extents()) {
      for (let at = start; kind === 'stored' && at < start + length; at += 4096n) pages.push(at);
    }
    await dump.close();
    return pages;
  }

  it.for(LEVELS)('leaves out the pages that makedumpfile -d %i does', async (level, context) => {
    linux(context);
    requireJudge(context, MAKEDUMPFILE);
    // Not the dumps with a ROM at 4 GiB, which makedumpfile drops; and a kdump, as it counts twice where segments overlap.
    const [ours, theirs] = [path(`filtered-${level}`), path(`judged-${level}`)];
    const words = ['filter', '--exclude', String(level), '--json', path('paging')];
    const judge = ['-f', '-c', '-d', String(level), '--message-level', '16', await rewritten('paging', 'kdump')];
    const counts = countsOf(program('makedumpfile', ...judge, theirs).must().stdout);
    instar('vmcore', ...words, '--to', 'kdump', ours).must();
    expect(await pagesOf(ours)).toEqual(await pagesOf(theirs));
    expect(instar('vmcore', 'dmesg', ours).must().stdout).toBe(instar('vmcore', 'dmesg', path('elf')).must().stdout);

    const counted = instar('vmcore', ...words, '--to', 'elf', path('filtered-elf')).must().stdout;
    // It takes the kdump for one without zeros, as QEMU says of its own.
    const zero = (level & 1) === 0 ? 0 : counts['zero'];
    expect((JSON.parse(counted) as { excluded: object }).excluded).toEqual({ ...counts, zero });
  });

  /** Processes as busybox saw them in the guest: workers of the kernel change their names and go. */
  function processes(machine: BootedLinux): string[] {
    const lines = [...machine.console().matchAll(/^ *(\d+) +(\d+) (\S+)$/gm)];
    return lines.flatMap(([, pid = '', ppid = '', name = '']) =>
      name === 'ps' || name.startsWith('kworker') ? [] : [`${pid} ${ppid} ${name}`],
    );
  }

  function shownProcesses(...words: readonly string[]): string[] {
    const output = instar('vmcore', 'ps', '--json', ...words).must().stdout;
    const { tasks } = JSON.parse(output) as { tasks: { pid: number; ppid: number; name: string }[] };
    return tasks.map(({ pid, ppid, name }) => `${pid} ${ppid} ${name}`);
  }

  it.for(DUMPS)('%s: shows the processes that the guest showed', (name, context) => {
    const machine = linux(context);
    const seen = processes(machine);
    expect(seen.length).toBeGreaterThan(20);
    const shown = new Set(shownProcesses(path(name)));
    expect(seen.filter((line) => !shown.has(line))).toEqual([]);
    const filtered = path(`${name}-31`);
    instar('vmcore', 'filter', '--exclude', '31', '--to', 'elf', path(name), filtered).must();
    expect(new Set(shownProcesses(filtered))).toEqual(shown);
  });

  it('shows as many threads as the kernel has, each once', (context) => {
    linux(context);
    const output = instar('vmcore', 'ps', '--all', '--json', path('elf')).must().stdout;
    const { tasks } = JSON.parse(output) as { tasks: { pid: number; tgid: number }[] };
    expect(new Set(tasks.map(({ pid }) => pid)).size).toBe(tasks.length);
    expect(tasks.filter(({ pid, tgid }) => pid === tgid)).toHaveLength(shownProcesses(path('elf')).length);
  });

  it('tells symbols and types of the kernel', async (context) => {
    const machine = linux(context);
    const dump = await openDump(path('kdump'));
    const banner = await dump.readVirtual(await dump.symbol('linux_banner'), 256);
    const [text = ''] = Buffer.from(banner).toString('latin1').split('\0');
    expect(machine.console()).toContain(text.trim().slice(0, 60));
    const info = dump.vmcoreinfo;
    expect(BigInt((await dump.type('struct page')).size)).toBe(info?.sizeOf('page'));
    const page = await dump.type('page');
    expect(page.fields?.find(({ name }) => name === 'flags')?.bitOffset).toBe(0);
    expect(BigInt((await dump.type('free_area')).size)).toBe(info?.sizeOf('free_area'));
    await expect(dump.type('struct no_such_thing')).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    await expect(dump.symbol('no_such_symbol')).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    await dump.close();
  });
});
