import { escapeText } from '@instar/engine';
import {
  excludePages,
  PAGE_KINDS,
  splitDump,
  writeDump,
  type Dump,
  type DumpOutput,
  type DumpState,
  type Excluded,
  type MemoryFilter,
  type PageKind,
  type WriteOptions,
} from '@instar/vmcore';
import { EXIT_CODES } from '../../exit-codes.js';
import { progressBar } from '../../render/progress.js';
import { answerProgressRequests } from '../../render/progress-request.js';
import {
  machineOf,
  numberOf,
  printWarning,
  printWarnings,
  usageError,
  withDump,
  writeOptions,
  type CommandContext,
  type Flags,
} from './flags.js';
import { rawImage } from './raw-memory.js';
import { requireOpen } from '../require-open.js';
import { recordText } from '../../render/record.js';
import { standardError, standardOutput } from '../../process/standard-streams.js';

/** Where the output goes; standard output is for pipes. */
export function outputOf(word: string, flags: Flags, context: CommandContext): DumpOutput {
  if (word !== '-') return { file: word };
  if (standardOutput.isTTY) throw usageError('the dump would go to a terminal: redirect standard output');
  if (flags.json === true) throw usageError('--json and the output - exclude each other');
  requireOpen(context, 1);
  return { stream: standardOutput.stream };
}

async function perform(
  dump: Dump | undefined,
  outputs: readonly string[],
  flags: Flags,
  work: (options: Pick<WriteOptions, 'onProgress' | 'onWarning'>) => Promise<readonly DumpState[]>,
  more: () => object | undefined = () => undefined,
): Promise<number> {
  if (dump !== undefined && flags.json !== true) await printWarnings(dump);
  const shown = standardError.isTTY && flags.json !== true && flags.progress !== false;
  const progress = answerProgressRequests(shown ? await progressBar() : undefined);
  const started = performance.now();
  const states = await work({
    onWarning: printWarning,
    onProgress: ({ writtenSize, totalSize }) => {
      progress.update(writtenSize, totalSize);
    },
  }).finally(() => {
    progress.close();
  });
  const told = more();
  if (flags.json === true) {
    const result = states.map((state, index) => ({
      output: outputs[index],
      status: state.status,
      'total-size': state.totalSize,
      'written-size': state.writtenSize,
      begin: state.hasFilter ? state.begin : undefined,
      length: state.hasFilter ? state.length : undefined,
    }));
    standardOutput.write(recordText({ result, ...told, 'elapsed-ms': Math.round(performance.now() - started) }));
  }
  return EXIT_CODES.OK;
}

function inputsAndOutput(words: readonly string[], usage: string): readonly [readonly string[], string] {
  const output = words[words.length - 1];
  if (words.length < 2 || output === undefined) throw usageError(`found ${words.length} names, expected ${usage}`);
  return [words.slice(0, -1), output];
}

/** Opens a dump, whose machine the user may know better than it does. */
async function withMachine<T>(
  files: readonly string[],
  { machine }: Flags,
  context: CommandContext,
  use: (dump: Dump) => Promise<T>,
): Promise<T> {
  const given = machine === undefined ? undefined : machineOf(machine);
  return withDump(files, context, async (dump) => use(given === undefined ? dump : { ...dump, machine: given }));
}

/** `instar vmcore wrap`. */
export async function wrap(words: readonly string[], flags: Flags, context: CommandContext): Promise<number> {
  const [inputs, output] = inputsAndOutput(words, 'FILE@ADDRESS... OUTPUT');
  return wrapFiles(inputs, [output], flags, context);
}

async function wrapFiles(
  inputs: readonly string[],
  words: readonly string[],
  flags: Flags,
  context: CommandContext,
): Promise<number> {
  const [output] = words;
  if (words.length !== 1 || output === undefined) throw usageError(`found ${words.length} names, expected one OUTPUT`);
  if (flags.machine === undefined) throw usageError('raw memory does not say whose it is: expected --machine NAME');
  const { image, close } = await rawImage(inputs, machineOf(flags.machine), flags.vmcoreinfo);
  try {
    const options = writeOptions(flags, { format: 'elf', compression: [] });
    const target = outputOf(output, flags, context);
    return await perform(undefined, [output], flags, async (progress) => [
      await writeDump(image, target, { ...options, ...progress, signal: context.signal }),
    ]);
  } finally {
    await close();
  }
}

