import { leafCount, leavesOf } from '../../render/field-dump.js';
import { inspectPage, type Inspected } from '../../render/inspect-page.js';
import { decodePlace, type DecodeFlags } from './decode.js';
import { usageError, type Source } from './source.js';

/** A browser shows so many bytes and fields without making people wait. */
const [MOST_BYTES, MOST_FIELDS] = [256 * 1024, 20_000];

/** One page of HTML about a value, or about how two differ. */
export async function inspect(
  source: Source,
  wanted: string,
  places: readonly string[],
  flags: Pick<DecodeFlags, 'target' | 'endian'>,
): Promise<string> {
  const [value, other] = await Promise.all(
    places.map(async (place): Promise<Inspected> => {
      const { layout, bytes, value: decoded, shown, offset } = await decodePlace(source, wanted, place, flags);
      if (bytes.length > MOST_BYTES || leafCount(layout) > MOST_FIELDS) {
        throw usageError(
          `${wanted} has ${bytes.length} bytes and ${leafCount(layout)} fields, a page at most ${MOST_BYTES} and ${MOST_FIELDS}`,
        );
      }
      return { name: `${shown} at ${offset}`, bytes, leaves: leavesOf(layout, decoded) };
    }),
  );
  if (value === undefined) throw usageError('found no file');
  return inspectPage(wanted, value, other);
}
