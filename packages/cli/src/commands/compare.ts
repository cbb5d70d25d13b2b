import { compare, EngineError, escapeText, shownName, type Comparison } from '@instar/engine';
import { EXIT_CODES } from '../exit-codes.js';
import { CACHE_MODES } from './cache-modes.js';
import { defineCommand, type CommandRun } from './define-command.js';
import { toJson } from '../render/json.js';
import { versioned } from '../render/record.js';

interface CompareFlags {
  readonly format?: string;
  readonly secondFormat?: string;
  readonly strict?: boolean;
}

/** Exit codes of `qemu-img compare`. */
const CODES = { IDENTICAL: 0, DIFFERENT: 1, CANNOT_OPEN: EXIT_CODES.NOT_COMPARED, CANNOT_READ: 4 } as const;

function lines({ difference, offset = 0n, sizesDiffer, commonSize }: Comparison): readonly string[] {
  if (difference === 'size') return ['Strict mode: Image size mismatch!'];
  if (difference === 'allocation') return [`Strict mode: Offset ${offset} block status mismatch!`];
  // Sizes are a matter once what both disks have is the same.
  const warning =
    sizesDiffer && (difference === undefined || offset >= commonSize) ? ['Warning: Image size mismatch!'] : [];
  return [...warning, difference === undefined ? 'Images are identical.' : `Content mismatch at offset ${offset}!`];
}

async function run({ files, flags, json, control, pathPolicy, say }: CommandRun<CompareFlags>): Promise<number> {
  const [first = '', second = ''] = files;
  const { format: firstFormat, secondFormat, strict, forceShare } = flags;
  const result = await compare(first, second, { firstFormat, secondFormat, strict, forceShare, pathPolicy }, control);
  // What is left of the longer disk is zeros: the bar is full before the result is told.
  if (result.identical) control.onProgress?.(result.commonSize, result.commonSize);
  if (json)
    say(
      toJson(
        versioned({
          result: { ...result, first: escapeText(shownName(first)), second: escapeText(shownName(second)) },
        }),
      ),
    );
  else lines(result).forEach(say);
  return result.identical ? CODES.IDENTICAL : CODES.DIFFERENT;
}

/** What could not be read once the images were open. */
const READING = new Set(['READ_FAILED', 'IMAGE_DECOMPRESS', 'IMAGE_BAD_L2_ENTRY', 'IMAGE_BAD_L1_ENTRY']);

/** Whether a file could not even be opened: the error of a system call then says which. */
function isOpening({ cause }: EngineError): boolean {
  return cause instanceof Error && 'syscall' in cause && cause.syscall === 'open';
}

/** `instar compare` */
export const compareCommand = defineCommand<CompareFlags>({
  name: 'compare',
  about: 'Says whether two images, of any formats, hold the same disk.',
  operands: [
    ['<first>', 'an image'],
    ['<second>', 'another image'],
  ],
  options: (command, values) =>
    command
      .option('-f, --format <fmt>', 'format of the first image; it is then not probed')
      .option('-F, --second-format <fmt>', 'format of the second image; it is then not probed')
      .option('-s, --strict', 'sizes and allocation must be the same as well')
      .option('-p, --progress', 'show how far it is, on standard error; with --json as records')
      .option('-q, --quiet', 'print nothing but errors')
      .option('-T, --source-cache <mode>', 'without effect', values.oneOf(CACHE_MODES)),
  notes:
    'The rest of a longer disk must be zeros.\n' +
    'Exit codes: 0 the same, 1 not the same (or wrong usage), 2 cannot be opened (or told), 4 cannot be read, 130 interrupted.',
  showsProgress: true,
  badArgument: CODES.CANNOT_OPEN,
  // 1 would say that the disks differ: only words of the command line that nobody knows end so, as with qemu-img.
  failure: (error) =>
    error instanceof EngineError && READING.has(error.code) && !isOpening(error)
      ? CODES.CANNOT_READ
      : CODES.CANNOT_OPEN,
  readsRemote: true,
  run,
});
