import type * as ProgressBarModule from './progress-bar.js';
import { humanSize } from './size.js';

/** Shows how far an operation is. */
export interface ProgressDisplay {
  update(done: bigint, total: bigint): void;
  /** Ends the display, whatever the outcome. */
  close(): void;
}

/** A bar on a terminal. */
export async function progressBar(): Promise<ProgressDisplay> {
  // In a file of its own: whoever has no terminal does not wait for it.
  const path = new URL('../progress-bar.js', import.meta.url).href;
  return ((await import(path)) as typeof ProgressBarModule).startBar();
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
