import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { instar } from '../support/command.js';
import { requireJudge, skipLoudly } from '../support/judge.js';
import { Workdir } from '../support/workdir.js';
import { limited } from './judges/reading.js';
import { BootedLinux } from './linux/boot.js';
import { debianKernel, debianVmlinux } from './linux/debian.js';
import { CRASH, DRGN, QEMU_X86_64, SYSTEM_PYTHON } from './tools.js';

const SCRIPT = `
echo '<4>a line of the test' > /dev/kmsg
sleep 4242 &
sh -c 'exec tail -f /dev/null' &
usleep 100000
`;
/** What is written of QEMU's dump, each by one command. */
const WRITTEN = [
  { name: 'elf', words: ['convert', '--to', 'elf'] },
  { name: 'kdump', words: ['convert', '--to', 'kdump'] },
  { name: 'filtered kdump', words: ['filter', '--exclude', '31', '--to', 'kdump'] },
  { name: 'filtered elf', words: ['filter', '--exclude', '31', '--to', 'elf'] },
] as const;
const TASKS = fileURLToPath(new URL('judges/tasks-with-drgn.py', import.meta.url));

// By option (see vitest.config.ts): 300 MB are fetched.
describe.each([{ kernel: 'of Debian' }])('with the vmlinux of a kernel $kernel', () => {
  let directory: Workdir;
  let vmlinux = '';
  let reason = '';
  const path = (name: string): string => directory.file(name.replace(' ', '-'));

  beforeAll(async () => {
    directory = new Workdir();
    try {
      const files = debianKernel(directory);
      vmlinux = debianVmlinux(directory, files.release);
      const booted = await BootedLinux.start(directory, { files, script: SCRIPT });
      // crash does not read an ELF file of QEMU's with two vectors of the same memory, drgn no flattened stream.
      await booted.dump(path('qemu'), { format: 'kdump-zlib' });
      await booted.close();
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
      return;
    }
    for (const { name, words } of WRITTEN) instar('vmcore', ...words, path('qemu'), path(name)).must();
  });

  afterAll(() => {
    directory.remove();
  });

  function ready(context: TestContext): void {
    requireJudge(context, QEMU_X86_64);
    if (reason !== '') skipLoudly(context, `no kernel of Debian with debugging information: ${reason.slice(0, 300)}`);
  }

  it.for(WRITTEN)('drgn finds the processes of the $name that we find', ({ name }, context) => {
    ready(context);
    requireJudge(context, DRGN);
    const found = limited([SYSTEM_PYTHON, TASKS, path(name), vmlinux]);
    expect([found.status, found.stderr]).toEqual([0, '']);
    // drgn has threads too; of the kernel's and busybox's none has any beside itself.
    const shown = (...words: readonly string[]): string[] => {
      const { stdout } = instar('vmcore', 'ps', '--all', '--json', ...words).must();
      const { tasks } = JSON.parse(stdout) as { tasks: { pid: number; ppid: number; name: string }[] };
      return tasks.flatMap((task) => (task.pid === 0 ? [] : [`${task.pid} ${task.ppid} ${task.name}`])).sort();
    };
    const theirs = found.stdout.trim().split('\n').sort();
    expect(theirs.length).toBeGreaterThan(30);
    expect(shown('--vmlinux', vmlinux, path(name))).toEqual(theirs);
    expect(shown(path(name))).toEqual(theirs);
    expect(theirs.some((line) => line.endsWith(' tail'))).toBe(true);
  });

  it.for(WRITTEN)("crash says of the $name what it says of QEMU's own dump", ({ name }, context) => {
    ready(context);
    requireJudge(context, CRASH);
    writeFileSync(path('commands'), 'log\nps\nrd linux_banner 16\nsym _stext\nquit\n');
    const said = (file: string): string => {
      const { status, stdout } = limited(['crash', '-s', '-i', path('commands'), vmlinux, file]);
      expect(status).toBe(0);
      return stdout;
    };
    const ours = said(path(name));
    expect(ours).toBe(said(path('qemu')));
    expect(ours).toContain('] a line of the test\n');
    expect(ours).toContain('[swapper/0]');
  });
});
