import { constants } from 'node:os';

/** Signals that end a program which does not handle them; SIGUSR1 asks for progress, SIGPIPE and SIGXFSZ are ignored. */
const DEADLY = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGTRAP',
  'SIGABRT',
  'SIGUSR2',
  'SIGALRM',
  'SIGTERM',
  'SIGSTKFLT',
  'SIGXCPU',
  'SIGVTALRM',
  'SIGPROF',
  'SIGIO',
  'SIGPWR',
] as const satisfies readonly NodeJS.Signals[];

/** What an operation that is interrupted may take to clean up before the process ends all the same (milliseconds). */
const PATIENCE_MS = 3000;

/** Turns the first signal that ends a program into an abort; the second ends the process at once. */
export interface Interrupt {
  readonly signal: AbortSignal;
  /** Exit code that a shell gives for the signal that came (128 and its number), undefined when none did. */
  exitCode(): number | undefined;
}

const controller = new AbortController();
const aside = new Set<NodeJS.Signals>();
let came: NodeJS.Signals | undefined;

function codeOf(name: NodeJS.Signals): number {
  return 128 + constants.signals[name];
}

/**
 * Ends the process by a signal, as if it had not been handled, so that a shell sees what happened (a loop ends on Ctrl-C).
 * What listens for the end of the process, say to remove a temporary file, is called before.
 */
export function dieOf(name: NodeJS.Signals): never {
  process.once('exit', () => {
    // The last listener that goes sets the default action; SIGPIPE, which node ignores, has none yet.
    process.on(name, () => undefined);
    process.removeAllListeners(name);
    process.kill(process.pid, name);
  });
  process.exit(codeOf(name));
}

function onSignal(name: NodeJS.Signals): void {
  if (aside.has(name)) return;
  if (came !== undefined) dieOf(name);
  came = name;
  controller.abort(new Error(name));
  // Something may be stuck where no abort reaches it, as in opening a FIFO that nobody writes to.
  setTimeout(() => dieOf(name), PATIENCE_MS).unref();
}

/** Listens for the signals that end a program, but for those that were ignored when it started. */
export function handleSignals(ignored: ReadonlySet<NodeJS.Signals>): void {
  for (const name of DEADLY) {
    // The profiler of V8 takes its samples by this signal, many times a second.
    if (name === 'SIGPROF' && process.execArgv.some((option) => option.startsWith('--cpu-prof'))) continue;
    process.on(name, ignored.has(name) ? () => undefined : onSignal);
  }
}

/** Leaves a signal to another listener for a while. Returns what gives it back. */
export function setAside(name: NodeJS.Signals): () => void {
  aside.add(name);
  return () => {
    aside.delete(name);
  };
}

/** The interrupt of this process. */
export function interruptOf(): Interrupt {
  return { signal: controller.signal, exitCode: () => (came === undefined ? undefined : codeOf(came)) };
}

/** Ends the process by the signal that it was interrupted by, where `exitCode` says that this is why a command ended. */
export function endAsInterrupted(exitCode: number): void {
  if (came !== undefined && exitCode === codeOf(came)) dieOf(came);
}
