import { humanSize } from '../render/size.js';
import { markup } from './markup.js';
import {
  CELLS,
  FILE_CELLS,
  FILE_USES,
  mainKind,
  PLOT_STEPS,
  RANGE_KINDS,
  type Cell,
  type FileUse,
  type MapSummary,
  type RangeKind,
} from './summary.js';

/** What kinds are called for people. */
export const KIND_NAMES: Readonly<Record<RangeKind, string>> = {
  data: 'data',
  compressed: 'compressed',
  zero: 'zeros',
  unallocated: 'not allocated',
};

/** What uses of a file are called for people. */
export const USE_NAMES: Readonly<Record<FileUse, string>> = {
  data: 'data',
  compressed: 'compressed',
  tables: 'tables',
  header: 'header',
  leaked: 'leaked',
  free: 'free',
};

/** Bytes of the file by their use; undefined where that is not known. */
export function usesInAll({ fileUses }: MapSummary): Readonly<Record<FileUse, bigint>> | undefined {
  if (fileUses === undefined) return undefined;
  const sum = (use: FileUse): bigint => fileUses.reduce((all, part) => all + part[use], 0n);
  return {
    data: sum('data'),
    compressed: sum('compressed'),
    tables: sum('tables'),
    header: sum('header'),
    leaked: sum('leaked'),
    free: sum('free'),
  };
}

const COLUMNS = 64;
const SIDE = 14;
const WIDTH = COLUMNS * SIDE;
const STRIP = 36;

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}

function rangeText(index: number, count: number, whole: bigint): string {
  const [from, to] = [(BigInt(index) * whole) / BigInt(count), (BigInt(index + 1) * whole) / BigInt(count)];
  return `${hex(from)} – ${hex(to)} (${humanSize(to - from)})`;
}

function cellText(cell: Cell): string {
  const parts = RANGE_KINDS.filter((kind) => cell.bytes[kind] > 0).map(
    (kind) => `${KIND_NAMES[kind]} ${humanSize(BigInt(Math.round(cell.bytes[kind])))}`,
  );
  const layers = [...cell.layers.keys()].sort((one, two) => one - two);
  return `${parts.join(', ')}${layers.length === 0 ? '' : `; in layer ${layers.join(', ')}`}`;
}

/** The disk, cell by cell, from the left and down; hatched is what lies behind its end. */
function grid({ cells, virtualSize }: MapSummary): string {
  return cells
    .map((cell, index) => {
      const kind = mainKind(cell);
      const [x, y] = [(index % COLUMNS) * SIDE, Math.floor(index / COLUMNS) * SIDE];
      const title =
        kind === undefined
          ? 'behind the end of the disk'
          : `${rangeText(index, CELLS, virtualSize)}: ${cellText(cell)}`;
      // How much of it is below the image itself.
      const own = cell.layers.get(0) ?? 0;
      const below = [...cell.layers].some(([depth, bytes]) => depth > 0 && bytes > own);
      return `<rect class="${kind ?? 'behind'}${below ? ' below' : ''}" x="${x}" y="${y}" width="${SIDE - 1}" height="${SIDE - 1}"><title>${markup(title)}</title></rect>`;
    })
    .join('');
}

/** A column of the strip of the file, of which parts have colours; the first stands at the foot. */
function column(index: number, title: string, parts: readonly (readonly [name: string, share: number])[]): string {
  const width = WIDTH / FILE_CELLS;
  const place = `x="${(index * width).toFixed(2)}" width="${width.toFixed(2)}"`;
  let below = 0;
  const bars = parts.map(([name, share]) => {
    const height = Math.min(share, 1 - below) * STRIP;
    below = Math.min(1, below + share);
    return `<rect class="${name}" ${place} y="${(STRIP * (1 - below)).toFixed(2)}" height="${height.toFixed(2)}"/>`;
  });
  return `<g><title>${markup(title)}</title><rect class="rest" ${place} y="0" height="${STRIP}"/>${bars.join('')}</g>`;
}

/** The image's own file, to scale. */
function fileStrip({ fileCells, fileLength, fileUses }: MapSummary): string {
  if (fileLength === 0n) return '';
  const whole = Number(fileLength) / FILE_CELLS;
  if (fileUses === undefined) {
    return fileCells
      .map((bytes, index) => {
        const share = Math.min(1, bytes / whole);
        const title = `${rangeText(index, FILE_CELLS, fileLength)}: ${(share * 100).toFixed(0)} % data of the disk`;
        return column(index, title, [['data', share]]);
      })
      .join('');
  }
  return fileUses
    .map((part) => {
      const used = FILE_USES.filter((use) => part[use] > 0n);
      const words = used.map((use) => `${USE_NAMES[use]} ${humanSize(part[use])}`);
      const title = `${rangeText(part.number, FILE_CELLS, fileLength)}: ${words.join(', ')}`;
      const bars = used.filter((use) => use !== 'free').map((use) => [use, Number(part[use]) / whole] as const);
      return column(part.number, title, bars);
    })
    .join('');
}

/** Places on the disk (to the right) against places in the file (upwards): a straight line is a file in order. */
function plot({ places }: MapSummary, side: number): string {
  const step = side / PLOT_STEPS;
  return [...places]
    .map((place) => {
      const [disk, file] = [Math.floor(place / PLOT_STEPS), place % PLOT_STEPS];
      return `<rect class="data" x="${(disk * step).toFixed(2)}" y="${(side - (file + 1) * step).toFixed(2)}" width="${step.toFixed(2)}" height="${step.toFixed(2)}"/>`;
    })
    .join('');
}

/** A picture of its own, with a name for who does not see it. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly content: string;
  readonly name: string;
}

/** The grid of the disk. */
export function gridPicture(summary: MapSummary): Picture {
  const kinds = RANGE_KINDS.filter((kind) => summary.bytes[kind] > 0).map(
    (kind) => `${humanSize(summary.bytes[kind])} ${KIND_NAMES[kind]}`,
  );
  return {
    width: WIDTH,
    height: (CELLS / COLUMNS) * SIDE,
    content: grid(summary),
    name: `the disk of ${humanSize(summary.virtualSize)} from its start to its end: ${kinds.join(', ')}`,
  };
}

/** The strip of the file. */
export function filePicture(summary: MapSummary): Picture {
  return {
    width: WIDTH,
    height: STRIP,
    content: fileStrip(summary),
    name: `the file of ${humanSize(summary.fileLength)}, of which ${humanSize(summary.plainBytes)} are data of the disk as it is`,
  };
}

const PLOT_SIDE = 384;

/** The plot of places. */
export function placesPicture(summary: MapSummary): Picture {
  return {
    width: PLOT_SIDE,
    height: PLOT_SIDE,
    content: `<rect class="frame" x="0.5" y="0.5" width="${PLOT_SIDE - 1}" height="${PLOT_SIDE - 1}"/>${plot(summary, PLOT_SIDE)}`,
    name: `where data of the disk lies in the file; it jumps ${summary.jumps} times`,
  };
}

/** A picture as an element of a page. */
export function svgElement({ width, height, content, name }: Picture): string {
  return `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" shape-rendering="crispEdges" role="img" aria-label="${markup(name)}"><title>${markup(name)}</title>${content}</svg>`;
}
