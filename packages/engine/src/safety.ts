import { INFO_FLAG } from '@instar/shared-abi';
import type { ImageInfo } from './chain.js';
import type { EngineError } from './errors.js';
import { quoteName } from './escape.js';

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
  | 'dirty-bit';

/** One check: whether it passed, and on what ground. */
export interface SafetyCheck {
  readonly name: SafetyCheckName;
  readonly passed: boolean;
  readonly evidence: string;
}

/** All checks of an image from a stranger. Safe means that every one passed. */
export interface SafetyVerdict {
  readonly safe: boolean;
  readonly checks: readonly SafetyCheck[];
}

const ALL: readonly SafetyCheckName[] = [
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
];

const decoder = new TextDecoder();

function verdict(checks: readonly SafetyCheck[]): SafetyVerdict {
  return { safe: checks.every((check) => check.passed), checks };
}

/** The verdict on an image that could be read. */
export function judge(info: ImageInfo, format: string): SafetyVerdict {
  const has = (flag: number): boolean => (info.flags & flag) !== 0;
  const F = INFO_FLAG.values;
  const backing = quoteName(decoder.decode(info.backing_file.subarray(0, info.backing_file_len)));
  const data = quoteName(decoder.decode(info.data_file.subarray(0, info.data_file_len)));
  const check = (name: SafetyCheckName, bad: boolean, evidence: string, fine: string): SafetyCheck => ({
    name,
    passed: !bad,
    evidence: bad ? evidence : fine,
  });
  return verdict([
    check('known-format', false, '', `format ${format}`),
    check('ambiguous-format', false, '', 'one format answers'),
    check('structure', false, '', 'header and tables are consistent'),
    check('unknown-features', has(F.UNKNOWN_FEATURES), 'unknown features', 'only known incompatible features'),
    check('backing-file', has(F.BACKING_FILE), `names the backing file ${backing}`, 'names no backing file'),
    check('data-file', has(F.DATA_FILE), `names the external data file ${data}`, 'names no external data file'),
    check('extent-paths', false, '', 'the format has no extent files'),
    check('descriptor-size', false, '', 'the format has no text descriptor'),
    check('encrypted', has(F.ENCRYPTED), 'is encrypted, so its content cannot be judged', 'is not encrypted'),
    check('corrupt-bit', has(F.CORRUPT), 'is marked as corrupt', 'is not marked as corrupt'),
    check('dirty-bit', has(F.DIRTY), 'was not closed properly', 'was closed properly'),
  ]);
}

/** The check that an error of the guest answers. */
function checkOfError(code: string): SafetyCheckName {
  switch (code) {
    case 'IMAGE_UNSUPPORTED_FORMAT':
      return 'known-format';
    case 'IMAGE_AMBIGUOUS_FORMAT':
      return 'ambiguous-format';
    case 'IMAGE_UNKNOWN_FEATURE':
      return 'unknown-features';
    case 'IMAGE_ENCRYPTED':
    case 'IMAGE_UNSUPPORTED_ENCRYPTION':
      return 'encrypted';
    default:
      return 'structure';
  }
}

/** The verdict on an image that could not be read: what could not be looked at counts as failed. */
export function judgeUnreadable(error: EngineError): SafetyVerdict {
  const failed = checkOfError(error.code);
  return verdict(
    ALL.map((name) => ({
      name,
      passed: false,
      evidence: name === failed ? error.message : 'could not be looked at',
    })),
  );
}
