import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
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

/** The bytes of what an initramfs needs of it. */
export function readFiles({ busybox, fwCfg }: KernelFiles): { readonly busybox: Buffer; readonly fwCfg: Buffer } {
  return { busybox: readFileSync(busybox), fwCfg: fwCfg === '' ? Buffer.alloc(0) : readFileSync(fwCfg) };
}
