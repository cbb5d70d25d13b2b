import { humanSize } from '../render/size.js';
import { CELLS, RANGE_KINDS, type MapSummary, type RangeKind } from './summary.js';

const SIGNS: Readonly<Record<RangeKind, string>> = { data: '█', compressed: '▓', zero: '░', unallocated: '·' };

/** The disk as one line for a terminal, and what its signs mean. */
export function plotLines({ cells, bytes, virtualSize }: MapSummary, columns: number): string {
  const width = Math.max(10, Math.min(columns, CELLS) - 2);
  const signs = Array.from({ length: width }, (_, column) => {
    const [from, to] = [Math.floor((column * CELLS) / width), Math.max(Math.floor(((column + 1) * CELLS) / width), 1)];
    const part = cells.slice(from, to);
    const sums = RANGE_KINDS.map((kind) => part.reduce((sum, cell) => sum + cell.bytes[kind], 0));
    const most = Math.max(...sums);
    const kind = RANGE_KINDS[sums.indexOf(most)];
    return most === 0 || kind === undefined ? ' ' : SIGNS[kind];
  });
  const key = RANGE_KINDS.filter((kind) => bytes[kind] > 0).map(
    (kind) => `${SIGNS[kind]} ${kind} ${humanSize(bytes[kind])}`,
  );
  return `[${signs.join('')}]\n0${humanSize(virtualSize).padStart(width + 1)}\n${key.join('   ')}\n`;
}
