import { interruptOf, setAside, type Interrupt } from './signals.js';
import { whyClosed } from './standard-streams.js';
import type { Voice } from '../voice.js';
import type { Start } from './start.js';

/** What a command needs to know of the process that it runs in; a command is a file of its own, and cannot import its state. */
export interface Habits {
  readonly interrupt: Interrupt;
  /** Why standard input (0) or output (1) cannot be used, and what helps; undefined where it is open. */
  readonly whyClosed: (fd: 0 | 1) => string | undefined;
  /** Leaves a signal to another listener for a while. Returns what gives it back. */
  readonly setAside: (name: NodeJS.Signals) => () => void;
  /** The program that the command stands in for; undefined where it is its own. */
  readonly voice?: Voice | undefined;
}

/** The habits of this process. */
export function habitsOf(start: Start, voice?: Voice): Habits {
  return { interrupt: interruptOf(), whyClosed: (fd) => whyClosed(start, fd), setAside, voice };
}
