import { openDump, type Dump } from '@instar/vmcore';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { instar } from '../support/command.js';
import { requireJudge, skipLoudly } from '../support/judge.js';
import { Workdir } from '../support/workdir.js';
import { readWithCrash } from './judges/crash.js';
import { readWithDrgn } from './judges/drgn.js';
import { readWithKdumpfile } from './judges/kdumpfile.js';
import { readElf } from './judges/readelf.js';
import { BootedLinux, type Machine } from './linux/boot.js';
import { foreignKernel, type ForeignKernel } from './linux/foreign.js';
import { CRASH, DRGN, LIBKDUMPFILE, READELF } from './tools.js';

/** What the guest says of itself, to be compared with what its dump says. */
const SCRIPT = `
echo '<4>a line of the test' > /dev/kmsg
sleep 4242 &
cat /bin/busybox > /tmp/cached
usleep 100000
echo "UNAME $(uname -s) $(uname -n) $(uname -r) $(uname -m)"
echo "NOTE $(cat /sys/kernel/vmcoreinfo)"
ps -o pid,ppid,comm
grep -E 'MemFree' /proc/meminfo
`;

interface Kernel extends ForeignKernel {
  readonly name: string;
  readonly machine: Machine;
  /** Where memory begins (physical address). */
  readonly base: bigint;
  /** Whether the machine tells QEMU where VMCOREINFO is; else it is taken from memory, where the guest says it is. */
  readonly hasNote: boolean;
  /** Whether its own table of symbols has data too, so that processes are found without a vmlinux. */
  readonly hasSymbols: boolean;
}

const BOOKWORM = { suite: 'bookworm', hasNote: true } as const;
const MEMORY_MIB = 256;

const KERNELS: readonly Kernel[] = [
  {
    ...BOOKWORM,
    name: 'AArch64',
    architecture: 'arm64',
    image: /^linux-image-(\d\S*-cloud-arm64)-unsigned$/,
    machine: {
      words: ['qemu-system-aarch64', '-M', 'virt,gic-version=3', '-cpu', 'max', '-device', 'vmcoreinfo'],
      console: 'ttyAMA0',
    },
    base: 1n << 30n,
    hasSymbols: false,
  },
  {
    ...BOOKWORM,
    name: 'i386 with PAE',
    architecture: 'i386',
    image: /^linux-image-(\d\S*-686-pae)-unsigned$/,
    machine: { words: ['qemu-system-x86_64', '-M', 'pc', '-vga', 'none', '-device', 'vmcoreinfo'], console: 'ttyS0' },
    base: 0n,
    hasSymbols: false,
  },
  {
    ...BOOKWORM,
    name: 's390x',
    architecture: 's390x',
    image: /^linux-image-(\d\S*-s390x)$/,
    machine: { words: ['qemu-system-s390x', '-M', 's390-ccw-virtio', '-cpu', 'max'], console: 'ttysclp0' },
    base: 0n,
    hasNote: false,
    hasSymbols: false,
  },
  {
    name: 'riscv64, Linux 6.12',
    architecture: 'riscv64',
    suite: 'trixie',
    image: /^linux-image-(\d\S*-riscv64)$/,
    machine: { words: ['qemu-system-riscv64', '-M', 'virt'], console: 'ttyS0' },
    base: 1n << 31n,
    hasNote: false,
    hasSymbols: true,
  },
  {
    ...BOOKWORM,
    name: 'x86-64, Linux 5.10',
    architecture: 'amd64',
    suite: 'bullseye',
    image: /^linux-image-(\d\S*-cloud-amd64)-unsigned$/,
    machine: {
      words: ['qemu-system-x86_64', '-M', 'pc', '-cpu', 'max', '-vga', 'none', '-device', 'vmcoreinfo'],
      console: 'ttyS0',
    },
    base: 0n,
    hasSymbols: false,
  },
  {
    ...BOOKWORM,
    name: 'x86-64, Linux 6.12',
    architecture: 'amd64',
    suite: 'trixie',
    image: /^linux-image-(\d\S*-cloud-amd64)-unsigned$/,
    machine: {
      words: ['qemu-system-x86_64', '-M', 'pc', '-cpu', 'max', '-vga', 'none', '-device', 'vmcoreinfo'],
      console: 'ttyS0',
    },
    base: 0n,
    hasSymbols: true,
  },
];

