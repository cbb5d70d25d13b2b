import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statfsSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Workdir } from '../../support/workdir.js';

/** What is needed to boot a kernel of Debian: unpacked, not installed. */
export interface KernelFiles {
  readonly release: string;
  /** Names of files. */
  readonly kernel: string;
  /** The module that writes VMCOREINFO where QEMU looks for it; empty where the machine has none. */
  readonly fwCfg: string;
  readonly busybox: string;
}

/** The package whose newest dependency is the kernel itself. */
const META = 'linux-image-cloud-amd64';

const run = (program: string, words: readonly string[], cwd?: string): string =>
  execFileSync(program, words, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 120_000 });

/**
 * Fetches and unpacks a kernel and busybox.
 * @throws Error that says why there is none here
 */
export function debianKernel(directory: Workdir): KernelFiles {
  const folder = directory.file('debian');
  mkdirSync(folder);
  // The user under whom apt fetches may not be allowed into the folder.
  for (const path of [directory.path, folder]) chmodSync(path, 0o755);
  const image = /Depends: (linux-image-\S+)/.exec(run('apt-cache', ['depends', META]))?.[1];
  if (image === undefined) throw new Error(`apt knows no package ${META}`);
  run('apt-get', ['download', image, 'busybox-static'], folder);
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.deb'))) {
    run('dpkg-deb', ['--extract', name, '.'], folder);
  }
  const release = image.replace('linux-image-', '');
  return {
    release,
    kernel: join(folder, 'boot', `vmlinuz-${release}`),
    fwCfg: join(folder, 'lib/modules', release, 'kernel/drivers/firmware/qemu_fw_cfg.ko'),
    busybox: join(folder, 'bin/busybox'),
  };
}

/** Bytes that a package of debugging information and what is taken out of it need. */
const DEBUG_ROOM = 3 * 2 ** 30;

/**
 * Fetches the kernel with its debugging information: some 300 MB, a file of its own of 400 MB.
 * @returns the name of the file
 * @throws Error that says why there is none here
 */
export function debianVmlinux(directory: Workdir, release: string): string {
  const { bavail, bsize } = statfsSync(directory.path);
  if (bavail * bsize < DEBUG_ROOM) throw new Error(`${directory.path} has less than ${DEBUG_ROOM} bytes left`);
  const folder = directory.file('debug');
  mkdirSync(folder);
  chmodSync(folder, 0o755);
  run('apt-get', ['download', `linux-image-${release}-dbg`], folder);
  const [name = ''] = readdirSync(folder).filter((file) => file.endsWith('.deb'));
  const path = `./usr/lib/debug/boot/vmlinux-${release}`;
  run('sh', ['-c', `dpkg-deb --fsys-tarfile "$1" | tar --extract "$2"`, 'sh', name, path], folder);
  unlinkSync(join(folder, name));
  return join(folder, path);
}

/** The bytes of what an initramfs needs of it. */
export function readFiles({ busybox, fwCfg }: KernelFiles): { readonly busybox: Buffer; readonly fwCfg: Buffer } {
  return { busybox: readFileSync(busybox), fwCfg: fwCfg === '' ? Buffer.alloc(0) : readFileSync(fwCfg) };
}
