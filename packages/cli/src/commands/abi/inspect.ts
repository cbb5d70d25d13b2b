import { EngineError, escapeText } from '@instar/engine';
import { LayoutError, placesOf, type Place, type ResolvedType, type Target } from '@instar/layout';
import type { NamedDescription } from '@instar/layout/emit';
import { leafCount, leavesOf, type DumpedField } from '../../render/field-dump.js';
import { inspectPage, type Inspected } from '../../render/inspect-page.js';
import { decodePlace, type DecodeFlags } from './decode.js';
import { placeOf, readBytes, usageError, type Source } from './source.js';

/** A browser shows so many bytes and fields without making people wait. */
const [MOST_BYTES, MOST_FIELDS] = [256 * 1024, 20_000];
/** Bytes of a file that are read for a value of which nobody knows the size before. */
const MOST_READ = 256 * 1024 * 1024;

type Flags = Pick<DecodeFlags, 'target' | 'endian'>;

function refuseMany(wanted: string, bytes: number, fields: number): void {
  if (bytes <= MOST_BYTES && fields <= MOST_FIELDS) return;
  throw usageError(
    `${escapeText(wanted)} has ${bytes} bytes and ${fields} fields, a page at most ${MOST_BYTES} and ${MOST_FIELDS}`,
  );
}

/** One page of HTML about a value, or about how two differ. */
export async function inspect(source: Source, wanted: string, words: readonly string[], flags: Flags): Promise<string> {
  const varying = source.unit.types.find(
    (type) => type.name === wanted && type.kind === 'struct' && type.variable === true,
  );
  const [value, other] = await Promise.all(
    words.map((word) => (varying === undefined ? fixed(source, wanted, word, flags) : varied(varying, word, flags))),
  );
  if (value === undefined) throw usageError('found no file');
  return inspectPage(wanted, value, other);
}

async function fixed(source: Source, wanted: string, word: string, flags: Flags): Promise<Inspected> {
  const { layout, bytes, value, shown, offset } = await decodePlace(source, wanted, word, flags);
  refuseMany(wanted, bytes.length, leafCount(layout));
  return { name: `${shown} at ${offset}`, bytes, leaves: leavesOf(layout, value) };
}

/** A value whose parts vary: where they lie, its reader says. */
async function varied(type: NamedDescription, word: string, flags: Flags): Promise<Inspected> {
  const target: Target = flags.endian === undefined ? flags.target : { ...flags.target, endian: flags.endian };
  const { file, offset } = placeOf(word);
  const bytes = await readBytes(file, Number(offset), MOST_READ + 1);
  const shown = file === '-' || file === '/dev/stdin' ? 'standard input' : file;
  if (bytes.length > MOST_READ) {
    throw new EngineError('INVALID_OPTION', `has more than ${MOST_READ} bytes`, { file: shown });
  }
  try {
    const { places } = placesOf(type, bytes, { target, most: MOST_FIELDS });
    const size = places.reduce((most, place) => Math.max(most, place.offset + place.size), 0);
    const fields = places.reduce((sum, { layout }) => sum + (layout === undefined ? 1 : leafCount(layout)), 0);
    refuseMany(type.name, size, fields);
    return { name: `${shown} at ${offset}`, bytes: bytes.subarray(0, size), leaves: places.flatMap(leavesIn) };
  } catch (error) {
    if (!(error instanceof LayoutError)) throw error;
    throw new EngineError('READ_FAILED', escapeText(error.message), { file: shown, cause: error });
  }
}

function leavesIn({ path, offset, size, value, layout }: Place): DumpedField[] {
  if (layout !== undefined) return leavesOf(layout, value, path, offset * 8).filter((leaf) => leaf.bits > 0);
  const type: ResolvedType = { kind: 'bytes', bits: size * 8, align: 1 };
  return size === 0 ? [] : [{ path, bit: offset * 8, bits: size * 8, type, value: value ?? 'zeros' }];
}
