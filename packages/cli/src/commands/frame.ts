import { escapeText, type OperationControl } from '@instar/engine';
import { EXIT_CODES } from '../exit-codes.js';
import type { Habits } from '../process/habits.js';
import { isLostReader, OutputFailed } from '../process/lost-reader.js';
import { detailTeller, type DetailTeller } from '../render/details.js';
import { printError } from '../render/errors.js';
import type { ProgressDisplay } from '../render/progress.js';
import type { Voice } from '../voice.js';
import { listenForDumps, type DumpFlags, type DumpListener } from './guest-dumps.js';
import { traceOfEnvironment } from './trace-of-environment.js';
import { standardError, type OutputStream } from '../process/standard-streams.js';

/** Says of an image that is to be changed that its format was guessed, as the other program does. */
function tellUnrecognised(voice: Voice): NonNullable<OperationControl['onDetail']> {
  return (detail) => {
    if (detail.kind !== 'image' || detail.edited !== true || detail.declared || detail.format !== 'raw') return;
    standardError.write(`${voice.notRecognised(escapeText(detail.path))}\n`);
  };
}

/** What is around every command: its dumps, its progress, its warnings, and where its error goes. */
export class Frame {
  /** Where an error goes as a record; undefined for a line on standard error. */
  errors: OutputStream | undefined;
  readonly warnings: string[] = [];
  #dumps: DumpListener | undefined;
  #progress: ProgressDisplay | undefined;
  #details: DetailTeller | undefined;

  constructor(
    readonly name: string,
    readonly habits: Habits,
  ) {}

  /** Begins what goes on while the command runs. */
  begin(dumps: DumpFlags, progress: ProgressDisplay | undefined, verbose: boolean): void {
    this.#dumps = listenForDumps(this.name, dumps, this.habits);
    this.#progress = progress;
    this.#details = detailTeller(this.name, verbose);
  }

  /** What every operation of a command is controlled by. */
  control(tellsWarnings: boolean): OperationControl {
    const { voice, interrupt } = this.habits;
    const progress = this.#progress;
    return {
      ...this.#dumps?.control,
      ...traceOfEnvironment(),
      ...this.#details?.control,
      signal: interrupt.signal,
      // A command has one guest, or few: nothing would be kept for long enough to gain.
      isolation: 'fresh',
      ...(voice === undefined ? {} : { onDetail: tellUnrecognised(voice) }),
      onProgress: progress?.update.bind(progress),
      onWarning: (warning) => {
        this.warnings.push(warning);
        if (!tellsWarnings) return;
        standardError.write(`${voice?.warning(warning) ?? `instar: ${this.name}: warning: ${warning}`}\n`);
      },
    };
  }

  /** The command has done what it was to do; only its result is told after this. */
  done(complete: boolean): void {
    this.#progress?.close(complete);
    this.#details?.end();
    this.#details = undefined;
  }

  /** Tells why the command failed. Returns its exit code. */
  failed(error: unknown, exitCode: number = EXIT_CODES.FAILURE): number {
    this.#progress?.close();
    const interrupted = this.habits.interrupt.exitCode();
    if (interrupted !== undefined) return interrupted;
    if (isLostReader(error)) return EXIT_CODES.LOST_READER;
    if (error instanceof OutputFailed) return EXIT_CODES.FAILURE;
    printError(this.name, error, this.errors, this.habits.voice);
    return exitCode;
  }

  /** Ends what was begun. */
  async end(): Promise<void> {
    this.#progress?.close();
    await this.#dumps?.dispose();
  }
}
