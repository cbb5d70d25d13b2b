import { Writable } from 'node:stream';
import { openSource, verifyDump, VmcoreError, writeDump, type ByteSource, type Dump } from '../../src/index.js';

/** Memory of a hostile dump that is still read to its end (bytes); what claims more is read in places. */
const READ_WHOLE = 8n << 20n;
/** Extents that are looked at. */
const EXTENTS = 2000;

async function useDump(dump: Dump): Promise<void> {
  let total = 0n;
  let count = 0;
  for await (const { start, length, kind } of dump.extents()) {
    total += length;
    count += 1;
    if (kind === 'stored') await attempt(async () => dump.read(start, length < 9000n ? Number(length) : 9000));
    if (count === EXTENTS) break;
  }
  Array.from(dump.vmcoreinfo?.entries() ?? []);
  await attempt(async () => dump.read(0x7fff_ffff_f000n, 4096));
  if (count === EXTENTS || total > READ_WHOLE) return;
  await attempt(async () => verifyDump(dump));
  for (const format of ['elf', 'kdump'] as const) {
    const stream = new Writable({
      write(_chunk, _encoding, done) {
        done();
      },
    });
    await attempt(async () => writeDump(dump, { stream }, { format, threads: 1 }));
  }
}

async function attempt(action: () => Promise<unknown>): Promise<void> {
  try {
    await action();
  } catch (error) {
    // A typed error is what a hostile dump may come to; anything else is a finding.
    if (!(error instanceof VmcoreError)) throw error;
  }
}

/**
 * Opens, reads and converts a hostile dump. Rejects when that comes to anything but success or a typed error.
 * @returns code of the error with which it was refused; undefined when it could be opened
 */
export async function examine(source: ByteSource): Promise<string | undefined> {
  let dump: Dump;
  try {
    dump = await openSource(source);
  } catch (error) {
    if (error instanceof VmcoreError) return error.code;
    throw error;
  }
  try {
    await useDump(dump);
  } finally {
    await dump.close();
  }
  return undefined;
}
