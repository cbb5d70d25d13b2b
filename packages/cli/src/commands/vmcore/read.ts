import { EngineError } from '@instar/engine';
import { EXIT_CODES } from '../../exit-codes.js';
import { dumpJson } from './dump-json.js';
import { addressOf, numberOf, usageError, withDump, type CommandContext, type Flags } from './flags.js';

/** Bytes that are read and printed at once. */
const CHUNK = 1 << 20;
const LINE = 16;
/** Bytes that `--json` holds in one string. */
const MOST_JSON = 16n << 20n;

/** Where a hexdump goes on: the line before, and whether it stands for a `*`. */
interface Before {
  readonly last: string;
  readonly starred: boolean;
}

/** Lines of 16 bytes, as `hexdump -C` prints them; lines like the one before become one `*`. */
function hexdump(bytes: Uint8Array, address: bigint, before: Before): Before & { readonly text: string } {
  const lines: string[] = [];
  let { last, starred } = before;
  for (let at = 0; at < bytes.length; at += LINE) {
    const part = bytes.subarray(at, at + LINE);
    const pairs = Array.from(part, (byte) => byte.toString(16).padStart(2, '0'));
    const columns = `${pairs.slice(0, 8).join(' ').padEnd(23)}  ${pairs.slice(8).join(' ').padEnd(23)}`;
    const shown = Array.from(part, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    const body = `${columns}  |${shown}|`;
    if (body === last && part.length === LINE) {
      if (!starred) lines.push('*\n');
      starred = true;
    } else {
      starred = false;
      lines.push(`${(address + BigInt(at)).toString(16).padStart(12, '0')}  ${body}\n`);
    }
    last = body;
  }
  return { text: lines.join(''), last, starred };
}

async function print(text: Uint8Array | string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => {
      if (error === null || error === undefined) resolve();
      else
        reject(
          new EngineError('WRITE_FAILED', `cannot be written: ${error.message}`, {
            file: 'standard output',
            cause: error,
          }),
        );
    });
  });
}

/** `instar vmcore read`. */
export async function read(words: readonly string[], flags: Flags, context: CommandContext): Promise<number> {
  const { signal } = context;
  const [file = '', addressWord = '', lengthWord = ''] = words;
  const address = addressOf(addressWord, 'ADDRESS');
  const length = numberOf(lengthWord, 'LENGTH');
  if (flags.raw === true && flags.json === true) throw usageError('--raw and --json exclude each other');
  if (flags.raw === true && process.stdout.isTTY) {
    throw usageError('--raw would write bytes to a terminal: redirect standard output');
  }
  if (flags.json === true && length > MOST_JSON) {
    throw usageError(`found ${length} bytes, expected at most ${MOST_JSON} with --json: use --raw`);
  }
  const excluded = flags.excludedAsZeros === true ? 'zero' : 'error';
  const virtual = flags.virtual === true || flags.pgd !== undefined;
  const pgd = flags.pgd === undefined ? undefined : addressOf(flags.pgd, '--pgd');
  return withDump([file], context, async (dump) => {
    const bytesAt = async (at: bigint, size: number): Promise<Uint8Array> =>
      virtual ? dump.readVirtual(at, size, { excluded, pgd }) : dump.read(at, size, { excluded });
    if (flags.json === true) {
      const bytes = await bytesAt(address, Number(length));
      process.stdout.write(`${dumpJson({ address, length, hex: Buffer.from(bytes).toString('hex') })}\n`);
      return EXIT_CODES.OK;
    }
    let before: Before = { last: '', starred: false };
    for (let done = 0n; done < length && !signal.aborted; done += BigInt(CHUNK)) {
      const size = length - done < BigInt(CHUNK) ? Number(length - done) : CHUNK;
      const bytes = await bytesAt(address + done, size);
      const dumped = flags.raw === true ? undefined : hexdump(bytes, address + done, before);
      await print(dumped?.text ?? bytes);
      before = dumped ?? before;
    }
    signal.throwIfAborted();
    return EXIT_CODES.OK;
  });
}
