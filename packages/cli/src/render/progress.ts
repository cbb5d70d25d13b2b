import type * as ProgressBarModule from './progress-bar.js';
import { figuresLine, figuresOf } from './progress-figures.js';
import { humanSize } from './size.js';
import { recordLine } from './record.js';
import { standardError } from '../process/standard-streams.js';

/** Shows how far an operation is. */
export interface ProgressDisplay {
  update(done: bigint, total: bigint): void;
  /**
   * Ends the display, whatever the outcome.
   * @param complete everything is done
   */
  close(complete?: boolean): void;
}

/** A bar on a terminal. */
export async function progressBar(): Promise<ProgressDisplay> {
  // In a file of its own: whoever has no terminal does not wait for it.
  const path = `${import.meta.dirname}/../progress-bar.cjs`;
  return ((await import(path)) as typeof ProgressBarModule).startBar();
}

/** Shows what `tell` makes of the progress and the seconds since the start, at most once in so many milliseconds. */
function paced(
  interval: number,
  tell: (done: bigint, total: bigint, seconds: number) => void,
): ProgressDisplay & { readonly told: () => boolean } {
  const started = performance.now();
  let last = started;
  return {
    update(done, total) {
      const now = performance.now();
      if (now - last < interval) return;
      last = now;
      tell(done, total, (now - started) / 1000);
    },
    close() {
      // A line stands for itself.
    },
    told: () => last > started,
  };
}

/** Lines of a percentage, amounts, a pace and the time that is left, one a second. */
export function progressLines(): ProgressDisplay {
  return paced(1000, (done, total, seconds) => {
    standardError.write(`${figuresLine(figuresOf(done, total, seconds), 'wide')}\n`);
  });
}

/** Records on standard error, one a line, two a second: bytes done and in all, bytes a second, seconds left. */
export function progressRecords(): ProgressDisplay {
  return paced(500, (done, total, seconds) => {
    const { bytesPerSecond, secondsLeft } = figuresOf(done, total, seconds);
    standardError.write(recordLine({ progress: { done, total, bytesPerSecond, secondsLeft } }));
  });
}

/** Lines as coreutils' `status=progress` has them: one that is overwritten on a terminal, one a second elsewhere. */
export function transferLines(): ProgressDisplay {
  const terminal = standardError.isTTY;
  const display = paced(terminal ? 200 : 1000, (done, _, seconds) => {
    const rate = humanSize(BigInt(Math.round(Number(done) / Math.max(seconds, 0.001))));
    const line = `${done} bytes (${humanSize(done)}) copied, ${seconds.toFixed(1)} s, ${rate}/s`;
    standardError.write(terminal ? `\r${line}\u001b[K` : `${line}\n`);
  });
  return {
    update: display.update.bind(display),
    close() {
      if (terminal && display.told()) standardError.write('\n');
      display.close();
    },
  };
}
