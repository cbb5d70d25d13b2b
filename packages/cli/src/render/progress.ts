import { humanSize } from './size.js';

/** Shows how far an operation is. */
export interface ProgressDisplay {
  update(done: bigint, total: bigint): void;
  /** Ends the display, whatever the outcome. */
  close(): void;
}

const PER_MILLE = 1000n;

function perMille(done: bigint, total: bigint): number {
  return total === 0n ? 0 : Number((done * PER_MILLE) / total);
}

/** A bar on a terminal. */
export async function progressBar(): Promise<ProgressDisplay> {
  const { default: progress } = await import('cli-progress');
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

/** Lines as coreutils' `status=progress` has them: one that is overwritten on a terminal, one a second elsewhere. */
export function progressLines(): ProgressDisplay {
  const started = performance.now();
  const terminal = process.stderr.isTTY;
  let last = 0;
  return {
    update(done) {
      const now = performance.now();
      if (now - last < (terminal ? 200 : 1000)) return;
      last = now;
      const seconds = Math.max((now - started) / 1000, 0.001);
      const rate = humanSize(BigInt(Math.round(Number(done) / seconds)));
      const line = `${done} bytes (${humanSize(done)}) copied, ${seconds.toFixed(1)} s, ${rate}/s`;
      process.stderr.write(terminal ? `\r${line}\u001b[K` : `${line}\n`);
    },
    close() {
      if (terminal && last > 0) process.stderr.write('\n');
    },
  };
}