/** `instar vmcore convert`. */
export async function convert(words: readonly string[], flags: Flags, context: CommandContext): Promise<number> {
  if (typeof flags.raw === 'object') return wrapFiles(flags.raw, words, flags, context);
  const [inputs, output] = inputsAndOutput(words, 'INPUT... OUTPUT');
  return withMachine(inputs, flags, context, async (dump) => {
    const options = writeOptions(flags, dump);
    const target = outputOf(output, flags, context);
    return perform(dump, [output], flags, async (progress) => [
      await writeDump(dump, target, { ...options, ...progress, signal: context.signal }),
    ]);
  });
}

/** `zero,cache,…`, or the number that makedumpfile takes for them. */
function kindsOf(word: string): readonly PageKind[] {
  const level = /^\d{1,2}$/.test(word) ? Number(word) : 0;
  if (level >= 1 && level < 2 ** PAGE_KINDS.length)
    return PAGE_KINDS.filter((_kind, bit) => (level & (1 << bit)) !== 0);
  return word.split(',').map((part) => {
    const found = PAGE_KINDS.find((kind) => kind === part);
    if (found !== undefined) return found;
    const expected = `${PAGE_KINDS.join(', ')} with commas between them, or a dump level from 1 to 31`;
    throw usageError(`found ${escapeText(part)} in --exclude, expected ${expected}`);
  });
}

/** A range of memory: both of its numbers, or none. */
function rangeOf({ begin, length, exclude }: Flags): MemoryFilter | undefined {
  if (begin === undefined && length === undefined && exclude !== undefined) return undefined;
  if (begin === undefined || length === undefined) {
    throw usageError('found half a range, expected --begin and --length, or --exclude');
  }
  return { begin: numberOf(begin, '--begin'), length: numberOf(length, '--length') };
}

function excludedText({ pages, left }: Excluded): string {
  const counts = Object.entries(left).filter(([, count]) => count > 0);
  const sum = counts.reduce((total, [, count]) => total + count, 0);
  return `left out ${sum} of ${pages} pages: ${counts.map(([use, count]) => `${use} ${count}`).join(', ') || 'none'}`;
}

/** `instar vmcore filter`. */
export async function filter(words: readonly string[], flags: Flags, context: CommandContext): Promise<number> {
  const [inputs, output] = inputsAndOutput(words, 'INPUT... OUTPUT');
  const wanted = rangeOf(flags);
  const kinds = flags.exclude === undefined ? undefined : kindsOf(flags.exclude);
  const { signal } = context;
  return withMachine(inputs, flags, context, async (dump) => {
    const options = writeOptions(flags, dump);
    const target = outputOf(output, flags, context);
    let excluded: Excluded | undefined;
    const work = async (progress: Pick<WriteOptions, 'onProgress' | 'onWarning'>): Promise<readonly DumpState[]> => {
      if (kinds !== undefined) excluded = await excludePages(dump, kinds, { signal, format: options.format });
      if (excluded !== undefined && excluded.unknown > 0) {
        printWarning(`${excluded.unknown} pages are kept: the kernel's structures of them are not in the dump`);
      }
      return [await writeDump(excluded?.image ?? dump, target, { ...options, ...progress, filter: wanted, signal })];
    };
    return perform(dump, [output], flags, work, () => {
      if (excluded === undefined) return undefined;
      if (flags.json !== true && output !== '-') standardOutput.write(`${excludedText(excluded)}\n`);
      return { pages: excluded.pages, excluded: excluded.left, unknown: excluded.unknown };
    });
  });
}

/** `instar vmcore split`. */
export async function split(words: readonly string[], flags: Flags, context: CommandContext): Promise<number> {
  const { signal } = context;
  const [input = '', ...outputs] = words;
  if (outputs.includes('-')) throw usageError('the parts of a split dump are files, not -');
  return withMachine([input], flags, context, async (dump) => {
    const options = writeOptions({ ...flags, to: 'kdump' }, dump);
    return perform(dump, outputs, flags, async (progress) =>
      splitDump(dump, outputs, { ...options, ...progress, signal }),
    );
  });
}

/** `instar vmcore reassemble`. */
export async function reassemble(words: readonly string[], flags: Flags, context: CommandContext): Promise<number> {
  const [inputs] = inputsAndOutput(words, 'PART... OUTPUT');
  if (inputs.length < 2) throw usageError('found one part, expected all parts of a split dump and an output');
  return convert(words, { ...flags, to: 'kdump' }, context);
}
