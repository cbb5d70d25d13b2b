// Dumps of operations: what the command leaves when its sandbox is hit, and what gdb makes of it.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { convertGuestSymbolsPath, sandboxHelperPath } from '@instar/convert-guest';
import { ABI_VERSION_MAJOR, ABI_VERSION_MINOR } from '@instar/shared-abi';
import { dd, DumpRequests, IMAGE_DIRECTORY_ONLY, type WrittenDump } from '@instar/engine';
import { openDump } from '@instar/vmcore';
import { runGuest, type SandboxKind } from '@instar/vmm-native';
import { describe, expect, it } from 'vitest';
import { DumpMemory } from '../../packages/engine/src/dump-memory.js';
import { writeGuestDump } from '../../packages/engine/src/dump-write.js';
import { ATTACK_IMAGE, listAttacks, requireSandbox, SANDBOXES } from '../hostile-guest/scene.js';
import { INSTAR, instar } from '../support/command.js';
import { requireJudge, type Judge } from '../support/judge.js';
import { workdir, type Workdir } from '../support/workdir.js';

const GDB: Judge = { program: 'gdb', probe: ['--version'], package: 'gdb' };
const ZSTD: Judge = { program: 'zstd', probe: ['--version'], package: 'zstd' };
const READELF: Judge = { program: 'readelf', probe: ['--version'], package: 'binutils' };
const ATTACK_SYMBOLS = fileURLToPath(new URL('../../packages/convert-guest/guests/attack.elf', import.meta.url));
const DRGN: Judge = {
  program: '/usr/bin/python3',
  probe: ['-c', 'import drgn; print(drgn.__version__)'],
  package: 'python3-drgn',
};
const CRASH: Judge = { program: 'crash', probe: ['--version'], package: 'crash' };
/** Prints the magic of the config page, by its physical address and by its virtual one through our page tables. */
const DRGN_PROGRAM = `
import drgn, sys
program = drgn.Program()
program.set_core_dump(sys.argv[1])
print(program.read(0x81000, 4, physical=True), program.read(0x81000, 4))
`;
const MIB = 1 << 20;

/** A qcow2 image of `mebibytes` of noise, and the noise. */
function image(directory: Workdir, mebibytes: number): Buffer {
  const content = randomBytes(mebibytes * MIB);
  directory.write('disk.raw', content);
  instar('dd', '-O', 'qcow2', 'if=disk.raw', 'of=disk.qcow2').in(directory).must();
  return content;
}

