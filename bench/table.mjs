import { medianOf } from './measure.mjs';

const ms = (times) =>
  `${medianOf(times).toFixed(0)} (${Math.min(...times).toFixed(0)}–${Math.max(...times).toFixed(0)})`;

function verdict({ ours, theirs, target, apart, above, most }) {
  if (above !== undefined) return [`+${above.toFixed(0)} ms`, `at most +${most} ms`, above <= most];
  if (apart !== undefined) return [`${apart.toFixed(2)} apart`, `at most ${most}`, apart <= most];
  if (theirs.length === 0) return ['', target === undefined ? '' : `at least ${target}×`, undefined];
  const ratio = medianOf(theirs) / medianOf(ours);
  if (target === undefined) return [`${ratio.toFixed(2)}×`, '', undefined];
  return [`${ratio.toFixed(2)}×`, `at least ${target}×`, ratio >= target];
}

const HEAD = ['what', 'against', 'instar ms', 'peer ms', 'result', 'target', ''];

const cellsOf = (row) => {
  const [figure, target, met] = verdict(row);
  const mark = met === undefined ? '' : met ? 'met' : 'NOT met';
  return [row.name, row.peer, ms(row.ours), row.theirs.length === 0 ? 'none' : ms(row.theirs), figure, target, mark];
};

const lineOf = (cells, widths) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;

/** Prints rows as a Markdown table: medians with their spread in ms, and how many times faster we are. */
export function printTable(rows) {
  const cells = rows.map(cellsOf);
  const widths = HEAD.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column].length)));
  for (const row of [HEAD, widths.map((width) => '-'.repeat(width)), ...cells]) console.log(lineOf(row, widths));
}

/** Prints the same table row by row, as each is measured. @param rows what is known before: names and peers */
export function startTable(rows) {
  const longest = (texts, least) => Math.max(least, ...texts.map((text) => text.length));
  const names = rows.map(({ name }) => name);
  const peers = rows.map(({ peer }) => peer);
  const widths = [longest(names, 4), longest(peers, 7), 20, 20, 9, 15, 7];
  for (const row of [HEAD, widths.map((width) => '-'.repeat(width))]) console.log(lineOf(row, widths));
  return (row) => {
    console.log(lineOf(cellsOf(row), widths));
  };
}
