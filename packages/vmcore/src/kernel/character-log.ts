import { VmcoreError } from '../errors.js';
import type { LogRecord, LogSource } from './log.js';

/** Most bytes of a log buffer, as of later kernels. */
const MAX_BUFFER = 64 << 20;
/** Bytes that are read at once, and a line's most: longer ones are cut. */
const [BLOCK, MAX_LINE] = [64 << 10, 64 << 10];
/** `<6>` and `[    1.234567] ` before a line's text. */
const HEAD = /^(?:<(\d{1,4})>)?(?:\[ *(\d{1,10})\.(\d{6})\] ?)?/;
/** The level of a line that says none: DEFAULT_MESSAGE_LOGLEVEL. */
const DEFAULT_LEVEL = 4;

/** Bytes of the buffer, oldest first, in blocks. */
async function* blocks(source: LogSource): AsyncGenerator<Uint8Array> {
  const { info } = source;
  const symbol = (name: string): bigint => {
    const found = info.symbol(name);
    if (found !== undefined) return found;
    throw new VmcoreError('UNSUPPORTED', `the log cannot be read: VMCOREINFO has no SYMBOL(${name})`, {
      file: source.name,
    });
  };
  const number = async (name: string): Promise<number> => {
    const bytes = await source.read(symbol(name), 4);
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, source.little);
  };
  const [buffer, size, end] = [
    await source.word(symbol('log_buf')),
    await number('log_buf_len'),
    await number('log_end'),
  ];
  // `log_end` counts all characters that ever were; a mask makes a place of it.
  if (size === 0 || size > MAX_BUFFER || !Number.isInteger(Math.log2(size))) {
    throw new VmcoreError('BAD_DUMP', 'the log buffer is not valid', {
      file: source.name,
      field: 'log_buf_len',
      found: String(size),
      expected: `a power of 2, at most ${MAX_BUFFER}`,
    });
  }
  const [first, length] = end < size ? [0, end] : [end % size, size];
  for (let done = 0; done < length;) {
    const at = (first + done) % size;
    const count = Math.min(BLOCK, length - done, size - at);
    yield await source.read(buffer + BigInt(at), count);
    done += count;
  }
}

async function* lines(source: LogSource): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const block of blocks(source)) {
    let bytes = Buffer.concat([rest, block]);
    for (;;) {
      const end = bytes.indexOf(0x0a);
      if (end < 0 && bytes.length < MAX_LINE) break;
      const cut = end < 0 || end > MAX_LINE ? MAX_LINE : end;
      yield bytes.subarray(0, cut);
      bytes = bytes.subarray(cut === end ? cut + 1 : cut);
    }
    rest = bytes;
  }
  if (rest.length > 0) yield rest;
}

/** The lines of kernels before 3.5, whose log is characters in a ring (Linux 3.4, kernel/printk.c). */
export async function* readCharacterLog(source: LogSource): AsyncGenerator<LogRecord> {
  let time = 0n;
  for await (const line of lines(source)) {
    const [head = '', priority, seconds, micros] = HEAD.exec(line.toString('latin1', 0, 64)) ?? [];
    // A line without a time was written beside the one before it.
    if (seconds !== undefined && micros !== undefined) time = (BigInt(seconds) * 1_000_000n + BigInt(micros)) * 1000n;
    const value = priority === undefined ? DEFAULT_LEVEL : Number(priority);
    yield {
      time,
      level: value & 7,
      facility: value >>> 3,
      continuation: false,
      text: line.subarray(head.length),
    };
  }
}
