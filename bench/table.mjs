import { medianOf } from './measure.mjs';

const ms = (times) =>
  `${medianOf(times).toFixed(0)} (${Math.min(...times).toFixed(0)}–${Math.max(...times).toFixed(0)})`;

function verdict({ ours, theirs, target, apart, above, most }) {
  if (above !== undefined) return [`+${above.toFixed(0)} ms`, `at most +${most} ms`, above <= most];
  if (apart !== undefined) return [`${apart.toFixed(2)} apart`, `at most ${most}`, apart <= most];
  const ratio = medianOf(theirs) / medianOf(ours);
  if (target === undefined) return [`${ratio.toFixed(2)}×`, '', undefined];
  return [`${ratio.toFixed(2)}×`, `at least ${target}×`, ratio >= target];
}

/** Prints rows as a Markdown table: medians with their spread in ms, and how many times faster we are. */
export function printTable(rows) {
  const cells = rows.map((row) => {
    const [figure, target, met] = verdict(row);
    const mark = met === undefined ? '' : met ? 'met' : 'NOT met';
    return [row.name, row.peer, ms(row.ours), ms(row.theirs), figure, target, mark];
  });
  const head = ['what', 'against', 'instar ms', 'peer ms', 'result', 'target', ''];
  const widths = head.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column].length)));
  const line = (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  console.log(line(head));
  console.log(line(widths.map((width) => '-'.repeat(width))));
  for (const row of cells) console.log(line(row));
}
