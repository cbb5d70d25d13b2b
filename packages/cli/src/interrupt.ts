import { EXIT_CODES } from './exit-codes.js';

const SIGNALS = {
  SIGHUP: EXIT_CODES.HANGUP,
  SIGINT: EXIT_CODES.INTERRUPTED,
  SIGTERM: EXIT_CODES.TERMINATED,
} as const;

/** Turns the first of SIGINT, SIGTERM and SIGHUP into an abort; the second ends the process at once. */
export interface Interrupt {
  readonly signal: AbortSignal;
  /** Exit code of the signal that came, undefined when none did. */
  exitCode(): number | undefined;
  /** Stops listening. */
  dispose(): void;
}

/** Listens for the signals that end a program. */
export function listenForInterrupt(): Interrupt {
  const controller = new AbortController();
  let code: number | undefined;
  const onSignal = (name: NodeJS.Signals): void => {
    const exitCode = SIGNALS[name as keyof typeof SIGNALS];
    if (code !== undefined) process.exit(exitCode);
    code = exitCode;
    controller.abort(new Error(name));
  };
  const names = Object.keys(SIGNALS) as (keyof typeof SIGNALS)[];
  for (const name of names) process.on(name, onSignal);
  return {
    signal: controller.signal,
    exitCode: () => code,
    dispose() {
      for (const name of names) process.off(name, onSignal);
    },
  };
}