async function memoryDigest(file: string): Promise<string> {
  const dump = await openDump(file);
  const digest = createHash('sha256');
  for await (const { start, length, kind } of dump.extents()) {
    if (kind !== 'stored') continue;
    for (let at = 0n; at < length; at += 1n << 20n) {
      const size = length - at < 1n << 20n ? Number(length - at) : 1 << 20;
      digest.update(await dump.read(start + at, size));
    }
  }
  await dump.close();
  return digest.digest('hex');
}

// By option (see vitest.config.ts): kernels are fetched, and six machines boot.
describe.each(KERNELS)('dumps of a kernel of $name', (kernel) => {
  const { machine, base, hasNote, hasSymbols } = kernel;
  let directory: Workdir;
  let booted: BootedLinux | undefined;
  let reason = '';
  const path = (name: string): string => directory.file(name);

  beforeAll(async () => {
    directory = new Workdir();
    try {
      const files = foreignKernel(directory, kernel);
      booted = await BootedLinux.start(directory, { files, script: SCRIPT, machine, memoryMiB: MEMORY_MIB });
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
      return;
    }
    await booted.dump(path('elf'));
    await booted.dump(path('kdump'), { format: 'kdump-zlib' });
    if (!hasNote) wrapWithNote();
  });

  afterAll(async () => {
    await booted?.close();
    directory.remove();
  });

  function linux(context: TestContext): BootedLinux {
    return booted ?? skipLoudly(context, `no kernel of ${kernel.name} runs: ${reason.slice(0, 300)}`);
  }

  /** What a word of the guest's is followed by. */
  function said(word: string): string[] {
    return (
      new RegExp(`^${word} (.*)$`, 'm')
        .exec(booted?.console() ?? '')?.[1]
        ?.trim()
        .split(' ') ?? []
    );
  }

  /** QEMU's dump has no VMCOREINFO: the guest says where it is, and memory becomes a dump that has it. */
  function wrapWithNote(): void {
    const [address = '', length = ''] = said('NOTE');
    const words = ['read', '--raw', path('elf'), `0x${address.replace('0x', '')}`, `0x${length}`];
    const note = instar('vmcore', ...words).must().stdoutBytes;
    const size = kernel.architecture === 's390x' ? note.readUInt32BE(4) : note.readUInt32LE(4);
    writeFileSync(path('info'), note.subarray(24, 24 + size));
    const range = ['--begin', String(base), '--length', `${MEMORY_MIB}M`];
    instar('vmcore', 'filter', ...range, '--to', 'raw', path('elf'), path('raw')).must();
    const name = kernel.architecture;
    const wrap = ['wrap', '--machine', name, '--vmcoreinfo', path('info'), `${path('raw')}@${base}`];
    instar('vmcore', ...wrap, path('elf')).must();
    instar('vmcore', ...wrap, '--to', 'kdump', path('kdump')).must();
  }

  async function withEach(use: (dump: Dump, name: string) => Promise<void>): Promise<void> {
    for (const name of ['elf', 'kdump']) {
      const dump = await openDump(path(name));
      try {
        await use(dump, name);
      } finally {
        await dump.close();
      }
    }
  }

  it('have the log that the console had', async (context) => {
    const text = (line: string): string => line.replace(/^\[ *\d+\.\d{6}\]/, '').trim();
    const lines = linux(context)
      .console()
      .split('\n')
      .filter((line) => /^\[ *\d+\.\d{6}\] /.test(line))
      .map(text);
    expect(lines.length).toBeGreaterThan(50);
    await withEach(async (_dump, name) => {
      const dmesg = instar('vmcore', 'dmesg', path(name)).must().stdout;
      const known = new Set(dmesg.split('\n').map(text));
      expect(lines.filter((line) => !known.has(line))).toEqual([]);
      expect(dmesg).toContain('] a line of the test\n');
      await Promise.resolve();
    });
  });

  it("have the system's names where the kernel's addresses lead", async (context) => {
    linux(context);
    const [sysname = '', node = '', release = '', name = ''] = said('UNAME');
    await withEach(async (dump) => {
      const address = dump.vmcoreinfo?.symbol('init_uts_ns') ?? 0n;
      const names = Buffer.from(await dump.readVirtual(address, 4 + 6 * 65)).toString('latin1');
      for (const word of [sysname, node, release, name]) expect(names).toContain(`${word}\0`);
    });
  });

  it('lose the pages that the guest had free, and nothing that its log needs', async (context) => {
    const free = Number(/MemFree: *(\d+) kB/.exec(linux(context).console())?.[1] ?? '0') / 4;
    expect(free).toBeGreaterThan(10_000);
    await withEach(async (_dump, name) => {
      const words = ['filter', '--exclude', '31', '--to', 'kdump', '--json', path(name), path('filtered')];
      const { excluded } = JSON.parse(instar('vmcore', ...words).must().stdout) as {
        excluded: Record<string, number>;
      };
      // Each CPU keeps some free pages in lists of its own, which no structure of a page shows.
      expect(Math.abs((excluded['free'] ?? 0) - free) / free).toBeLessThan(0.05);
      expect((excluded['cache'] ?? 0) * 4096).toBeGreaterThan(1 << 20);
      expect(excluded['user']).toBeGreaterThan(5);
      const dmesg = instar('vmcore', 'dmesg', path('filtered')).must().stdout;
      expect(dmesg).toBe(instar('vmcore', 'dmesg', path(name)).must().stdout);
      await Promise.resolve();
    });
  });

  it('show the processes that the guest showed, or say what is missing', (context) => {
    const seen = [
      ...linux(context)
        .console()
        .matchAll(/^ *(\d+) +(\d+) (\S+)$/gm),
    ].flatMap(([, pid = '', ppid = '', name = '']) =>
      name === 'ps' || name.startsWith('kworker') ? [] : [`${pid} ${ppid} ${name}`],
    );
    expect(seen.length).toBeGreaterThan(20);
    for (const name of ['elf', 'kdump']) {
      if (!hasSymbols) {
        const { status, stderr } = instar('vmcore', 'ps', path(name)).run();
        expect([status, stderr]).toEqual([1, expect.stringContaining('--vmlinux')]);
        continue;
      }
      const { stdout } = instar('vmcore', 'ps', '--json', path(name)).must();
      const { tasks } = JSON.parse(stdout) as { tasks: { pid: number; ppid: number; name: string }[] };
      const shown = new Set(tasks.map((task) => `${task.pid} ${task.ppid} ${task.name}`));
      expect(seen.filter((line) => !shown.has(line))).toEqual([]);
    }
  });

  it('go through ELF and kdump with all their memory, and are opened there', async (context) => {
    linux(context);
    for (const judge of [CRASH, DRGN, LIBKDUMPFILE, READELF]) requireJudge(context, judge);
    const release = said('UNAME')[2];
    for (const name of ['elf', 'kdump']) {
      const digest = await memoryDigest(path(name));
      const dump = await openDump(path(name));
      const symbol = dump.vmcoreinfo?.symbol('init_uts_ns') ?? 0n;
      const address = (await dump.translate(symbol)).physical;
      const bytes = Buffer.from(await dump.read(address, 64));
      await dump.close();
      for (const format of ['elf', 'kdump'] as const) {
        const output = path(`${name}.${format}`);
        instar('vmcore', 'convert', '--to', format, path(name), output).must();
        expect(await memoryDigest(output)).toBe(digest);
        const wanted = [{ address, length: 64 }];
        expect(readWithKdumpfile(output, wanted, [])).toMatchObject({ bytes: [bytes] });
        if (format === 'elf') expect(readElf(output).segments.length).toBeGreaterThan(0);
        if (kernel.architecture === 'amd64') {
          expect(readWithCrash(output)).toEqual({ osRelease: release });
          expect(readWithDrgn(output, wanted, [])).toMatchObject({ bytes: [bytes], osRelease: release });
        }
      }
    }
  });
});
