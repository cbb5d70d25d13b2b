import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Workdir } from '../../support/workdir.js';
import { Qmp } from '../qemu/qmp.js';
import { readFiles, type KernelFiles } from './debian.js';
import { initramfs, type RamFile } from './initramfs.js';

/** What the guest prints when it is as it shall be dumped. */
const READY = 'INSTAR-READY';
/** A machine that has not said it by then hangs (milliseconds). */
const READY_WITHIN = 180_000;

/** How a kernel is booted. */
export interface BootOptions {
  readonly files: KernelFiles;
  /** Commands of busybox's shell, run before the machine is ready. */
  readonly script: string;
  readonly more?: readonly RamFile[];
  /** QEMU's program with the machine and its processor; by default a PC. */
  readonly machine?: Machine;
  /** Words of QEMU for the processor of a PC. */
  readonly cpu?: string;
  readonly memoryMiB?: number;
  readonly cpus?: number;
  /** More of the kernel's command line. */
  readonly append?: string;
  /** A file of its own that the guest writes to as /dev/nvme0n1. */
  readonly disk?: string;
  /** Wait for what the script says before it goes on, as with a kernel that takes over. */
  readonly until?: string;
}

/** A machine that QEMU makes. */
export interface Machine {
  /** Its program, and the words that choose the machine. */
  readonly words: readonly string[];
  /** The kernel's name of the serial port. */
  readonly console: string;
}

const PC = (cpu: string): Machine => ({
  words: ['qemu-system-x86_64', '-M', 'pc', '-cpu', cpu, '-vga', 'none', '-device', 'vmcoreinfo'],
  console: 'ttyS0',
});

const INIT = (script: string): string => `#!/bin/busybox sh
export PATH=/bin
/bin/busybox mkdir -p /bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
[ -s /lib/qemu_fw_cfg.ko ] && insmod /lib/qemu_fw_cfg.ko
${script}
echo ${READY}
while :; do sleep 1000; done
`;

/** A Linux that runs in QEMU, without KVM: the same everywhere. */
export class BootedLinux {
  readonly #qmp: Qmp;
  readonly #console: string;

  /** A monitor of its own. */
  readonly socket: string;

  private constructor(qmp: Qmp, console: string, socket: string) {
    this.#qmp = qmp;
    this.socket = socket;
    this.#console = console;
  }

  /** Boots, waits until the script has run, and stops the machine. The caller closes it. */
  static async start(
    directory: Workdir,
    {
      files,
      script,
      more = [],
      cpu = 'max,la57=off',
      machine = PC(cpu),
      memoryMiB = 256,
      cpus = 2,
      append = '',
      disk,
      until = READY,
    }: BootOptions,
  ): Promise<BootedLinux> {
    const [ramdisk, serial] = [directory.file('initramfs'), directory.file('console')];
    const socket = directory.file('qmp');
    const { busybox, fwCfg } = readFiles(files);
    const own: readonly RamFile[] = [
      { path: 'bin/busybox', content: busybox },
      { path: 'lib/qemu_fw_cfg.ko', content: fwCfg },
      { path: 'init', content: Buffer.from(INIT(script)) },
    ];
    writeFileSync(ramdisk, initramfs([...own, ...more]));
    writeFileSync(serial, '');
    const qmp = new Qmp([
      ...[...machine.words, '-accel', 'tcg', '-smp', String(cpus)],
      ...['-m', String(memoryMiB), '-serial', `file:${serial}`],
      ...['-kernel', files.kernel, '-initrd', ramdisk, '-append', `console=${machine.console} panic=-1 ${append}`],
      ...['-qmp', `unix:${socket},server=on,wait=off`],
      ...(disk === undefined ? [] : ['-drive', `if=none,format=raw,id=disk,file=${disk}`]),
      ...(disk === undefined ? [] : ['-device', 'nvme,drive=disk,serial=1']),
    ]);
    const booted = new BootedLinux(qmp, serial, socket);
    try {
      await qmp.negotiate();
      await booted.waitFor(until);
      await qmp.execute('stop');
      return booted;
    } catch (error) {
      await qmp.close();
      throw error;
    }
  }

  /** What came out of the serial port. */
  console(): string {
    return readFileSync(this.#console, 'latin1').replaceAll('\r', '');
  }

  /** Waits until the console has said something. */
  async waitFor(text: string): Promise<void> {
    const until = Date.now() + READY_WITHIN;
    // A state that cannot be asked for is the end of the machine.
    while (!this.console().includes(text)) {
      if (Date.now() > until) throw new Error(`no ${text} after ${READY_WITHIN} ms:\n${this.console().slice(-2000)}`);
      await this.#qmp.execute('query-status');
      await delay(50);
    }
  }

  /** QEMU's dump-guest-memory. */
  async dump(path: string, options: { readonly format?: 'kdump-zlib'; readonly paging?: boolean } = {}): Promise<void> {
    this.#qmp.forget('DUMP_COMPLETED');
    const { format, paging = false } = options;
    await this.#qmp.execute('dump-guest-memory', {
      paging,
      protocol: `file:${path}`,
      ...(format === undefined ? {} : { format }),
    });
    await this.#qmp.event('DUMP_COMPLETED');
  }

  /** QEMU's pmemsave: physical memory as it lies. */
  async memory(path: string, start: bigint, length: bigint): Promise<void> {
    await this.#qmp.execute('pmemsave', { val: Number(start), size: Number(length), filename: path });
  }

  async close(): Promise<void> {
    await this.#qmp.close();
  }
}