function backtrace(symbols: string, dump: string): string {
  return execFileSync('gdb', ['-nx', '-batch', '-ex', 'bt', symbols, dump], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

interface Running {
  readonly child: ChildProcess;
  /** Everything on standard error so far. */
  readonly errors: () => string;
}

/** `instar dd` into a pipe that nobody reads: the guest waits for its output to be taken. */
async function blocked(directory: Workdir, sandbox: SandboxKind, ...options: readonly string[]): Promise<Running> {
  const child = spawn(
    process.execPath,
    [INSTAR, 'dd', `--sandbox=${sandbox}`, ...options, 'if=disk.qcow2', 'of=-', 'bs=1M'],
    { cwd: directory.path, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  // The first bytes in the pipe say that the guest is at work.
  await once(child.stdout, 'readable');
  await new Promise((resolve) => setTimeout(resolve, 200));
  return { child, errors: () => text };
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('waited too long');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function helperOf(pid: number | undefined): number {
  const tasks = `/proc/${pid ?? 0}/task`;
  const children = readdirSync(tasks).flatMap((task) =>
    readFileSync(`${tasks}/${task}/children`, 'utf8').split(' ').filter(Boolean),
  );
  return Number(children[0] ?? Number.NaN);
}

describe('instar dd --dump-on-crash', () => {
  it('leaves a dump in which gdb shows where the guest was, and by which calls', async (context) => {
    requireJudge(context, GDB);
    requireJudge(context, READELF);
    const directory = workdir();
    image(directory, 4);
    const { child, errors } = await blocked(directory, 'process', '--dump-on-crash', 'guest.core');
    process.kill(helperOf(child.pid), 'SIGSEGV');
    child.stdout?.resume();
    const [status] = (await once(child, 'close')) as [number];
    expect(status).toBe(1);
    expect(errors()).toContain('a dump of the guest that crashed is in guest.core; it holds data of the image');
    expect(errors()).toContain(`open it with: gdb ${convertGuestSymbolsPath()} guest.core`);
    const dump = directory.file('guest.core');
    expect(statSync(dump).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory.path).sort()).toEqual(['disk.qcow2', 'disk.raw', 'guest.core']);

    const text = backtrace(convertGuestSymbolsPath(), dump);
    expect(text).toMatch(/#\d+ .*\bdrain\b/);
    expect(text).toMatch(/#\d+ .*\bconvert \(\) at crates\/operations\/src\/convert\.rs:\d+/);
    expect(text).toMatch(/#\d+ .*\bmain \(\) at crates\/guest\/src\/main\.rs:\d+/);

    const id = /Build ID: ([0-9a-f]{40})/.exec(
      execFileSync('readelf', ['-n', convertGuestSymbolsPath()], { encoding: 'utf8' }),
    )?.[1];
    expect(readFileSync(dump).includes(`BUILD-ID=${id ?? 'none'}\n`)).toBe(true);
  });

  it('leaves a dump that drgn and crash take for one of a kernel', async (context) => {
    requireJudge(context, DRGN);
    requireJudge(context, CRASH);
    requireJudge(context, ZSTD);
    const directory = workdir();
    image(directory, 4);
    for (const name of ['guest.core', 'guest.core.zst']) {
      const { child } = await blocked(directory, 'process', `--dump-on-crash=${name}`);
      process.kill(helperOf(child.pid), 'SIGSEGV');
      child.stdout?.resume();
      await once(child, 'close');
    }
    execFileSync('zstd', ['-q', '-d', '-o', directory.file('unpacked.core'), directory.file('guest.core.zst')]);
    for (const name of ['guest.core', 'unpacked.core']) {
      const dump = directory.file(name);
      const read = execFileSync('/usr/bin/python3', ['-c', DRGN_PROGRAM, dump], { encoding: 'utf8' });
      expect(read).toBe("b'VNOC' b'VNOC'\n");
      const release = execFileSync('crash', ['--osrelease', dump], { encoding: 'utf8', timeout: 60_000 });
      expect(release).toMatch(/^instar-\d+\.\d+\.\d+\n$/);
    }
  });

  it('leaves nothing where all goes well, and refuses a place that cannot be written before it starts', () => {
    const directory = workdir();
    image(directory, 1);
    instar('dd', '--dump-on-crash=guest.core', 'if=disk.qcow2', 'of=out.raw').in(directory).must();
    instar('info', '--dump-on-crash', 'guest.core', 'disk.qcow2').in(directory).must();
    expect(existsSync(directory.file('guest.core'))).toBe(false);
    const refused = instar('dd', '--dump-on-crash=no/where', 'if=disk.qcow2', 'of=o.raw').in(directory).run();
    expect(refused.status).toBe(1);
    expect(refused.stderr).toBe(
      'instar: dd: no/where: the dump cannot be written: no such file or directory (ENOENT)\n',
    );
    const nameless = instar('dd', 'if=disk.qcow2', 'of=o.raw', '--dump-on-signal').in(directory).run();
    expect(nameless.stderr).toContain('--dump-on-signal needs a file name');
  });
});

describe.each(SANDBOXES)('dumps of operations in the %s sandbox', (sandbox) => {
  it('are taken on SIGUSR2 while the copy goes on', async (context) => {
    requireSandbox(context, sandbox);
    requireJudge(context, GDB);
    const directory = workdir();
    const content = image(directory, 4);
    const { child, errors } = await blocked(directory, sandbox, '--dump-on-signal=live.core');
    child.kill('SIGUSR2');
    await until(() => errors().includes('open it with'));
    expect(errors()).toContain('a dump on SIGUSR2 is in live.core');
    const parts: Buffer[] = [];
    child.stdout?.on('data', (part: Buffer) => parts.push(part));
    const [status] = (await once(child, 'close')) as [number];
    expect(status).toBe(0);
    expect(Buffer.concat(parts).equals(content)).toBe(true);
    expect(backtrace(convertGuestSymbolsPath(), directory.file('live.core'))).toMatch(/#\d+ .*\bmain \(\)/);
  });

  it('are written when a limit stops the guest, as ELF, kdump and zstd', async (context) => {
    requireSandbox(context, sandbox);
    requireJudge(context, ZSTD);
    const directory = workdir();
    image(directory, 1);
    // A pipe that nobody reads: the guest waits for its output until the limit.
    execFileSync('mkfifo', [directory.file('pipe')]);
    const pipe = openSync(directory.file('pipe'), 'r+');
    try {
      for (const [name, format] of [
        ['limit.elf', 'elf'],
        ['limit.kdump', 'kdump'],
        ['limit.elf.zst', 'elf'],
      ] as const) {
        const path = directory.file(name);
        const dumps: WrittenDump[] = [];
        const options = {
          input: { path: directory.file('disk.qcow2') },
          output: { stream: pipe },
          pathPolicy: IMAGE_DIRECTORY_ONLY,
        };
        const control = {
          sandbox,
          limits: { wallClockMs: 200 },
          dumpOnCrash: { path, format },
          onDump: (dump: WrittenDump) => dumps.push(dump),
        };
        await expect(dd(options, control)).rejects.toMatchObject({ code: 'GUEST_LIMIT' });
        expect(dumps).toMatchObject([{ path, reason: 'limit' }]);
        expect(statSync(path).mode & 0o777).toBe(0o600);
        if (name.endsWith('.zst')) {
          execFileSync('zstd', ['-qt', path]);
        } else {
          const dump = await openDump(path);
          expect(dump.vmcoreinfo?.get('INSTAR_ABI')).toBe(`${ABI_VERSION_MAJOR}.${ABI_VERSION_MINOR}`);
          expect(dump.cpus).toHaveLength(1);
          await dump.close();
        }
      }
    } finally {
      closeSync(pipe);
    }
  });

  it('show gdb the function of an attack that faulted, and its callers', async (context) => {
    requireSandbox(context, sandbox);
    requireJudge(context, GDB);
    const directory = workdir();
    for (const [attack, frames] of [
      ['memory.overflow_stack', [/#1 .*recurse/, /#2 .*recurse/]],
      ['unprivileged.ud2', [/#0 .*ud2/, /#\d+ .*main \(\) at crates\/attack-guest\/src\/main\.rs/]],
    ] as const) {
      const page = Buffer.alloc(4096);
      page.write('KTTA', 0, 'latin1');
      page.writeUInt32LE((await listAttacks()).indexOf(attack), 4);
      for (const format of ['elf', 'kdump'] as const) {
        const path = directory.file(`${attack}.${format}`);
        const memory = await DumpMemory.create(path);
        const report = await runGuest({
          image: ATTACK_IMAGE,
          chainConfig: new Uint8Array(),
          operationConfig: page,
          devices: [],
          sandbox,
          helper: sandboxHelperPath(),
          dump: { fd: memory.fd },
        });
        expect(report.dump).toBeDefined();
        if (report.dump === undefined) return;
        await writeGuestDump(report.dump, memory, { path, format });
        await memory.close();
        if (format === 'elf') {
          const text = backtrace(ATTACK_SYMBOLS, path);
          for (const frame of frames) expect(text).toMatch(frame);
        }
        const dump = await openDump(path);
        const found = Buffer.alloc(4);
        await dump.readInto(0x81000n, found);
        expect(found.toString('latin1')).toBe('KTTA');
        await dump.close();
      }
    }
  });
});

it('a handle of an operation that does not run says so', async () => {
  const directory = workdir();
  const dumps = new DumpRequests();
  await expect(dumps.dump(directory.file('x'))).rejects.toMatchObject({ code: 'GUEST_NOT_RUNNING' });
  image(directory, 1);
  const input = { path: directory.file('disk.qcow2') };
  const output = { path: directory.file('out.raw') };
  await dd({ input, output, pathPolicy: IMAGE_DIRECTORY_ONLY }, { dumps });
  await expect(dumps.dump(directory.file('x'))).rejects.toMatchObject({ code: 'GUEST_NOT_RUNNING' });
  expect(readdirSync(directory.path).sort()).toEqual(['disk.qcow2', 'disk.raw', 'out.raw']);
});
