import progress from 'cli-progress';
import type { ProgressDisplay } from './progress.js';
import { figuresLine, figuresOf, roomOf } from './progress-figures.js';

const PER_MILLE = 1000n;
/** Columns that the bar takes, with what is between it and the figures. */
const BAR = 28;

function perMille(done: bigint, total: bigint): number {
  return total === 0n ? 0 : Number((done * PER_MILLE) / total);
}

/** A bar on a terminal, with figures behind it; on a narrow one the figures alone. */
export function startBar(): ProgressDisplay {
  const columns = process.stderr.columns;
  const wide = columns >= 64 + BAR;
  const bar = new progress.SingleBar(
    {
      format: wide ? '{bar} {figures}' : '{figures}',
      barsize: BAR - 3,
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: false,
    },
    progress.Presets.shades_classic,
  );
  const started = performance.now();
  bar.start(Number(PER_MILLE), 0, { figures: '' });
  return {
    update(done, total) {
      const figures = figuresOf(done, total, (performance.now() - started) / 1000);
      bar.update(perMille(done, total), { figures: figuresLine(figures, roomOf(columns)) });
    },
    close() {
      bar.stop();
    },
  };
}
