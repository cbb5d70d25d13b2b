import type { ProgressDisplay } from './render/progress.js';

/** An error as commands know it. */
export interface SpokenError {
  readonly code: string;
  /** One line, escaped. */
  readonly message: string;
  /** Of the file that it is about, escaped. */
  readonly file: string | undefined;
  /** The failed system call's error, such as `ENOENT`. */
  readonly system: string | undefined;
  /** The command line is wrong. */
  readonly usage: boolean;
}

/** The program whose command line it is. */
export type Program = 'instar' | 'qemu-img';

/** How commands speak where they stand in for another program. */
export interface Voice {
  /** Words with abbreviated options written out. */
  words(tokens: readonly string[], options: readonly string[]): readonly string[];
  /** What is said of an error: lines without the last line feed. */
  error(command: string, error: SpokenError): string;
  warning(text: string): string;
  /** What is said where an image is to be changed in whose bytes no format was recognised; lines without the last line feed. */
  notRecognised(file: string): string;
  /** Shows progress as the other program does. */
  progress(): ProgressDisplay;
}
