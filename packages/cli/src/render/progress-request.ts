import type { ProgressDisplay } from './progress.js';
import { humanSize } from './size.js';
import { standardError } from '../process/standard-streams.js';

/** Remembers how far an operation is, and says so on standard error whenever the process gets SIGUSR1. */
export function answerProgressRequests(display?: ProgressDisplay): ProgressDisplay {
  const started = performance.now();
  let [done, total] = [0n, 0n];
  const onSignal = (): void => {
    standardError.write(`${progressLine(done, total, (performance.now() - started) / 1000)}\n`);
  };
  process.on('SIGUSR1', onSignal);
  return {
    update(nowDone, nowTotal) {
      [done, total] = [nowDone, nowTotal];
      display?.update(nowDone, nowTotal);
    },
    close(complete) {
      process.off('SIGUSR1', onSignal);
      display?.close(complete);
    },
  };
}

/** As qemu-img says it; as dd does where the end is not known. */
export function progressLine(done: bigint, total: bigint, seconds: number): string {
  if (total > 0n) {
    const hundredths = (done * 10_000n) / total;
    return `    (${hundredths / 100n}.${String(hundredths % 100n).padStart(2, '0')}/100%)`;
  }
  const rate = humanSize(BigInt(Math.round(Number(done) / Math.max(seconds, 0.001))));
  return `${done} bytes (${humanSize(done)}) copied, ${seconds.toFixed(1)} s, ${rate}/s`;
}
