import { interruptOf, type Interrupt } from './signals.js';
import { requireOpen } from './standard-streams.js';
import type { Start } from './start.js';

/** What a command needs to know of the process that it runs in; commands in files of their own cannot import its state. */
export interface Habits {
  readonly interrupt: Interrupt;
  /**
   * Refuses standard input (0) or output (1) where it is closed.
   * @throws EngineError `FILE_NOT_USABLE`
   */
  readonly requireOpen: (fd: 0 | 1) => void;
}

/** The habits of this process. */
export function habitsOf(start: Start): Habits {
  return {
    interrupt: interruptOf(),
    requireOpen: (fd) => {
      requireOpen(start, fd);
    },
  };
}
