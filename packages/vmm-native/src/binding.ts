import { createRequire } from 'node:module';
import type * as Native from './generated/native.js';
import { VmmError } from './errors.js';

type Binding = typeof Native;

const SUPPORTED = 'Linux on x86-64 with glibc 2.34 or later';

let loaded: Binding | undefined;

function isMusl(): boolean {
  const report = process.report.getReport();
  const header: unknown = 'header' in report ? report.header : undefined;
  return typeof header === 'object' && header !== null && !('glibcVersionRuntime' in header);
}

/**
 * Loads the native part for this platform, once.
 * @throws VmmError `UNSUPPORTED_PLATFORM` where there is none, naming what was found and what is supported.
 */
export function binding(): Binding {
  if (loaded !== undefined) return loaded;
  const found = `${process.platform}-${process.arch}`;
  if (found !== 'linux-x64') {
    throw new VmmError('UNSUPPORTED_PLATFORM', `no native part for ${found}; it exists for ${SUPPORTED}`);
  }
  const require = createRequire(import.meta.url);
  try {
    loaded = require('@instar/vmm-native-linux-x64-gnu') as Binding;
  } catch (error) {
    const libc = isMusl() ? ' (this system uses musl)' : '';
    const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    throw new VmmError(
      'UNSUPPORTED_PLATFORM',
      `the native part @instar/vmm-native-linux-x64-gnu cannot be loaded${libc}: ${reason}; it needs ${SUPPORTED}, ` +
        'installed with optional dependencies',
      { cause: error },
    );
  }
  return loaded;
}
