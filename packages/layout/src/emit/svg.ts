import { oneLine } from './plain-text.js';
import { resolve } from '../layout/resolve.js';
import { fixedInOrder, type Emitter } from './emitter.js';
import { pictureOf, type Cell, type Picture, type Row } from './picture.js';

/** Pixels. */
const MARGIN = 16;
const OFFSET_WIDTH = 56;
const COLUMN = 11;
const ROW = 34;
const NUMBERS = 18;
const TITLE = 30;
const GAP = 28;
const SKIPPED = 22;
/** Width of a character of the labels, about. */
const CHARACTER = 6.7;
const COLUMNS = 64;
const WIDTH = 2 * MARGIN + OFFSET_WIDTH + COLUMNS * COLUMN;

/** Fills that stay apart from each other and carry dark text (ColorBrewer, "Set3" and "Pastel1", as used for categories). */
const FILLS = [
  '#8dd3c7',
  '#ffffb3',
  '#bebada',
  '#fdb462',
  '#b3de69',
  '#fccde5',
  '#a6cee3',
  '#fbb4ae',
  '#e5d8bd',
  '#ccebc5',
];

function escape(text: string): string {
  return oneLine(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

interface Drawing {
  readonly lines: string[];
  readonly bottom: number;
}

function text(x: number, y: number, words: string, kind: string): string {
  return `<text x="${round(x)}" y="${round(y)}" class="${kind}">${escape(words)}</text>`;
}

const round = (value: number): number => Math.round(value * 10) / 10;
const left = (column: number): number => MARGIN + OFFSET_WIDTH + column * COLUMN;

function drawCell(cell: Cell, y: number, cut: Map<number, string>): string[] {
  const [x, width] = [left(cell.from), (cell.to - cell.from) * COLUMN];
  const gap = cell.label === '' ? 'url(#gap)' : '#ececec';
  const fill = cell.kind === 'padding' ? gap : (FILLS[cell.index % FILLS.length] ?? '#ffffff');
  const what = cell.label === '' ? 'padding' : `${cell.label}: ${cell.type}`;
  const box = `<rect x="${round(x)}" y="${y}" width="${round(width)}" height="${ROW}" fill="${fill}"><title>${escape(what)}</title></rect>`;
  if (cell.label === '') return [box];
  const name = cell.continued ? `(${cell.label})` : cell.label;
  const room = width - 6;
  const middle = x + width / 2;
  if (name.length * CHARACTER > room) {
    cut.set(cell.index, what);
    return [box, text(middle, y + ROW / 2 + 4, String(cell.index + 1), 'name')];
  }
  if (cell.continued || cell.type.length * CHARACTER > room) return [box, text(middle, y + ROW / 2 + 4, name, 'name')];
  return [box, text(middle, y + 15, name, 'name'), text(middle, y + 28, cell.type, 'kind')];
}

function drawNumbers(row: Row, numbers: readonly string[], y: number): string[] {
  const step = (row.cells.at(-1)?.to ?? COLUMNS) / numbers.length;
  return numbers.map((number, index) => text(left((index + 0.5) * step), y + 13, number, 'number'));
}

function drawPicture(picture: Picture, top: number): Drawing {
  const lines = [
    `<text x="${MARGIN}" y="${top + 16}" class="title">${escape(picture.title)}<tspan class="about" dx="10">${escape(picture.about)}</tspan></text>`,
  ];
  const cut = new Map<number, string>();
  let y = top + TITLE;
  for (const row of picture.rows) {
    if (row.skipped > 0) {
      lines.push(text(left(COLUMNS / 2), y + 15, `⋮  ${row.skipped} bytes  ⋮`, 'number'));
      y += SKIPPED;
    }
    if (row.numbers !== undefined) {
      lines.push(...drawNumbers(row, row.numbers, y));
      y += NUMBERS;
    }
    lines.push(text(MARGIN, y + ROW / 2 + 4, row.offset, 'offset'));
    for (const cell of row.cells) lines.push(...drawCell(cell, y, cut));
    y += ROW;
  }
  for (const [index, what] of cut) {
    y += 16;
    lines.push(text(left(0), y, `${index + 1}  ${what}`, 'note'));
  }
  return { lines, bottom: y };
}

const STYLE = `
svg { background: #ffffff; font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 11px; fill: #1b1f24; }
rect { stroke: #3b4048; stroke-width: 1; }
.title { font-size: 14px; font-weight: bold; } .about { font-size: 11px; font-weight: normal; fill: #57606a; }
.name, .kind, .number { text-anchor: middle; } .kind { fill: #57606a; font-size: 10px; } .number { fill: #57606a; font-size: 9px; }
.offset, .note { fill: #57606a; }
`;

/** A picture for a specification: offsets at the left, bytes and bits numbered, fields coloured, gaps hatched. */
export const svgEmitter: Emitter = {
  name: 'svg',
  emit(unit, { target }) {
    const lines: string[] = [];
    let y = MARGIN;
    for (const type of fixedInOrder(unit.types)) {
      const drawing = drawPicture(pictureOf(resolve(type, target)), y);
      lines.push(...drawing.lines);
      y = drawing.bottom + GAP;
    }
    const height = y - GAP + MARGIN;
    return `${[
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
      `<title>${escape(unit.title)}</title>`,
      `<style>${STYLE}</style>`,
      '<defs><pattern id="gap" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" fill="#f6f6f6" style="stroke:none"/><line x1="0" y1="0" x2="0" y2="6" stroke="#c4c4c4" stroke-width="2"/></pattern></defs>',
      ...lines,
      '</svg>',
    ].join('\n')}\n`;
  },
};
