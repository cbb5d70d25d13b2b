import { resolve } from '../layout/resolve.js';
import { fixedInOrder, type Emitter } from './emitter.js';
import { pictureOf, type Cell, type Picture, type Row } from './picture.js';

const WIDTH = 64;
const MARGIN = 6;

/** A line of `-` with a `+` wherever a cell of the row above or below ends. */
function rule(above: readonly Cell[], below: readonly Cell[]): string {
  const line = Array.from({ length: WIDTH + 1 }, () => ' ');
  for (const cell of [...above, ...below]) {
    for (let at = Math.round(cell.from); at <= Math.round(cell.to); at += 1) if (line[at] === ' ') line[at] = '-';
  }
  for (const cell of [...above, ...below]) {
    line[Math.round(cell.from)] = '+';
    line[Math.round(cell.to)] = '+';
  }
  return `${' '.repeat(MARGIN)}${line.join('')}`.trimEnd();
}

function numbersLine(row: Row, numbers: readonly string[]): string {
  const end = row.cells.at(-1)?.to ?? WIDTH;
  const step = end / numbers.length;
  const line = Array.from({ length: WIDTH + 4 }, () => ' ');
  // With two columns for a bit, only each fourth number fits.
  const each = step >= 3 ? 1 : 4;
  numbers.forEach((text, index) => {
    const last = index === numbers.length - 1;
    if (index % each !== 0 && !last) return;
    const at = Math.round(index * step + 1);
    if (last && each > 1 && line.slice(at - 2, at).some((character) => character !== ' ')) return;
    Array.from(text, (character, place) => (line[at + place] = character));
  });
  return `${' '.repeat(MARGIN)}${line.join('')}`.trimEnd();
}

/** A cell's text, cut to its room; what is cut goes to the list below the picture. */
function cellText(cell: Cell, cut: Map<number, string>): string {
  const room = Math.round(cell.to) - Math.round(cell.from) - 1;
  if (cell.label === '') return '/'.repeat(room);
  const full = ` ${cell.label}: ${cell.type}`;
  if (full.length <= room) return full.padEnd(room);
  const name = room > cell.label.length ? ` ${cell.label}` : cell.label;
  if (name.length <= room) return name.padEnd(room);
  cut.set(cell.index, `${cell.label}: ${cell.type}`);
  const mark = String(cell.index + 1);
  return mark.length <= room ? mark.padEnd(room) : '*'.repeat(room);
}

function pictureText(picture: Picture): string[] {
  const lines = [`${picture.title} (${picture.about})`, ''];
  const cut = new Map<number, string>();
  let above: readonly Cell[] = [];
  for (const row of picture.rows) {
    if (row.skipped > 0) {
      lines.push(`${' '.repeat(MARGIN)}:${`${row.skipped} bytes`.padStart(WIDTH / 2 + 4).padEnd(WIDTH - 1)}:`);
    }
    if (row.numbers !== undefined) {
      if (above.length > 0) lines.push(rule(above, []));
      above = [];
      lines.push(numbersLine(row, row.numbers));
    }
    lines.push(rule(above, row.cells));
    const cells = row.cells.map(
      (cell) =>
        `|${cell.continued && cell.kind === 'field' ? cellText({ ...cell, label: `(${cell.label})` }, cut) : cellText(cell, cut)}`,
    );
    lines.push(`${row.offset.padEnd(MARGIN)}${cells.join('')}|`);
    above = row.cells;
  }
  if (above.length > 0) lines.push(rule(above, []));
  for (const [index, text] of cut) lines.push(`${' '.repeat(MARGIN)}${String(index + 1).padStart(2)} = ${text}`);
  return [...lines, ''];
}

/** Byte and bit maps in plain characters: offsets at the left, bits numbered, gaps hatched. */
export const asciiEmitter: Emitter = {
  name: 'ascii',
  emit(unit, { target }) {
    const pictures = fixedInOrder(unit.types).map((type) => pictureOf(resolve(type, target)));
    return `${pictures.flatMap(pictureText).join('\n').trimEnd()}\n`;
  },
};
