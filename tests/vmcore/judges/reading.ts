import { program, type Finished } from '../../support/command.js';

/** Physical memory to be read. */
export interface Wanted {
  /** Physical address. */
  readonly address: bigint;
  /** Bytes. */
  readonly length: number;
}

/** What a reader found in a dump; what it cannot tell is undefined. */
export interface Reading {
  /** What it takes the file for, in its own words. */
  readonly format?: string | undefined;
  /** Its name of the machine. */
  readonly machine?: string | undefined;
  /** Registers of each CPU, by gdb's names. */
  readonly cpus?: readonly Readonly<Record<string, bigint>>[] | undefined;
  /** One for each range that was wanted; undefined where it could not be read. */
  readonly bytes?: readonly (Buffer | undefined)[] | undefined;
  /** The text of VMCOREINFO. */
  readonly vmcoreinfo?: string | undefined;
  /** OSRELEASE, from a reader that shows no more of VMCOREINFO. */
  readonly osRelease?: string | undefined;
}

/** A reader does not take a file; the message is its own. */
export class ReaderRefusal extends Error {
  readonly reader: string;

  constructor(reader: string, message: string) {
    super(message);
    this.name = 'ReaderRefusal';
    this.reader = reader;
  }
}

/** Seconds that a reader may take; one that reads 65,600 segments takes half a minute where nothing runs beside it. */
const PATIENCE = '150';

/** Runs a reader so that it cannot hang: makedumpfile waits for ever on a stream that is cut off. */
export function limited(words: readonly string[], input: Uint8Array | string = ''): Finished {
  return program('timeout', '--kill-after=2', PATIENCE, ...words)
    .reading(input)
    .environment({ LC_ALL: 'C', DEBUGINFOD_URLS: '' })
    .run();
}

/** The last line of a program's complaint. */
export function complaint({ stderr, stdout, status }: Finished): string {
  const lines = `${stdout}\n${stderr}`.split('\n').filter((line) => line.trim() !== '');
  return lines.at(-1)?.trim() ?? `exit ${String(status)}`;
}

/** What the Python readers answer: numbers as decimal text, bytes in hexadecimal. */
interface Answer {
  readonly refusal?: string | null;
  readonly format?: string | null;
  readonly machine?: string | null;
  readonly cpus?: readonly Readonly<Record<string, string>>[] | null;
  readonly bytes?: readonly (string | null)[] | null;
  readonly vmcoreinfo?: string | null;
  readonly osRelease?: string | null;
}

/** What a script is asked, as JSON. */
export function question(file: string, wanted: readonly Wanted[], registers: readonly string[]): string {
  const reads = wanted.map(({ address, length }) => [address.toString(), length]);
  return JSON.stringify({ file, reads, registers });
}

/** Takes the answer of a script: the last line that it printed. */
export function answered(reader: string, finished: Finished): Reading {
  const line = finished.stdout.trimEnd().split('\n').at(-1) ?? '';
  if (!line.startsWith('{')) throw new ReaderRefusal(reader, complaint(finished));
  const answer = JSON.parse(line) as Answer;
  if (typeof answer.refusal === 'string') throw new ReaderRefusal(reader, answer.refusal);
  const bigints = (cpu: Readonly<Record<string, string>>): Record<string, bigint> =>
    Object.fromEntries(Object.entries(cpu).map(([name, value]) => [name, BigInt(value)]));
  return {
    format: answer.format ?? undefined,
    machine: answer.machine ?? undefined,
    cpus: answer.cpus?.map(bigints),
    bytes: answer.bytes?.map((bytes) => (bytes === null ? undefined : Buffer.from(bytes, 'hex'))),
    vmcoreinfo: answer.vmcoreinfo ?? undefined,
    osRelease: answer.osRelease ?? undefined,
  };
}
