import { openDump } from '@instar/vmcore';
import { execFileSync } from 'node:child_process';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { instar, program } from '../support/command.js';
import { requireJudge } from '../support/judge.js';
import { Workdir } from '../support/workdir.js';
import { readWithCrash } from './judges/crash.js';
import { BootedLinux } from './linux/boot.js';
import { debianKernel, type KernelFiles } from './linux/debian.js';
import { initramfs, type RamFile } from './linux/initramfs.js';
import { CRASH, MAKEDUMPFILE, QEMU_X86_64 } from './tools.js';

/** Bytes of the disk that the dump is written to. */
const DISK = 256 << 20;
const DONE = 'INSTAR-DUMPED';

/** A program of this machine, with the libraries that it needs. */
function withLibraries(name: string): RamFile[] {
  const file = execFileSync('which', [name], { encoding: 'utf8' }).trim();
  const libraries = [...execFileSync('ldd', [file], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g)].map(
    ([, path = '']) => path,
  );
  return [
    { path: `bin/${name}`, content: readFileSync(file) },
    ...libraries.map((path) => ({ path: path.slice(1), content: readFileSync(path) })),
  ];
}

const SECOND = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
/bin/makedumpfile -c -d 31 /proc/vmcore /tmp/dump
/bin/busybox cat /tmp/dump > /dev/nvme0n1
/bin/busybox sync
echo "${DONE} $(/bin/busybox stat -c %s /tmp/dump) bytes"
while :; do /bin/busybox sleep 1000; done
`;
const FIRST = `
sleep 4242 &
echo '<3>the last words' > /dev/kmsg
kexec -p /crash/kernel --initrd=/crash/initramfs --append='console=ttyS0 nr_cpus=1 reset_devices'
echo c > /proc/sysrq-trigger
`;

// By option (see vitest.config.ts): the machine boots twice.
describe.each([{ kernel: 'of Debian' }])('the dump that makedumpfile wrote when a kernel $kernel had crashed', () => {
  let directory: Workdir;
  let dump: string;
  let console: string;
  let files: KernelFiles;

  beforeAll(async () => {
    directory = new Workdir();
    files = debianKernel(directory);
    dump = directory.file('dump');
    writeFileSync(dump, '');
    truncateSync(dump, DISK);
    const busybox = { path: 'bin/busybox', content: readFileSync(files.busybox) };
    const second = initramfs([
      busybox,
      ...withLibraries('makedumpfile'),
      { path: 'init', content: Buffer.from(SECOND) },
    ]);
    const booted = await BootedLinux.start(directory, {
      files,
      script: FIRST,
      more: [
        ...withLibraries('kexec'),
        { path: 'crash/kernel', content: readFileSync(files.kernel) },
        { path: 'crash/initramfs', content: second },
      ],
      memoryMiB: 768,
      append: 'crashkernel=224M',
      disk: dump,
      until: ' bytes\n',
    });
    console = booted.console();
    await booted.close();
    truncateSync(dump, Number(new RegExp(`${DONE} (\\d+) bytes`).exec(console)?.[1] ?? '0'));
  });

  afterAll(() => {
    directory.remove();
  });

  it('has the log up to the panic', (context) => {
    for (const judge of [QEMU_X86_64, MAKEDUMPFILE]) requireJudge(context, judge);
    const log = instar('vmcore', 'dmesg', dump).must().stdout;
    expect(log).toContain('] the last words\n');
    expect(log).toContain('Kernel panic - not syncing: sysrq triggered crash');
    program('makedumpfile', '--dump-dmesg', dump, directory.file('log')).must();
    expect(readFileSync(directory.file('log'), 'latin1')).toBe(log);
  });

  it('has the processes, and everything that page types left in it', async (context) => {
    for (const judge of [QEMU_X86_64, MAKEDUMPFILE, CRASH]) requireJudge(context, judge);
    const { tasks } = JSON.parse(instar('vmcore', 'ps', '--json', dump).must().stdout) as {
      tasks: { name: string }[];
    };
    expect(tasks.map(({ name }) => name)).toEqual(expect.arrayContaining(['init', 'kthreadd', 'sleep']));
    expect(readWithCrash(dump)).toEqual({ osRelease: files.release });
    expect(instar('vmcore', 'verify', dump).must().stdout).toContain('can be read');
    // Left out again, it loses nothing more.
    const again = directory.file('again');
    instar('vmcore', 'filter', '--exclude', '31', dump, again).must();
    const [before, after] = [await openDump(dump), await openDump(again)];
    expect(after.dumpLevel).toBe(31);
    const count = async (of: typeof before): Promise<number> => {
      let pages = 0;
      for await (const { length, kind } of of.extents()) if (kind === 'stored') pages += Number(length / 4096n);
      return pages;
    };
    expect(await count(after)).toBe(await count(before));
    await before.close();
    await after.close();
  });

  it('goes through ELF and back with its log', (context) => {
    requireJudge(context, QEMU_X86_64);
    const [elf, kdump] = [directory.file('elf'), directory.file('kdump')];
    instar('vmcore', 'convert', '--to', 'elf', dump, elf).must();
    instar('vmcore', 'convert', '--to', 'kdump', elf, kdump).must();
    const log = instar('vmcore', 'dmesg', dump).must().stdout;
    for (const file of [elf, kdump]) expect(instar('vmcore', 'dmesg', file).must().stdout).toBe(log);
  });
});
