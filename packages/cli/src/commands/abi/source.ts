import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { EngineError, escapeText } from '@instar/engine';
import { OperandError, parseSize } from '@instar/operands';
import { TARGETS, x86_64, type Target } from '@instar/layout';
import type { Interface, NamedDescription } from '@instar/layout/emit';
import { parseInterface } from '@instar/layout/versions';
import { describeAbi, FINGERPRINT } from '@instar/shared-abi';

/** Where types come from: our own ABI, or a file that `emit --to json` or `extract --layout` wrote. */
export interface Source {
  readonly unit: Interface;
  /** SHA-256 of our own ABI; a file's is not vouched for. */
  readonly fingerprint: Uint8Array | undefined;
}

/** A mistake in the command line. */
export function usageError(message: string): EngineError {
  return new EngineError('INVALID_OPTION', message);
}

/** `FILE` or `FILE@OFFSET`; an offset is a size as dd takes it (`512`, `0x81000`, `1M`). */
export function placeOf(word: string): { readonly file: string; readonly offset: bigint } {
  const at = word.lastIndexOf('@');
  if (at <= 0) return { file: word, offset: 0n };
  let offset: bigint;
  try {
    offset = parseSize(word.slice(at + 1));
  } catch (error) {
    if (!(error instanceof OperandError)) throw error;
    throw usageError(`${error.message}; a file that has an @ in its name takes an offset too: ${escapeText(word)}@0`);
  }
  if (offset > BigInt(Number.MAX_SAFE_INTEGER)) throw usageError(`found the offset ${offset}, expected less than 2^53`);
  return { file: word.slice(0, at), offset };
}

/**
 * Bytes of a file, or of standard input for `-`; a pipe is read up to the offset first.
 * @returns Fewer where the file ends before.
 */
export async function readBytes(file: string, offset: number, size: number): Promise<Buffer<ArrayBuffer>> {
  if (size === 0) return Buffer.alloc(0);
  const chunks: Buffer[] = [];
  let skip = offset;
  let left = size;
  try {
    const isInput = file === '-' || file === '/dev/stdin';
    const canSeek = !isInput && offset > 0 && !(await stat(file)).isFIFO();
    if (canSeek) skip = 0;
    // Without a start, nothing is sought: a pipe can be read.
    const start = canSeek ? { start: offset, end: offset + size - 1 } : {};
    const stream = createReadStream(isInput ? '/dev/stdin' : file, {
      ...start,
      ...(isInput ? { fd: 0, autoClose: false } : {}),
    }) as AsyncIterable<Buffer>;
    for await (const chunk of stream) {
      const part = chunk.subarray(Math.min(skip, chunk.length)).subarray(0, left);
      skip -= Math.min(skip, chunk.length);
      left -= part.length;
      chunks.push(part);
      if (left === 0) break;
    }
  } catch (error) {
    const { code = 'EIO' } = error as NodeJS.ErrnoException;
    throw new EngineError('READ_FAILED', `cannot be read (${code})`, { file });
  }
  return Buffer.concat(chunks);
}

/** More than any description needs: a slip, or a device without end. */
const MOST_JSON = 64 * 1024 * 1024;

/** Reads an interface from a file of canonical JSON. */
export async function readInterface(file: string): Promise<Interface> {
  const bytes = await readBytes(file, 0, MOST_JSON + 1);
  if (bytes.length > MOST_JSON) {
    throw new EngineError('INVALID_OPTION', `has more than ${MOST_JSON} bytes; expected canonical JSON`, { file });
  }
  const text = bytes.toString('utf8');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new EngineError('INVALID_OPTION', 'is no JSON; expected what `instar abi emit --to json` writes', { file });
  }
  return parseInterface(json);
}

/** Stands for the structures of disk images, where types would come from a file; one of that name is `./disk-images`. */
const DISK_IMAGES = 'disk-images';

export async function readSource(from: string | undefined): Promise<Source> {
  if (from === DISK_IMAGES) {
    const types = Object.values(await import('@instar/shared-abi/disk'));
    return {
      unit: { title: 'structures of disk images', regions: [], constants: [], sets: [], types },
      fingerprint: undefined,
    };
  }
  if (from === undefined) return { unit: describeAbi(), fingerprint: FINGERPRINT };
  return { unit: await readInterface(from), fingerprint: undefined };
}

/**
 * Types by name; all of them for an empty list.
 * @throws EngineError `INVALID_OPTION` for a name that there is not, with those that resemble it.
 */
export function findTypes(unit: Interface, names: readonly string[]): readonly NamedDescription[] {
  if (names.length === 0) return unit.types;
  return names.map((name) => {
    const found = unit.types.find((type) => type.name === name);
    if (found !== undefined) return found;
    const like = unit.types
      .filter((type) => type.name.toLowerCase().includes(name.toLowerCase()))
      .map((type) => type.name);
    const hint = like.length > 0 ? `; there is ${like.join(', ')}` : '; see instar abi show';
    throw usageError(`found no type ${escapeText(name)}${hint}`);
  });
}

/** Other names that compilers and people use. */
const ALIASES: Readonly<Record<string, string>> = {
  m64: 'x86_64',
  m32: 'i386',
  amd64: 'x86_64',
  arm64: 'aarch64',
  armhf: 'arm',
  win64: 'windows_x64',
};

export const TARGET_NAMES = ['m64', 'm32', ...TARGETS.map((item) => item.name)].join(', ');

/** Targets by the names that compilers and people use. */
export function findTarget(name: string | undefined): Target {
  if (name === undefined) return x86_64;
  const found = TARGETS.find((target) => target.name === (ALIASES[name] ?? name));
  if (found !== undefined) return found;
  throw usageError(`found the target ${escapeText(name)}, expected ${TARGET_NAMES}`);
}
