import { ERROR_KIND } from '@instar/shared-abi';

/** Kinds of a guest that never leave it as they are. */
type InnerKind = 'NONE' | 'SOURCE_FAILED' | 'WRITE_FAILED';

/** Codes of images that were refused. */
export type ImageErrorCode =
  `IMAGE_${Exclude<keyof typeof ERROR_KIND.values, InnerKind>}` | 'IMAGE_NOT_SAFE' | 'IMAGE_TRUNCATED';

/** Every code of an `EngineError`. Codes are stable: new ones may come, none changes its meaning. */
export type EngineErrorCode =
  | ImageErrorCode
  | 'ABORTED'
  | 'CHAIN_LOOP'
  | 'CHAIN_TOO_DEEP'
  | 'EDIT_INTERRUPTED'
  | 'FILE_NOT_USABLE'
  | 'GUEST_FAILED'
  | 'GUEST_LIMIT'
  | 'GUEST_NOT_RUNNING'
  | 'INPUT_IN_USE'
  | 'INVALID_OPTION'
  | 'LIMIT_EXCEEDED'
  | 'NO_SPACE'
  | 'OUTPUT_EXISTS'
  | 'OUTPUT_MISTAKABLE'
  | 'PATH_REFUSED'
  | 'READ_FAILED'
  | 'REFERENCE_MISSING'
  | 'REMOTE_CHANGED'
  | 'REMOTE_REFUSED'
  | 'SAME_FILE'
  | 'SANDBOX_UNAVAILABLE'
  | 'UNSUPPORTED_FORMAT'
  | 'UNSUPPORTED_PLATFORM'
  | 'WRITE_FAILED';

/**
 * Whose fault an error is: of the `image` and who made it, of the `caller` (options, names, limits), of the `machine` (files,
 * devices, kernel), or of `instar`, which should be reported.
 */
export type ErrorFault = 'image' | 'caller' | 'machine' | 'instar';

/** What a code means. */
export interface ErrorCodeHelp {
  readonly cause: string;
  readonly remedy: string;
  readonly fault: ErrorFault;
}

function help(fault: ErrorFault, cause: string, remedy: string): ErrorCodeHelp {
  return { cause, remedy, fault };
}

const REFUSE = 'refuse the image, or have it made anew';
const REPORT = 'report it, with the image where that may be';

const OTHERS: Readonly<Record<Exclude<EngineErrorCode, `IMAGE_${string}`>, ErrorCodeHelp>> = {
  ABORTED: help('caller', 'the signal of the call was aborted', 'none: everything is as it was before'),
  CHAIN_LOOP: help('image', 'an image refers to a file that is already part of its chain', REFUSE),
  CHAIN_TOO_DEEP: help('image', 'a chain has more images or files than are opened', 'merge images of the chain'),
  EDIT_INTERRUPTED: help(
    'machine',
    'an edit of the image was interrupted, and what it was before cannot be put back here',
    'open it by its own name where it and its undo log may be written; with a data file, allow the directory of that by name',
  ),
  FILE_NOT_USABLE: help(
    'caller',
    'a name leads to a directory, a socket or nothing that can be used so, or an image was closed',
    'name a regular file or a block device',
  ),
  GUEST_FAILED: help('instar', 'the sandboxed program crashed, or left what no working one leaves', REPORT),
  GUEST_LIMIT: help('caller', 'a limit of time or of CPU time was reached', 'raise the limit, or refuse the image'),
  GUEST_NOT_RUNNING: help('caller', 'a dump was asked for while no sandbox ran', 'ask while an operation goes on'),
  INPUT_IN_USE: help('machine', 'another process has locked the image', 'wait, or give forceShare'),
  INVALID_OPTION: help('caller', 'an option is unknown, of the wrong type, or contradicts another', 'see the message'),
  LIMIT_EXCEEDED: help(
    'image',
    'the disk or the output is larger than maxVirtualSize or maxOutputSize',
    'refuse the image, or raise the limit',
  ),
  NO_SPACE: help('machine', 'there is no room for the output', 'make room; what was there before is as it was'),
  OUTPUT_EXISTS: help('caller', 'the output exists, and noClobber was given', 'choose another name'),
  OUTPUT_MISTAKABLE: help(
    'image',
    'a raw output would begin as an image of another format does, so that programs would take it for one',
    'write another format, or declare that it is raw wherever it is used',
  ),
  PATH_REFUSED: help(
    'image',
    'an image names a file that the path policy does not allow',
    'refuse the image, or allow the directory',
  ),
  READ_FAILED: help('machine', 'a file could not be opened or read', 'see the message'),
  REFERENCE_MISSING: help('image', 'a file that an image names is not there', 'put it beside the image'),
  REMOTE_CHANGED: help(
    'machine',
    'what a URL leads to was changed while it was read',
    'try again; nothing was written',
  ),
  REMOTE_REFUSED: help(
    'caller',
    'a URL, or a redirect from one, leads where the policy does not allow, or a client for it is not installed',
    'see the message; allow the host where it is one that you trust',
  ),
  SAME_FILE: help('caller', 'the output is also an input', 'choose another name'),
  SANDBOX_UNAVAILABLE: help('machine', 'neither sandbox can be used here', 'run instar doctor'),
  UNSUPPORTED_FORMAT: help(
    'caller',
    'the format is unknown, or not read or written here',
    'see the message, which lists them',
  ),
  UNSUPPORTED_PLATFORM: help('machine', 'there is no native part for this platform', 'use Linux on x86-64 with glibc'),
  WRITE_FAILED: help(
    'machine',
    'the output could not be written',
    'see the message; what was there before is as it was',
  ),
};

