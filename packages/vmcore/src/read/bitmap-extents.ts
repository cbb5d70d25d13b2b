import type { Extent } from '../image.js';
import { CHUNK_PAGES, isClear, type PageBitmap } from './page-bitmap.js';

/** Which pages a dump knows of, and of which it has the content. */
export interface PageMaps {
  /** Pages that existed. */
  readonly exists: PageBitmap;
  /** Pages whose content is in the dump. */
  readonly dumped: PageBitmap;
  /** Pages outside are in other parts of a split dump. */
  readonly from: number;
  readonly until: number;
}

type State = 0 | 1 | 2;
const [ABSENT, EXCLUDED, STORED] = [0, 1, 2] as const;

/** Extents of whole pages, in ascending order, from the bitmaps of a kdump-compressed file. */
export async function* extentsOfBitmaps(maps: PageMaps, pageSize: number, from: bigint): AsyncGenerator<Extent> {
  const size = BigInt(pageSize);
  const first = from / size;
  if (first >= BigInt(maps.exists.length)) return;
  let state: State = ABSENT;
  let start = 0;
  const extent = (end: number): Extent => ({
    start: BigInt(start) * size,
    length: BigInt(end - start) * size,
    kind: state === STORED ? 'stored' : 'excluded',
  });
  const pages = maps.exists.length;
  for (let chunk = Math.floor(Number(first) / CHUNK_PAGES); chunk * CHUNK_PAGES < pages; chunk += 1) {
    const base = chunk * CHUNK_PAGES;
    const [exists, dumped] = [await maps.exists.chunk(chunk), await maps.dumped.chunk(chunk)];
    for (let bit = chunk === Math.floor(Number(first) / CHUNK_PAGES) ? Number(first) % CHUNK_PAGES : 0; ;) {
      const next = endOfState(state, exists, dumped, bit, base, maps);
      if (next === CHUNK_PAGES) break;
      if (state !== ABSENT) yield extent(base + next);
      state = stateAt(exists, dumped, next, base, maps);
      start = base + next;
      bit = next + 1;
      if (bit === CHUNK_PAGES) break;
    }
  }
  if (state !== ABSENT) yield extent(pages);
}

function stateAt(exists: Uint8Array, dumped: Uint8Array, bit: number, base: number, maps: PageMaps): State {
  const mask = 1 << (bit & 7);
  if (((dumped[bit >>> 3] ?? 0) & mask) !== 0) {
    return base + bit >= maps.from && base + bit < maps.until ? STORED : EXCLUDED;
  }
  return ((exists[bit >>> 3] ?? 0) & mask) !== 0 ? EXCLUDED : ABSENT;
}

/** The first bit from `bit` on that has another state; `CHUNK_PAGES` when there is none. */
function endOfState(
  state: State,
  exists: Uint8Array,
  dumped: Uint8Array,
  from: number,
  base: number,
  maps: PageMaps,
): number {
  if (state === ABSENT && isClear(exists) && isClear(dumped)) return CHUNK_PAGES;
  for (let bit = from; bit < CHUNK_PAGES;) {
    if ((bit & 7) === 0) {
      const byte = bit >>> 3;
      const inPart = base + bit >= maps.from && base + bit + 8 <= maps.until;
      const same =
        state === STORED
          ? dumped[byte] === 0xff && inPart
          : state === ABSENT
            ? exists[byte] === 0 && dumped[byte] === 0
            : exists[byte] === 0xff && dumped[byte] === 0;
      if (same) {
        bit += 8;
        continue;
      }
    }
    if (stateAt(exists, dumped, bit, base, maps) !== state) return bit;
    bit += 1;
  }
  return CHUNK_PAGES;
}
