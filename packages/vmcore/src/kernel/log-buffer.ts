import { VmcoreError } from '../errors.js';
import { CONTINUATION, levelOf, needed, type LogRecord, type LogSource } from './log.js';

/** Most bytes of a log buffer; the kernel takes up to 2 GiB, and nobody gives it more than some MiB. */
const MAX_BUFFER = 64 << 20;

/** Fields of struct printk_log, which was struct log before 3.11. */
function layoutOf(source: LogSource) {
  const { info } = source;
  const name = info.sizeOf('printk_log') === undefined ? 'log' : 'printk_log';
  const offset = (field: string): number =>
    needed(source, info.offsetOf(`${name}.${field}`), `OFFSET(${name}.${field})`);
  return {
    size: needed(source, info.sizeOf(name), `SIZE(${name})`),
    time: offset('ts_nsec'),
    length: offset('len'),
    textLength: offset('text_len'),
    // dict_len, a byte of facility, and one of flags and level follow.
    facility: offset('text_len') + 4,
  };
}

/** The records of kernels from 3.5 to 5.9 (Linux 4.19, kernel/printk/printk.c, struct printk_log). */
export async function* readOldLog(source: LogSource): AsyncGenerator<LogRecord> {
  const { info, little } = source;
  const symbol = (name: string): bigint => {
    const found = info.symbol(name);
    if (found === undefined) needed(source, undefined, `SYMBOL(${name})`);
    return found ?? 0n;
  };
  const number = async (name: string): Promise<number> => {
    const bytes = await source.read(symbol(name), 4);
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, little);
  };
  const layout = layoutOf(source);
  const buffer = await source.word(symbol('log_buf'));
  const [length, first, next] = [
    await number('log_buf_len'),
    await number('log_first_idx'),
    await number('log_next_idx'),
  ];
  if (length > MAX_BUFFER || first > length || next > length) {
    throw new VmcoreError('BAD_DUMP', 'the log buffer is not valid', {
      file: source.name,
      field: 'log_buf_len, log_first_idx, log_next_idx',
      found: `${length}, ${first}, ${next}`,
      expected: `at most ${MAX_BUFFER} bytes, and indices in them`,
    });
  }
  // A record has at least its own bytes: what is visited cannot be more than the buffer has.
  let at = first;
  for (let visited = 0; at !== next && visited <= length;) {
    if (at + layout.size > length) break;
    const header = await source.read(buffer + BigInt(at), layout.size);
    const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
    const size = view.getUint16(layout.length, little);
    if (size === 0) {
      // The rest of the buffer was too small for a record.
      visited += length - at;
      at = 0;
      continue;
    }
    const textLength = view.getUint16(layout.textLength, little);
    if (size < layout.size || at + size > length || textLength > size - layout.size) {
      throw new VmcoreError('BAD_DUMP', 'a record of the log is not valid', {
        file: source.name,
        field: 'printk_log.len, printk_log.text_len',
        found: `${size} and ${textLength} bytes at ${at}`,
        expected: `at least ${layout.size} bytes, in a buffer of ${length}`,
      });
    }
    const text =
      textLength === 0 ? new Uint8Array(0) : await source.read(buffer + BigInt(at + layout.size), textLength);
    const { level, flags } = levelOf(header[layout.facility + 1] ?? 0, little);
    yield {
      time: view.getBigUint64(layout.time, little),
      level,
      facility: header[layout.facility] ?? 0,
      // CONFIG_PRINTK_CALLER makes the structure four bytes longer.
      caller: layout.size >= layout.facility + 6 ? view.getUint32(layout.facility + 2, little) : undefined,
      continuation: (flags & CONTINUATION) !== 0,
      text,
    };
    at += size;
    visited += size;
    if (at >= length) at = 0;
  }
}
