import progress from 'cli-progress';
import type { ProgressDisplay } from './progress.js';
import { humanSize } from './size.js';

const PER_MILLE = 1000n;

function perMille(done: bigint, total: bigint): number {
  return total === 0n ? 0 : Number((done * PER_MILLE) / total);
}

/** A bar on a terminal. */
export function startBar(): ProgressDisplay {
  const bar = new progress.SingleBar(
    { format: '{bar} {percentage}% {size} {rate}/s', stream: process.stderr, hideCursor: true, clearOnComplete: false },
    progress.Presets.shades_classic,
  );
  const started = performance.now();
  bar.start(Number(PER_MILLE), 0, { size: '', rate: '' });
  return {
    update(done, total) {
      const seconds = Math.max((performance.now() - started) / 1000, 0.001);
      const rate = humanSize(BigInt(Math.round(Number(done) / seconds)));
      bar.update(perMille(done, total), { size: humanSize(done), rate });
    },
    close() {
      bar.stop();
    },
  };
}
