import { convertGuestSymbolsPath } from '@instar/convert-guest';
import { DumpRequests, EngineError, escapeText, type OperationControl, type WrittenDump } from '@instar/engine';
import type { Habits } from '../process/habits.js';
import { standardError } from '../process/standard-streams.js';

/** Dumps that a command line asks for. */
export interface DumpFlags {
  readonly dumpOnCrash?: string | undefined;
  readonly dumpOnSignal?: string | undefined;
}

const FLAGS = { '--dump-on-crash': 'dumpOnCrash', '--dump-on-signal': 'dumpOnSignal' } as const;

/**
 * Takes the options of dumps out of a command line.
 * @throws EngineError `INVALID_OPTION` when one has no file name
 */
export function takeDumpFlags(tokens: readonly string[]): {
  readonly rest: readonly string[];
  readonly dumps: DumpFlags;
} {
  const rest: string[] = [];
  const dumps: { -readonly [K in keyof DumpFlags]: DumpFlags[K] } = {};
  for (let index = 0; index < tokens.length; index += 1) {
    const token = tokens[index] ?? '';
    const [name = '', ...value] = token.split('=');
    if (!Object.hasOwn(FLAGS, name)) {
      rest.push(token);
      continue;
    }
    const attached = token.includes('=');
    const file = attached ? value.join('=') : tokens[(index += 1)];
    if (file === undefined || file === '') throw new EngineError('INVALID_OPTION', `${name} needs a file name`);
    dumps[FLAGS[name as keyof typeof FLAGS]] = file;
  }
  return { rest, dumps };
}

/** What a running command does about dumps. */
export interface DumpListener {
  /** To be part of the operation's control. */
  readonly control: Pick<OperationControl, 'dumpOnCrash' | 'dumps' | 'onDump'>;
  /** Stops listening, and waits for a dump that is being written. */
  dispose(): Promise<void>;
}

const REASONS: Readonly<Record<string, string>> = {
  request: 'a dump on SIGUSR2',
  limit: 'a dump of the guest that a limit stopped',
};

/** Says on standard error where a dump is, and how it is opened. */
function announce(command: string, { path, reason, warning }: WrittenDump): void {
  const what = REASONS[reason] ?? 'a dump of the guest that crashed';
  const file = escapeText(path);
  const plain = file.endsWith('.zst') ? file.slice(0, -4) : file;
  const unpack = plain === file ? '' : `zstd -d ${file} && `;
  standardError.write(
    `instar: ${command}: ${what} is in ${file}; it holds data of the image\n` +
      `instar: ${command}: open it with: ${unpack}gdb ${escapeText(convertGuestSymbolsPath())} ${plain}\n`,
  );
  if (warning !== undefined) standardError.write(`instar: ${command}: warning: ${escapeText(warning)}\n`);
}

/** Prepares the dumps that were asked for. */
export function listenForDumps(
  command: string,
  { dumpOnCrash, dumpOnSignal }: DumpFlags,
  { setAside }: Pick<Habits, 'setAside'>,
): DumpListener {
  const dumps = dumpOnSignal === undefined ? undefined : new DumpRequests();
  let current: Promise<void> | undefined;
  const onSignal = (): void => {
    if (dumps === undefined || dumpOnSignal === undefined || current !== undefined) return;
    current = dumps
      .dump(dumpOnSignal)
      .then(
        (dump) => {
          announce(command, dump);
        },
        (error: unknown) => {
          const text = error instanceof Error ? error.message : String(error);
          standardError.write(`instar: ${command}: no dump was written: ${escapeText(text)}\n`);
        },
      )
      .finally(() => {
        current = undefined;
      });
  };
  const giveBack = dumps === undefined ? undefined : setAside('SIGUSR2');
  if (dumps !== undefined) process.on('SIGUSR2', onSignal);
  return {
    control: {
      dumpOnCrash: dumpOnCrash === undefined ? undefined : { path: dumpOnCrash },
      dumps,
      onDump: (dump) => {
        announce(command, dump);
      },
    },
    async dispose() {
      await current;
      process.off('SIGUSR2', onSignal);
      giveBack?.();
    },
  };
}
