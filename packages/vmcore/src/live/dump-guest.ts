import { setTimeout as delay } from 'node:timers/promises';
import { checkAborted, VmcoreError } from '../errors.js';
import { check } from '../options/calls.js';
import type { DumpState } from '../write/dump-state.js';
import { member, Monitor } from './monitor.js';

/** How a machine is dumped that runs in QEMU. */
export interface DumpGuestOptions {
  /** QEMU's name of a format: `elf` (default), `kdump-zlib`, `kdump-lzo`, `kdump-snappy`, `kdump-raw-zlib`, … */
  readonly format?: string | undefined;
  /** Also the virtual addresses that the guest's page tables map; ELF only, and the guest may choose how many. */
  readonly paging?: boolean | undefined;
  /** Only this memory, of ELF (physical address, bytes). */
  readonly filter?: { readonly begin: bigint; readonly length: bigint } | undefined;
  /** Return when QEMU has begun. */
  readonly detach?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((state: Pick<DumpState, 'totalSize' | 'writtenSize'>) => void) | undefined;
}

/** Numbers of JSON are exact up to here. */
const MOST = BigInt(Number.MAX_SAFE_INTEGER);
/** Milliseconds between two questions how far it is. */
const ASK_EVERY = 100;

/** Sizes of a dump: QEMU counts in bytes of 64 bits. */
function sizeOf(state: unknown, name: string): bigint {
  const value = member(state, name);
  return typeof value === 'number' && value >= 0 && Number.isFinite(value) ? BigInt(Math.trunc(value)) : 0n;
}

/**
 * Has QEMU write the memory of a machine that it runs. QEMU writes the file itself, as its own user; the machine stands still
 * meanwhile. A dump that has begun cannot be cancelled: QEMU has no command for that.
 * @param socket of QEMU's monitor (`-qmp unix:PATH,server=on,wait=off`)
 * @param file absolute name where QEMU runs; what is there is written over
 * @throws VmcoreError `READ_FAILED`, `UNSUPPORTED` with QEMU's words, `WRITE_FAILED` when the dump failed, `ABORTED` when it was
 *   no longer waited for, `INVALID_ARGUMENT`
 */
export async function dumpGuest(
  socket: string,
  file: string,
  options: DumpGuestOptions = {},
): Promise<Pick<DumpState, 'totalSize' | 'writtenSize'>> {
  check.file(socket);
  check.file(file);
  const { format = 'elf', paging = false, filter, detach = false, signal, onProgress } = check.dumpGuest(options);
  if (!file.startsWith('/')) {
    throw new VmcoreError('INVALID_ARGUMENT', 'QEMU may have another current directory', {
      file,
      expected: 'an absolute name',
    });
  }
  if (filter !== undefined && (filter.begin > MOST || filter.length > MOST)) {
    throw new VmcoreError('INVALID_ARGUMENT', 'a range of memory is out of all bounds', {
      expected: `at most ${MOST}`,
    });
  }
  checkAborted(signal);
  const monitor = await Monitor.connect(socket, signal);
  try {
    await monitor.execute('dump-guest-memory', {
      paging,
      protocol: `file:${file}`,
      format,
      detach: true,
      ...(filter === undefined ? {} : { begin: Number(filter.begin), length: Number(filter.length) }),
    });
    for (;;) {
      const state = await monitor.execute('query-dump');
      const sizes = { totalSize: sizeOf(state, 'total'), writtenSize: sizeOf(state, 'completed') };
      const status = member(state, 'status');
      if (status === 'failed')
        throw new VmcoreError('WRITE_FAILED', 'QEMU could not write the dump; what it has written is not complete', {
          file,
        });
      onProgress?.(sizes);
      if (status === 'completed' || detach) return sizes;
      checkAborted(signal);
      await delay(ASK_EVERY);
    }
  } finally {
    monitor.close();
  }
}
