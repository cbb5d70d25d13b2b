import { EngineError } from '@instar/engine';
import { nameText } from '@instar/host-files/text';

/** Longest name (bytes): PATH_MAX of Linux. */
const MOST = 4096;

/**
 * The names in a stream, byte for byte, each with a zero byte behind it; behind the last it may be missing.
 * @throws EngineError `INVALID_OPTION` for what is no list of names
 */
export async function* namesOf(stream: AsyncIterable<unknown>): AsyncGenerator<string> {
  let rest = Buffer.alloc(0);
  for await (const chunk of stream) {
    rest = Buffer.concat([rest, Buffer.from(chunk as Uint8Array)]);
    let start = 0;
    for (let end = rest.indexOf(0); end >= 0; end = rest.indexOf(0, start)) {
      yield checked(rest.subarray(start, end));
      start = end + 1;
    }
    rest = rest.subarray(start);
    if (rest.length > MOST) checked(rest);
  }
  if (rest.length > 0) yield checked(rest);
}

function checked(name: Buffer): string {
  const expected = `expected names of 1 to ${MOST} bytes with a zero byte behind each (find -print0)`;
  if (name.length > 0 && name.length <= MOST) return nameText(name);
  throw new EngineError('INVALID_OPTION', `--stdin0: found a name of ${name.length} bytes, ${expected}`);
}
