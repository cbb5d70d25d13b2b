import { VmcoreError } from '../errors.js';
import { check } from '../options/calls.js';
import type { Dump } from '../read/dump.js';
import { DebugInfo, fieldOf, type DebugInfoOptions } from './debug-info.js';
import { kernelView } from './kernel-view.js';
import { readLog } from './log.js';

/** When the times of a dump's log began. */
export interface BootTime {
  /** Nanoseconds since 1970, in UTC, at which the log's clock was 0. */
  readonly nanoseconds: bigint;
  /** `clock`: from the kernel's own clock. `crash`: from the second in which it crashed, and its last record. */
  readonly source: 'clock' | 'crash';
}

/** Nanoseconds of a second. */
const SECOND = 1_000_000_000n;

/** What the kernel adds to the time of day to get the time since it started, with its sign turned. */
async function byClock(dump: Dump, info: DebugInfo): Promise<bigint> {
  const [core] = await info.symbols('tk_core');
  const keeper = await info.type('struct timekeeper');
  // Since 6.13 the structure around it has a name; before, a counter of 4 bytes stands before it.
  const wrapped = await info.type('struct tk_data').catch((error: unknown) => {
    if (error instanceof VmcoreError && error.code === 'UNSUPPORTED') return undefined;
    throw error;
  });
  const before = wrapped === undefined ? undefined : fieldOf(wrapped, 'timekeeper')?.offset;
  const field = fieldOf(keeper, 'wall_to_monotonic');
  if (field === undefined || field.offset < 0 || field.offset > 1 << 16) {
    throw new VmcoreError('UNSUPPORTED', 'the time of day cannot be told: timekeeper has no wall_to_monotonic', {
      file: dump.name,
    });
  }
  const bytes = await dump.readVirtual(core + BigInt((before ?? 8) + field.offset), 16);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const little = dump.byteOrder === 'little';
  return -(view.getBigInt64(0, little) * SECOND + BigInt(view.getInt32(little ? 8 : 12, little)));
}

async function byCrash(dump: Dump): Promise<bigint | undefined> {
  const text = dump.vmcoreinfo?.get('CRASHTIME');
  if (text === undefined || !/^\d{1,12}$/.test(text)) return undefined;
  let last = 0n;
  for await (const { time } of readLog(dump)) last = time;
  return BigInt(text) * SECOND - last;
}

/**
 * When the times of a dump's log began: the kernel's clock says it, whose symbols and types must be in the dump or in the
 * kernel's file; or, to the second, the CRASHTIME that a crashed kernel writes into VMCOREINFO.
 * @throws VmcoreError `UNSUPPORTED` where neither is there
 */
export async function bootTime(dump: Dump, options: DebugInfoOptions = {}): Promise<BootTime> {
  check.dump(dump);
  try {
    const info = new DebugInfo(kernelView(dump), check.symbol('tk_core', options));
    return { nanoseconds: await byClock(dump, info), source: 'clock' };
  } catch (error) {
    if (!(error instanceof VmcoreError) || error.code === 'INVALID_ARGUMENT' || error.code === 'READ_FAILED')
      throw error;
    const nanoseconds = await byCrash(dump);
    if (nanoseconds === undefined) throw error;
    return { nanoseconds, source: 'crash' };
  }
}
