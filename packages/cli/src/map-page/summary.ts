import type { FilePartUse, MappedExtent } from '@instar/engine';

/** What a range of the disk is made of. */
export const RANGE_KINDS = ['data', 'compressed', 'zero', 'unallocated'] as const;
export type RangeKind = (typeof RANGE_KINDS)[number];

/** What bytes of a file are used for. */
export const FILE_USES = ['data', 'compressed', 'tables', 'header', 'leaked', 'free'] as const;
export type FileUse = (typeof FILE_USES)[number];

/** Equal parts into which the disk is divided. */
export const CELLS = 1536;
/** Equal parts of the file. */
export const FILE_CELLS = 768;
/** Steps of both axes of the plot of places. */
export const PLOT_STEPS = 192;
/** Extents that are listed one by one. */
export const MOST_LISTED = 400;

/** A part of the disk: bytes of it by their kind, and by their layer where they are stored. */
export interface Cell {
  readonly bytes: Record<RangeKind, number>;
  readonly layers: Map<number, number>;
}

/** All that is drawn of an image, in bounded memory whatever the number of its extents is. */
export interface MapSummary {
  /** Bytes of the disk. */
  readonly virtualSize: bigint;
  /** Length of the image's own file (bytes). */
  readonly fileLength: bigint;
  readonly cells: readonly Cell[];
  readonly bytes: Readonly<Record<RangeKind, bigint>>;
  /** Bytes of the disk that are stored in each layer; 0 is the image itself. */
  readonly layerBytes: readonly bigint[];
  /** Bytes of the disk that lie in each part of the image's own file. */
  readonly fileCells: readonly number[];
  /** What each part of the image's own file is used for, where that is known (qcow2). */
  readonly fileUses: readonly FilePartUse[] | undefined;
  /** Bytes of the image's own file in which data of the disk lies as it is. */
  readonly plainBytes: bigint;
  /** Where data lies: steps of the disk and of the file, as `disk * PLOT_STEPS + file`. */
  readonly places: ReadonlySet<number>;
  readonly extents: readonly MappedExtent[];
  readonly extentCount: number;
  /** Neighbours on the disk that do not lie one behind the other in the file. */
  readonly jumps: number;
}

/** What an extent is made of. What no layer says anything of reads as zeros as well. */
export function kindOf({ data, zero, present, compressed }: MappedExtent): RangeKind {
  if (compressed) return 'compressed';
  if (data && !zero) return 'data';
  return present ? 'zero' : 'unallocated';
}

/** Which of `count` equal parts of `whole` begin at or before `at`, and where the next one begins. */
function partOf(at: bigint, whole: bigint, count: number): { readonly part: number; readonly next: bigint } {
  const parts = BigInt(count);
  const part = (at * parts) / whole;
  // Rounded up: the first byte that belongs to the next part.
  return { part: Number(part), next: ((part + 1n) * whole + parts - 1n) / parts };
}

/** Calls `take` with each part that a range touches and the bytes that are in it. */
function divide(
  start: bigint,
  end: bigint,
  whole: bigint,
  count: number,
  take: (part: number, from: bigint, bytes: bigint) => void,
): void {
  for (let at = start; at < end && at < whole;) {
    const { part, next } = partOf(at, whole, count);
    const until = next < end ? next : end;
    take(part, at, until - at);
    at = until;
  }
}

/**
 * Sums up the extents of a disk.
 * @param file the image's own file, as extents name it
 */
export async function summarize(
  extents: AsyncIterable<MappedExtent>,
  {
    file,
    virtualSize,
    fileLength,
    fileUses,
  }: Pick<MapSummary, 'virtualSize' | 'fileLength' | 'fileUses'> & { readonly file: string },
): Promise<MapSummary> {
  const cells: Cell[] = Array.from({ length: CELLS }, () => ({
    bytes: { data: 0, compressed: 0, zero: 0, unallocated: 0 },
    layers: new Map<number, number>(),
  }));
  const bytes: Record<RangeKind, bigint> = { data: 0n, compressed: 0n, zero: 0n, unallocated: 0n };
  const layerBytes: bigint[] = [];
  const fileCells = new Array<number>(FILE_CELLS).fill(0);
  const places = new Set<number>();
  const listed: MappedExtent[] = [];
  let [extentCount, jumps, plainBytes] = [0, 0, 0n];
  let expected: bigint | undefined;
  for await (const extent of extents) {
    extentCount += 1;
    if (listed.length < MOST_LISTED) listed.push(extent);
    const kind = kindOf(extent);
    const stored = kind === 'data' || kind === 'compressed';
    const { start, length, depth, offset, filename } = extent;
    bytes[kind] += length;
    if (stored) layerBytes[depth] = (layerBytes[depth] ?? 0n) + length;
    divide(start, start + length, virtualSize, CELLS, (part, _from, count) => {
      const cell = cells[part];
      if (cell === undefined) return;
      cell.bytes[kind] += Number(count);
      if (stored) cell.layers.set(depth, (cell.layers.get(depth) ?? 0) + Number(count));
    });
    if (kind !== 'data' || offset === undefined || filename !== file) continue;
    plainBytes += length;
    if (expected !== undefined && expected !== offset) jumps += 1;
    expected = offset + length;
    divide(offset, offset + length, fileLength, FILE_CELLS, (part, _from, count) => {
      fileCells[part] = (fileCells[part] ?? 0) + Number(count);
    });
    divide(start, start + length, virtualSize, PLOT_STEPS, (part, from, count) => {
      const place = offset + (from - start);
      divide(place, place + count, fileLength, PLOT_STEPS, (filePart) => {
        places.add(part * PLOT_STEPS + filePart);
      });
    });
  }
  const layers = Array.from(layerBytes, (count: bigint | undefined) => count ?? 0n);
  return {
    virtualSize,
    fileLength,
    cells,
    bytes,
    layerBytes: layers,
    fileCells,
    fileUses,
    plainBytes,
    places,
    extents: listed,
    extentCount,
    jumps,
  };
}

/** The kind that most bytes of a cell have; undefined for one that holds none. */
export function mainKind({ bytes }: Cell): RangeKind | undefined {
  let main: RangeKind | undefined;
  for (const kind of RANGE_KINDS) if (bytes[kind] > (main === undefined ? 0 : bytes[main])) main = kind;
  return main;
}