/** Codes of images whose fault or remedy is not that of an image which is broken. */
const IMAGES: Readonly<Partial<Record<ImageErrorCode, ErrorCodeHelp>>> = {
  IMAGE_NOT_SAFE: help('image', 'a safety check did not pass', 'see the checks of the verdict'),
  IMAGE_TRUNCATED: help('image', 'the file ends before what its metadata promises', 'copy or upload it again'),
  IMAGE_ENCRYPTED: help('caller', ERROR_KIND.docs.ENCRYPTED, 'give passphrases'),
  IMAGE_AMBIGUOUS_FORMAT: help('image', 'the file answers to two formats at once', 'refuse it, or declare the format'),
  IMAGE_NOT_THIS_FORMAT: help('caller', ERROR_KIND.docs.NOT_THIS_FORMAT, 'declare the right format, or none'),
  IMAGE_OUT_OF_MEMORY: help('image', ERROR_KIND.docs.OUT_OF_MEMORY, REFUSE),
  IMAGE_NEEDS_MEMORY: help('image', ERROR_KIND.docs.NEEDS_MEMORY, 'unpack the file first'),
  IMAGE_KEY_MEMORY: help('caller', ERROR_KIND.docs.KEY_MEMORY, 'raise limits.keyMemory'),
  IMAGE_SNAPSHOT_MISSING: help('caller', ERROR_KIND.docs.SNAPSHOT_MISSING, 'choose one that info lists'),
  IMAGE_UNSUPPORTED_EDIT: help('caller', ERROR_KIND.docs.UNSUPPORTED_EDIT, 'see the message, or convert the image'),
  IMAGE_REPAIR_FIRST: help('image', ERROR_KIND.docs.REPAIR_FIRST, 'repair it with check -r all, or refuse it'),
  IMAGE_BITMAP_MISSING: help('caller', ERROR_KIND.docs.BITMAP_MISSING, 'choose one that info lists'),
  IMAGE_BITMAP_EXISTS: help('caller', ERROR_KIND.docs.BITMAP_EXISTS, 'choose another name'),
  IMAGE_UNSUPPORTED_OUTPUT: help('caller', ERROR_KIND.docs.UNSUPPORTED_OUTPUT, 'choose another format'),
  IMAGE_OUTPUT_TOO_BIG: help('caller', ERROR_KIND.docs.OUTPUT_TOO_BIG, 'choose another format'),
  IMAGE_PACKED_CONTENT: help('image', ERROR_KIND.docs.PACKED_CONTENT, 'unpack it first'),
  IMAGE_INTERNAL: help('instar', ERROR_KIND.docs.INTERNAL, REPORT),
  IMAGE_BAD_CONFIG: help('instar', ERROR_KIND.docs.BAD_CONFIG, REPORT),
};

const NEVER: ReadonlySet<string> = new Set<InnerKind>(['NONE', 'SOURCE_FAILED', 'WRITE_FAILED']);

function imageCodes(): readonly (readonly [ImageErrorCode, ErrorCodeHelp])[] {
  const kinds = Object.entries(ERROR_KIND.docs).filter(([kind]) => !NEVER.has(kind));
  const known = kinds.map(
    ([kind, cause]) => [`IMAGE_${kind}` as ImageErrorCode, help('image', cause, REFUSE)] as const,
  );
  const own = Object.entries(IMAGES) as [ImageErrorCode, ErrorCodeHelp][];
  return [...new Map<ImageErrorCode, ErrorCodeHelp>([...known, ...own])];
}

/** Every code with what it means; the page docs/errors.md is made of this. */
export function errorCodes(): ReadonlyMap<EngineErrorCode, ErrorCodeHelp> {
  const others = Object.entries(OTHERS) as [EngineErrorCode, ErrorCodeHelp][];
  return new Map<EngineErrorCode, ErrorCodeHelp>(
    [...others, ...imageCodes()].sort(([one], [two]) => (one < two ? -1 : 1)),
  );
}
