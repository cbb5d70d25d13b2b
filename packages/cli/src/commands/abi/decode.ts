import { EngineError, escapeText } from '@instar/engine';
import {
  array,
  byteSize,
  codec,
  resolve,
  type Endian,
  type ResolvedType,
  type Target,
  type Type,
} from '@instar/layout';
import { fieldDump, leafCount, leavesOf, valueJson } from '../../render/field-dump.js';
import { coloursOf, type Colour } from '../../render/colours.js';
import { findTypes, placeOf, readBytes, usageError, type Source } from './source.js';
import { recordText } from '../../render/record.js';
import { standardOutput } from '../../process/standard-streams.js';

export interface DecodeFlags {
  readonly target: Target;
  readonly endian: Endian | undefined;
  readonly json: boolean;
}

/** What a dump is good for; more is a slip, or a description from a stranger. */
const MOST_BYTES = 256 * 1024 * 1024;
const MOST_FIELDS = 1_000_000;

/** `TYPE`, `TYPE[COUNT]`, or `TYPE[]` for all that there is. */
function arrayOf(word: string): { readonly name: string; readonly count: number | 'all' | undefined } {
  const [, name = '', digits] = /^(.*)\[([0-9]*)\]$/.exec(word) ?? [];
  if (digits === undefined) return { name: word, count: undefined };
  if (digits === '') return { name, count: 'all' };
  const count = Number(digits);
  if (!Number.isSafeInteger(count)) throw usageError(`found ${escapeText(word)}, expected a count below 2^53`);
  return { name, count };
}

/** A value with its bytes. */
export interface DecodedPlace {
  readonly value: unknown;
  readonly layout: ResolvedType;
  readonly bytes: Uint8Array;
  readonly target: Target;
  readonly file: string;
  readonly offset: bigint;
  /** What messages call the file. */
  readonly shown: string;
}

/** Decodes one value of a type, or a table of them, out of a file. */
export async function decodePlace(
  source: Source,
  wanted: string,
  word: string,
  flags: Pick<DecodeFlags, 'target' | 'endian'>,
): Promise<DecodedPlace> {
  const { name, count } = arrayOf(wanted);
  const [type] = findTypes(source.unit, [name]);
  if (type === undefined) throw usageError('found no type');
  if (type.kind === 'tagged') throw usageError(`${name} is a tagged union: decode the struct that has its tag`);
  const target = flags.endian === undefined ? flags.target : { ...flags.target, endian: flags.endian };
  const { file, offset } = placeOf(word);
  const one = byteSize(resolve(type, target));
  let bytes: Buffer<ArrayBuffer> | undefined;
  let described: Type = type;
  if (count === 'all') {
    bytes = await readBytes(file, Number(offset), MOST_BYTES + 1);
    described = array(type as Type, one === 0 ? 0 : Math.floor(bytes.length / one));
  } else if (count !== undefined) described = array(type as Type, count);
  const layout = resolve(described, target);
  const size = byteSize(layout);
  const fields = leafCount(layout);
  if (size > MOST_BYTES || fields > MOST_FIELDS) {
    throw usageError(
      `${wanted} has ${size} bytes and ${fields} fields, expected at most ${MOST_BYTES} and ${MOST_FIELDS}`,
    );
  }
  bytes = (bytes ?? (await readBytes(file, Number(offset), size))).subarray(0, size);
  const shown = file === '-' || file === '/dev/stdin' ? 'standard input' : file;
  if (bytes.length < size) {
    throw new EngineError('READ_FAILED', `has ${bytes.length} bytes at offset ${offset}, ${wanted} needs ${size}`, {
      file: shown,
    });
  }
  return { value: codec(described, target).decode(bytes), layout, bytes, target, file, offset, shown };
}

/** Decodes as `decodePlace`, and prints. */
export async function decode(source: Source, wanted: string, word: string, flags: DecodeFlags): Promise<string> {
  const { value, layout, bytes, target, file, offset, shown } = await decodePlace(source, wanted, word, flags);
  const size = bytes.length;
  if (flags.json)
    return recordText({ type: wanted, file, offset, size, endian: target.endian, value: valueJson(value) });
  const pc = await coloursOf(standardOutput);
  const colours: readonly Colour[] = [pc.cyan, pc.yellow, pc.green, pc.magenta];
  const head = `${wanted} at ${offset} of ${escapeText(shown)}: ${size} bytes, ${target.name}, ${target.endian} endian\n`;
  return head + fieldDump(leavesOf(layout, value), bytes, colours, pc.dim);
}
