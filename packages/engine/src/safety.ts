import { INFO_FLAG } from '@instar/shared-abi';
import type { ImageInfo } from './session/look.js';
import { contentOf } from './content.js';
import type { EngineError } from './errors.js';
import { escapeText, quoteName } from '@instar/host-files';
import { extentsInFiles } from './extent-files.js';
import { isPacked } from './formats.js';

/** Name of a safety check. Stable; new ones append. */
export type SafetyCheckName =
  | 'known-format'
  | 'ambiguous-format'
  | 'structure'
  | 'unknown-features'
  | 'backing-file'
  | 'data-file'
  | 'extent-paths'
  | 'descriptor-size'
  | 'encrypted'
  | 'corrupt-bit'
  | 'dirty-bit'
  | 'within-file';

/** What a check found: `unknown` where it could not be carried out. */
export type SafetyStatus = 'pass' | 'fail' | 'unknown';

/** One check: what it found, and on what ground. */
export interface SafetyCheck {
  readonly name: SafetyCheckName;
  readonly status: SafetyStatus;
  /** Whether the status is `pass`. */
  readonly passed: boolean;
  readonly evidence: string;
}

/** All checks of an image from a stranger. Safe means that every one passed: what is unknown is not safe. */
export interface SafetyVerdict {
  readonly safe: boolean;
  readonly checks: readonly SafetyCheck[];
}

/** All checks, in the order in which a verdict has them. */
export const SAFETY_CHECKS = [
  'known-format',
  'ambiguous-format',
  'structure',
  'unknown-features',
  'backing-file',
  'data-file',
  'extent-paths',
  'descriptor-size',
  'encrypted',
  'corrupt-bit',
  'dirty-bit',
  'within-file',
] as const satisfies readonly SafetyCheckName[];

const decoder = new TextDecoder();

function finding(name: SafetyCheckName, status: SafetyStatus, evidence: string): SafetyCheck {
  return { name, status, passed: status === 'pass', evidence };
}

function verdict(checks: readonly SafetyCheck[]): SafetyVerdict {
  return { safe: checks.every((check) => check.passed), checks };
}

/** The same checks, of which only some decide; all of them where none are named. */
export function decidedBy(
  { checks, safe }: SafetyVerdict,
  required: readonly SafetyCheckName[] | undefined,
): SafetyVerdict {
  if (required === undefined) return { safe, checks };
  return { safe: checks.every(({ name, passed }) => passed || !required.includes(name)), checks };
}

/** How an image came to its format, and how long its file is. */
export interface JudgedFile {
  readonly format: string;
  /** Somebody said what it is, so that nothing was guessed. */
  readonly declared: boolean;
  /** Bytes. */
  readonly size: bigint;
}

function knownFormat(info: ImageInfo, { format, declared }: JudgedFile): SafetyCheck {
  if (isPacked(format) && !declared) {
    // Read as the disk inside here, and as it is by programs that know no packing.
    return finding('known-format', 'fail', `is compressed by ${format}; unpack it first, or declare it (-f ${format})`);
  }
  if (format !== 'raw' || declared) {
    return finding('known-format', 'pass', `format ${format}${declared ? ', as declared' : ''}`);
  }
  const content = contentOf(info.content);
  if (content.packed) {
    return finding('known-format', 'fail', `is ${content.text}; unpack it first, or declare it as raw (-f raw)`);
  }
  return finding(
    'known-format',
    'pass',
    content.name === undefined ? 'raw by default, nothing recognised' : `raw by default, holds ${content.text}`,
  );
}

/** What lies behind the end of the file, in words; undefined where nothing is known to. */
export function beyondFile(info: ImageInfo, size: bigint): string | undefined {
  if ((info.flags & INFO_FLAG.values.BEYOND_FILE) === 0) return undefined;
  const field = escapeText(decoder.decode(info.beyond_field.subarray(0, info.beyond_field_len)));
  return (
    `is not whole: its ${field} (named at offset ${info.beyond_offset}) needs ${info.beyond_end} bytes of file, ` +
    `there are ${size}`
  );
}

