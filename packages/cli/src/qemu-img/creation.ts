import {
  backingPath,
  EngineError,
  escapeText,
  info,
  READABLE_FORMATS,
  systemErrorName,
  WRITABLE_FORMATS,
  type OperationControl,
} from '@instar/engine';
import { splitOptions } from '../commands/option-list.js';
import { refusalOf, requireLists, sizeOf, type DescribedOutput } from './output-options.js';
import { SYSTEM_ERRORS, systemErrorText } from './system-errors.js';

// How qemu-img refuses to create an image. Its sentences begin with the name of the output, which an error without a file
// leaves as they are.

/** What is announced when an image is created. */
export function formatting(
  name: string,
  format: string,
  size: bigint,
  [before, behind]: readonly [before: string, behind: string],
): string {
  return `Formatting '${escapeText(name)}', fmt=${format} ${before}size=${size}${behind}`;
}

function refused(sentence: string, cause?: unknown): EngineError {
  return new EngineError('INVALID_OPTION', sentence, { cause });
}

function whyNotOpened(error: unknown): string | undefined {
  if (!(error instanceof EngineError)) return undefined;
  if (error.reason.startsWith('is a directory')) return SYSTEM_ERRORS.EISDIR;
  const system = systemErrorName(error) ?? systemErrorName(error.cause);
  return system === undefined ? undefined : systemErrorText(system);
}

/** Errors of files that say of a name that nothing can be made there; others come while something is written. */
const NOT_MADE: readonly (string | undefined)[] = [
  SYSTEM_ERRORS.EACCES,
  SYSTEM_ERRORS.EISDIR,
  SYSTEM_ERRORS.ELOOP,
  SYSTEM_ERRORS.ENOENT,
  SYSTEM_ERRORS.ENOTDIR,
  SYSTEM_ERRORS.EROFS,
];

/** An error of an output that could not be made, as it is said; any other error as it is. */
export function notMade(error: unknown, name: string, before = ''): Error {
  const why = whyNotOpened(error);
  if (!(error instanceof EngineError) || error.file !== escapeText(name) || !NOT_MADE.includes(why))
    return error as Error;
  return refused(`${escapeText(name)}: ${before}Could not create '${escapeText(name)}': ${why}`, error);
}

/**
 * What is wrong with the image below an output, if it can be opened at all. Its name is one from the directory of the output on.
 * @param output name of the output, as it was given
 */
async function requireBacking(
  output: string,
  file: string,
  format: string | undefined,
  control: OperationControl,
): Promise<void> {
  const name = escapeText(output);
  const path = backingPath(output, { file, format: format ?? '' });
  // Who creates the output tells of it once more.
  const quiet = { ...control, onWarning: undefined, onDetail: undefined, onProgress: undefined };
  let found: string;
  try {
    found = (await info(path, { ...quiet, ...(format === undefined ? {} : { format }) })).format;
  } catch (error) {
    const why = whyNotOpened(error);
    const said =
      why === undefined
        ? error instanceof EngineError && error.code === 'UNSUPPORTED_FORMAT'
          ? `Unknown driver '${escapeText(format ?? '')}'`
          : undefined
        : `Could not open '${escapeText(path)}': ${why}`;
    if (said === undefined) throw error;
    throw refused(`${name}: ${said}\nCould not open backing image.`, error);
  }
  if (format !== undefined) return;
  throw refused(`${name}: Backing file specified without backing format\nDetected format of ${escapeText(found)}.`);
}

/** A `create` that qemu-img may refuse. */
export interface Creation extends DescribedOutput {
  readonly name: string;
  /** Bytes of the disk behind the name, if they were given there. */
  readonly size: bigint | undefined;
  /** Whether the image below is looked at. */
  readonly looksBelow: boolean;
  readonly say: (line: string) => void;
}

/**
 * Refuses what `qemu-img create` refuses, in its words.
 * @throws EngineError `INVALID_OPTION`
 */
export async function refuseCreation(creation: Creation, control: OperationControl): Promise<void> {
  const { format, lists, letters, looksBelow } = creation;
  const name = escapeText(creation.name);
  requireLists(lists);
  if (
    !(WRITABLE_FORMATS as readonly string[]).includes(format) &&
    !(READABLE_FORMATS as readonly string[]).includes(format)
  )
    throw refused(`${name}: Unknown file format '${escapeText(format)}'`);
  const refusal = refusalOf(creation);
  if (refusal !== undefined && !refusal.announced) throw refused(`${name}: ${refusal.sentence}`);
  const listed = new Map(lists.flatMap(splitOptions).map(({ key, value = '' }) => [key, value]));
  if (creation.size !== undefined && listed.has('size'))
    throw refused(`${name}: The image size must be specified only once`);
  const below = letters['backing_file'] ?? listed.get('backing_file');
  const looked = looksBelow && below !== undefined;
  if (looked) await requireBacking(creation.name, below, letters['backing_fmt'] ?? listed.get('backing_fmt'), control);
  const size = creation.size ?? sizeOf(listed.get('size') ?? '');
  if (size === undefined && !looked) throw refused(`${name}: Image creation needs a size parameter`);
  if (refusal === undefined) return;
  if (size !== undefined) creation.say(formatting(creation.name, format, size, refusal.words));
  throw refused(`${name}: ${refusal.sentence}`);
}

/**
 * Refuses options of an output that `qemu-img convert` refuses, in its words.
 * @throws EngineError `INVALID_OPTION`
 */
export function refuseOptions(output: DescribedOutput, name: string): void {
  requireLists(output.lists);
  const refusal = refusalOf(output);
  if (refusal === undefined) return;
  const { announced, sentence } = refusal;
  throw refused(announced ? `${escapeText(name)}: error while converting ${output.format}: ${sentence}` : sentence);
}

/**
 * Refuses options of an output that `qemu-img measure` refuses, in its words.
 * @throws EngineError `INVALID_OPTION`
 */
export function refuseMeasured(output: DescribedOutput): void {
  requireLists(output.lists);
  const refusal = refusalOf(output);
  if (refusal === undefined) return;
  const { announced, sentence } = refusal;
  throw refused(announced ? sentence : `${sentence}\nqemu-img: Invalid options for file format '${output.format}'`);
}

/** Whether there is a secret, as far as a function that takes it can tell. */
export function secretsOf(take: (id: string | undefined) => Uint8Array): DescribedOutput['hasSecret'] {
  return (id) => {
    try {
      take(id);
      return true;
    } catch {
      return false;
    }
  };
}
