import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Workdir } from '../../support/workdir.js';
import type { KernelFiles } from './debian.js';

/** A kernel of another machine, or of another release of Debian than this one's. */
export interface ForeignKernel {
  /** Debian's names. */
  readonly architecture: string;
  readonly suite: string;
  /** What the kernel's package is called, with the release as the first group. */
  readonly image: RegExp;
}

const MIRROR = /^(?:deb\b.*?|URIs:.*?)(https?:\/\/\S+\/debian)\/?(?:\s|$)/m;

const run = (program: string, words: readonly string[], cwd?: string): string =>
  execFileSync(program, words, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 240_000 });

/** Where this machine's own packages come from. */
function mirror(): string {
  const texts = run('sh', ['-c', 'cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true']);
  const found = MIRROR.exec(texts)?.[1];
  if (found === undefined) throw new Error('apt has no archive of Debian');
  return found;
}

/**
 * Fetches and unpacks a kernel and busybox that cannot be installed here. What apt knows of this machine stays as it is: it
 * gets lists of its own.
 * @throws Error that says why there is none
 */
export function foreignKernel(directory: Workdir, { architecture, suite, image }: ForeignKernel): KernelFiles {
  const place = directory.file(`apt-${architecture}-${suite}`);
  const files = join(place, 'files');
  for (const folder of ['', 'lists/partial', 'cache/archives/partial', 'sources.list.d', 'files']) {
    mkdirSync(join(place, folder), { recursive: true });
  }
  for (const path of [directory.path, place, files]) chmodSync(path, 0o755);
  writeFileSync(join(place, 'status'), '');
  const key = '/usr/share/keyrings/debian-archive-keyring.gpg';
  writeFileSync(join(place, 'sources.list'), `deb [signed-by=${key}] ${mirror()} ${suite} main\n`);
  const options = [
    `Dir::State::Lists=${place}/lists`,
    `Dir::State::status=${place}/status`,
    `Dir::Cache=${place}/cache`,
    `Dir::Etc::sourcelist=${place}/sources.list`,
    `Dir::Etc::sourceparts=${place}/sources.list.d`,
    `APT::Architecture=${architecture}`,
    `APT::Architectures=${architecture}`,
    'Acquire::Languages=none',
  ].flatMap((option) => ['-o', option]);
  run('apt-get', [...options, 'update']);
  const names = run('apt-cache', [...options, 'search', '--names-only', '^linux-image-[0-9]'])
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((name) => image.test(name))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const name = names.at(-1);
  if (name === undefined) throw new Error(`${suite} has no kernel ${String(image)} for ${architecture}`);
  run('apt-get', [...options, 'download', name, 'busybox-static'], files);
  for (const file of readdirSync(files).filter((entry) => entry.endsWith('.deb'))) {
    run('dpkg-deb', ['--extract', file, '.'], files);
  }
  const release = image.exec(name)?.[1] ?? '';
  const find = (...words: readonly string[]): string => run('find', [files, ...words]).split('\n')[0] ?? '';
  const fwCfg = find('-name', 'qemu_fw_cfg.ko*');
  // Later releases pack their modules, which busybox's insmod does not read.
  if (fwCfg.endsWith('.xz')) run('xz', ['--decompress', fwCfg]);
  return {
    release,
    kernel: find('-path', '*/boot/vmlinu*'),
    fwCfg: fwCfg.replace(/\.xz$/, ''),
    busybox: find('-path', '*bin/busybox'),
  };
}
