import { EngineError } from '@instar/engine';
import type { Habits } from '../process/habits.js';

const NAMES = ['standard input', 'standard output'] as const;

/**
 * Refuses a standard stream that is closed, before anything is read or written.
 * @throws EngineError `FILE_NOT_USABLE`
 */
export function requireOpen({ whyClosed }: Pick<Habits, 'whyClosed'>, fd: 0 | 1): void {
  const why = whyClosed(fd);
  if (why !== undefined) throw new EngineError('FILE_NOT_USABLE', why, { file: NAMES[fd] });
}
