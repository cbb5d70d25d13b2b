import { createRequire } from 'node:module';
import type * as Files from './generated/files.js';
import type * as Native from './generated/native.js';
import type * as Pages from './generated/pages.js';
import { VmmError } from './errors.js';

const SUPPORTED = 'Linux on x86-64 with glibc 2.34 or later';

const PLATFORM_PACKAGE = '@instar/vmm-native-linux-x64-gnu';

const require = createRequire(import.meta.url);

/** Each with its whole name, so that what traces files for a deployment finds it. */
const ADDONS = {
  vmm: (): unknown => require('@instar/vmm-native-linux-x64-gnu/instar-vmm.linux-x64-gnu.node'),
  pages: (): unknown => require('@instar/vmm-native-linux-x64-gnu/instar-pages.linux-x64-gnu.node'),
  files: (): unknown => require('@instar/vmm-native-linux-x64-gnu/instar-files.linux-x64-gnu.node'),
} as const;

const loaded = new Map<keyof typeof ADDONS, unknown>();

function isMusl(): boolean {
  const report = process.report.getReport();
  const header: unknown = 'header' in report ? report.header : undefined;
  return typeof header === 'object' && header !== null && !('glibcVersionRuntime' in header);
}

/** Loads a file of the platform's package, once. */
function load(name: keyof typeof ADDONS): unknown {
  const known = loaded.get(name);
  if (known !== undefined) return known;
  const found = `${process.platform}-${process.arch}`;
  if (found !== 'linux-x64') {
    throw new VmmError('UNSUPPORTED_PLATFORM', `no native part for ${found}; it exists for ${SUPPORTED}`);
  }
  try {
    const addon = ADDONS[name]();
    loaded.set(name, addon);
    return addon;
  } catch (error) {
    const libc = isMusl() ? ' (this system uses musl)' : '';
    const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    throw new VmmError(
      'UNSUPPORTED_PLATFORM',
      `the native part ${PLATFORM_PACKAGE} cannot be loaded${libc}: ${reason}; it needs ${SUPPORTED}, ` +
        'installed with optional dependencies',
      { cause: error },
    );
  }
}

/**
 * The native part that runs guests.
 * @throws VmmError `UNSUPPORTED_PLATFORM` where there is none, naming what was found and what is supported.
 */
export function binding(): typeof Native {
  return load('vmm') as typeof Native;
}

/**
 * The native part that handles pages of dumps; the other one has no codec in it.
 * @throws VmmError `UNSUPPORTED_PLATFORM` as {@link binding} does.
 */
export function pagesBinding(): typeof Pages {
  return load('pages') as typeof Pages;
}

/**
 * The native part that makes the system calls on files that node has no function for.
 * @throws VmmError `UNSUPPORTED_PLATFORM` as {@link binding} does.
 */
export function filesBinding(): typeof Files {
  return load('files') as typeof Files;
}
