import { Readable } from 'node:stream';
import { check } from '../options/calls.js';
import type { Dump, StreamRange } from './dump.js';

/** Bytes that a stream reads at once. */
const PIECE = 1n << 20n;

/** The calls of a dump that give its memory as a stream, and its end where the scope of a variable ends. */
export function memoryStreams(
  dump: () => Dump,
): Pick<Dump, 'createReadStream' | 'createWebStream' | typeof Symbol.asyncDispose> {
  const createReadStream = (range: StreamRange = {}): Readable => {
    const { start = 0n, end, excluded } = check.memoryRange(range);
    const { addressLimit } = dump();
    const behind = end === undefined ? addressLimit : end + 1n;
    const pieces = async function* (): AsyncGenerator<Uint8Array> {
      for (let at = start; at < behind; at += PIECE) {
        const left = behind - at;
        yield await dump().read(at, Number(left < PIECE ? left : PIECE), { excluded });
      }
    };
    return Readable.from(pieces(), { objectMode: false });
  };
  return {
    createReadStream,
    createWebStream: (range) => Readable.toWeb(createReadStream(range)) as ReadableStream<Uint8Array>,
    async [Symbol.asyncDispose]() {
      await dump().close();
    },
  };
}
