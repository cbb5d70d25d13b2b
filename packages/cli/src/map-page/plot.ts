import { humanSize } from '../render/size.js';
import { usesInAll } from './drawing.js';
import { CELLS, FILE_USES, RANGE_KINDS, type FileUse, type MapSummary, type RangeKind } from './summary.js';

const SIGNS: Readonly<Record<RangeKind, string>> = { data: '█', compressed: '▓', zero: '░', unallocated: '·' };

const USE_SIGNS: Readonly<Record<FileUse, string>> = {
  data: '█',
  compressed: '▓',
  tables: '▒',
  header: '#',
  leaked: '!',
  free: '·',
};

/** Signs of `width` columns, each the one that most of its parts have. */
function signsOf<K extends string>(
  parts: readonly Readonly<Record<K, number>>[],
  kinds: readonly K[],
  signs: Readonly<Record<K, string>>,
  width: number,
): string {
  return Array.from({ length: width }, (_, column) => {
    const from = Math.floor((column * parts.length) / width);
    const to = Math.max(Math.floor(((column + 1) * parts.length) / width), from + 1);
    const sums = kinds.map((kind) => parts.slice(from, to).reduce((sum, part) => sum + part[kind], 0));
    const most = Math.max(...sums);
    const kind = kinds[sums.indexOf(most)];
    return most === 0 || kind === undefined ? ' ' : signs[kind];
  }).join('');
}

function line(signs: string, name: string, whole: bigint, keys: readonly string[]): string {
  return `[${signs}]\n0${`${name}: ${humanSize(whole)}`.padStart(signs.length + 1)}\n${keys.join('   ')}\n`;
}

/** The disk as one line for a terminal, the file as another where its uses are known, and what their signs mean. */
export function plotLines(summary: MapSummary, columns: number): string {
  const { cells, bytes, virtualSize, fileLength, fileUses } = summary;
  const width = Math.max(10, Math.min(columns, CELLS) - 2);
  const kinds = RANGE_KINDS.filter((kind) => bytes[kind] > 0);
  const disk = line(
    signsOf(
      cells.map((cell) => cell.bytes),
      RANGE_KINDS,
      SIGNS,
      width,
    ),
    'disk',
    virtualSize,
    kinds.map((kind) => `${SIGNS[kind]} ${kind} ${humanSize(bytes[kind])}`),
  );
  const uses = usesInAll(summary);
  if (uses === undefined || fileUses === undefined) return disk;
  const parts = fileUses.map((part) => ({
    data: Number(part.data),
    compressed: Number(part.compressed),
    tables: Number(part.tables),
    header: Number(part.header),
    leaked: Number(part.leaked),
    free: Number(part.free),
  }));
  const used = FILE_USES.filter((use) => uses[use] > 0n);
  const keys = used.map((use) => `${USE_SIGNS[use]} ${use} ${humanSize(uses[use])}`);
  return `${disk}${line(signsOf(parts, FILE_USES, USE_SIGNS, width), 'file', fileLength, keys)}`;
}
