import type { CommandLine, Finished } from '../support/command.js';
import type { Workdir } from '../support/workdir.js';

/** A command that makes an output, and what must be true after it. */
export interface Scenario {
  readonly name: string;
  /** Scenarios with the same word make about the same calls, which are then counted once. */
  readonly makesCallsAs: string;
  /** An output that lies elsewhere: a device, or `-`. Only one run at a time may have the same device. */
  readonly device: string | undefined;
  /** @param output directory of the output, relative to the working directory */
  readonly command: (output: string) => CommandLine;
  /** Puts what is there before. */
  readonly prepare: (directory: Workdir, output: string) => void;
  /** What is wrong after exit code 0. */
  readonly judgeSuccess: (directory: Workdir, output: string, finished: Finished) => string | undefined;
  /** What is wrong after any other exit code. */
  readonly judgeFailure: (directory: Workdir, output: string, finished: Finished) => string | undefined;
}