function withinFile(info: ImageInfo, { format, declared, size }: JudgedFile): SafetyCheck {
  if (format === 'raw' && declared) return finding('within-file', 'pass', 'raw, as declared: every length is right');
  const beyond = beyondFile(info, size);
  if (beyond !== undefined) return finding('within-file', 'fail', beyond);
  if ((info.flags & INFO_FLAG.values.EXTENTS_CHECKED) === 0) {
    return finding('within-file', 'unknown', 'its tables could not all be looked at');
  }
  const fine = format === 'raw' ? 'nothing says that it was longer' : 'all that its tables name lies inside the file';
  return finding('within-file', 'pass', fine);
}

/** The verdict on an image that could be read. */
export function judge(info: ImageInfo, file: JudgedFile): SafetyVerdict {
  const has = (flag: number): boolean => (info.flags & flag) !== 0;
  const F = INFO_FLAG.values;
  const backing = quoteName(decoder.decode(info.backing_file.subarray(0, info.backing_file_len)));
  const data = quoteName(decoder.decode(info.data_file.subarray(0, info.data_file_len)));
  const extents = extentsInFiles(info);
  const firstExtent = decoder.decode(extents[0]?.name.subarray(0, extents[0].name_len));
  const fault = escapeText(decoder.decode(info.error.detail.subarray(0, info.error.detail_len)));
  const check = (name: SafetyCheckName, bad: boolean, evidence: string, fine: string): SafetyCheck =>
    finding(name, bad ? 'fail' : 'pass', bad ? evidence : fine);
  return verdict([
    knownFormat(info, file),
    check('ambiguous-format', false, '', 'one format answers'),
    check(
      'structure',
      has(F.TABLE_FAULT),
      `${fault} (at offset ${info.error.offset})`,
      'header and tables are consistent',
    ),
    check('unknown-features', has(F.UNKNOWN_FEATURES), 'unknown features', 'only known incompatible features'),
    check('backing-file', has(F.BACKING_FILE), `names the backing file ${backing}`, 'names no backing file'),
    check('data-file', has(F.DATA_FILE), `names the external data file ${data}`, 'names no external data file'),
    check(
      'extent-paths',
      extents.length > 0,
      `names extent files (${extents.length}), the first is ${quoteName(firstExtent)}`,
      'names no extent files',
    ),
    check('descriptor-size', false, '', 'no text descriptor, or one of less than 1 MiB'),
    check('encrypted', has(F.ENCRYPTED), 'is encrypted, so its content cannot be judged', 'is not encrypted'),
    check('corrupt-bit', has(F.CORRUPT), 'is marked as corrupt', 'is not marked as corrupt'),
    check('dirty-bit', has(F.DIRTY), 'was not closed properly', 'was closed properly'),
    withinFile(info, file),
  ]);
}

/** The check that an error of the guest answers. */
function checkOfError(code: string): SafetyCheckName {
  switch (code) {
    case 'IMAGE_UNSUPPORTED_FORMAT':
    case 'IMAGE_PACKED_CONTENT':
      return 'known-format';
    case 'IMAGE_AMBIGUOUS_FORMAT':
      return 'ambiguous-format';
    case 'IMAGE_UNKNOWN_FEATURE':
      return 'unknown-features';
    case 'IMAGE_ENCRYPTED':
    case 'IMAGE_UNSUPPORTED_ENCRYPTION':
      return 'encrypted';
    case 'IMAGE_TRUNCATED':
      return 'within-file';
    default:
      return 'structure';
  }
}

/** The verdict on an image that could not be read: one check failed, the others could not be carried out. */
export function judgeUnreadable(error: EngineError): SafetyVerdict {
  const failed = checkOfError(error.code);
  return verdict(
    SAFETY_CHECKS.map((name) =>
      name === failed ? finding(name, 'fail', error.message) : finding(name, 'unknown', 'could not be looked at'),
    ),
  );
}
