import { bootTime, readLog, type LogRecord } from '@instar/vmcore';
import { EXIT_CODES } from '../../exit-codes.js';
import { dumpJson } from './dump-json.js';
import { addressOf, printWarnings, usageError, withDump, type CommandContext, type Flags } from './flags.js';
import { standardOutput } from '../../process/standard-streams.js';

/** Characters that are gathered before they are printed. */
const BLOCK = 64 << 10;
/** Records that `--json` holds: many times what a kernel keeps, and fewer than a hostile dump claims. */
const MOST_JSON = 1 << 18;
/** Bit of a caller that says that it is a CPU. */
const CALLER_IS_CPU = 0x8000_0000;

/** Bytes as makedumpfile prints them: what is neither printable nor white space in ASCII is escaped. */
function printable(text: Uint8Array, indent: number): string {
  return Array.from(text, (byte) => {
    if (byte === 0x0a) return `\n${' '.repeat(indent)}`;
    const plain = (byte >= 0x20 && byte < 0x7f) || byte === 0x09;
    return plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
  }).join('');
}

function callerText(caller: number): string {
  return caller >= CALLER_IS_CPU ? `C${caller - CALLER_IS_CPU}` : `T${caller}`;
}

/** A time of day, with microseconds. */
function timeOfDay(nanoseconds: bigint): string {
  const date = new Date(Number(nanoseconds / 1_000_000n));
  const micros = String((nanoseconds / 1000n) % 1_000_000n).padStart(6, '0');
  // Only a damaged clock is before 1970 or after the year 275760.
  if (Number.isNaN(date.getTime()) || nanoseconds < 0n) return 'unknown time';
  return `${date.toISOString().slice(0, 19)}.${micros}Z`;
}

function recordText({ time, caller, text }: LogRecord, showCaller: boolean, boot: bigint | undefined): string {
  const seconds = String(time / 1_000_000_000n).padStart(5);
  const micros = String((time % 1_000_000_000n) / 1000n).padStart(6, '0');
  const who = showCaller && caller !== undefined ? `[${callerText(caller).padStart(6)}] ` : '';
  const head = `[${boot === undefined ? `${seconds}.${micros}` : timeOfDay(boot + time)}] ${who}`;
  return `${head}${printable(text, head.length)}\n`;
}

function recordJson(record: LogRecord, boot: bigint | undefined): object {
  const { sequence, time, level, facility, caller, continuation, text } = record;
  return {
    sequence,
    'timestamp-ns': time,
    time: boot === undefined ? undefined : timeOfDay(boot + time),
    level,
    facility,
    caller: caller === undefined ? undefined : callerText(caller),
    continuation,
    text: Buffer.from(text).toString('utf8'),
  };
}

/** `instar vmcore dmesg`. */
export async function dmesg(files: readonly string[], flags: Flags, context: CommandContext): Promise<number> {
  const pgd = flags.pgd === undefined ? undefined : addressOf(flags.pgd, '--pgd');
  return withDump(files, context, async (dump) => {
    if (flags.json !== true) await printWarnings(dump);
    const timed = flags.time === true || flags.vmlinux !== undefined;
    const boot = timed ? (await bootTime(dump, { vmlinux: flags.vmlinux })).nanoseconds : undefined;
    const records: object[] = [];
    let text = '';
    try {
      for await (const record of readLog(dump, { pgd })) {
        context.signal.throwIfAborted();
        if (records.length === MOST_JSON) throw usageError(`found more than ${MOST_JSON} records: leave --json out`);
        if (flags.json === true) records.push(recordJson(record, boot));
        else text += recordText(record, flags.caller === true, boot);
        if (text.length < BLOCK) continue;
        standardOutput.write(text);
        text = '';
      }
    } finally {
      // What was read before something could not be is worth having.
      standardOutput.write(text);
    }
    if (flags.json === true) standardOutput.write(`${dumpJson({ records })}\n`);
    return EXIT_CODES.OK;
  });
}
