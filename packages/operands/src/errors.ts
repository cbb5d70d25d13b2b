/**
 * What went wrong, for programs. Codes are stable: a release may add some, but never renames or reuses one.
 *
 * - `UNKNOWN_OPERAND`: `name=value` with a name that dd does not have
 * - `NOT_AN_OPERAND`: a token without `=` that is no option either
 * - `MISSING_OPERAND`: `if=` or `of=` was not given
 * - `EMPTY_FILE_NAME`: `if=` or `of=` without a name
 * - `INVALID_SIZE`: text outside the size grammar
 * - `SIZE_OUT_OF_RANGE`: a well-formed size that is negative, above 2^63 - 1, or above the operand's own limit
 * - `INVALID_DURATION`: text that is not a time
 * - `ZERO_BLOCK_SIZE`: `bs=0`
 * - `UNKNOWN_CONVERSION`, `UNKNOWN_FLAG`, `UNKNOWN_STATUS`, `UNKNOWN_SANDBOX`, `UNKNOWN_OUTPUT_FORMAT`: a word that is none of the choices
 * - `UNKNOWN_OPTION`, `AMBIGUOUS_OPTION`: an option that does not exist, or an abbreviation of several
 * - `MISSING_OPTION_ARGUMENT`, `UNEXPECTED_OPTION_ARGUMENT`: an option without its argument, or with one too many
 * - `EMPTY_OPTION_ARGUMENT`: an empty argument where a name is needed
 * - `UNSUPPORTED_OPTION`: an option of qemu-img that is refused on purpose
 */
export type OperandErrorCode =
  | 'UNKNOWN_OPERAND'
  | 'NOT_AN_OPERAND'
  | 'MISSING_OPERAND'
  | 'EMPTY_FILE_NAME'
  | 'INVALID_SIZE'
  | 'SIZE_OUT_OF_RANGE'
  | 'INVALID_DURATION'
  | 'ZERO_BLOCK_SIZE'
  | 'UNKNOWN_CONVERSION'
  | 'UNKNOWN_FLAG'
  | 'UNKNOWN_STATUS'
  | 'UNKNOWN_SANDBOX'
  | 'UNKNOWN_OUTPUT_FORMAT'
  | 'UNKNOWN_OPTION'
  | 'AMBIGUOUS_OPTION'
  | 'MISSING_OPTION_ARGUMENT'
  | 'UNEXPECTED_OPTION_ARGUMENT'
  | 'EMPTY_OPTION_ARGUMENT'
  | 'UNSUPPORTED_OPTION';

/** Where in the tokens an error lies. */
export interface TokenPosition {
  /** Index of the token in the list that was parsed; 0 where a single text was parsed. */
  readonly index: number;
  /** Offset in UTF-16 code units of the offending part in that token: of the value after `=`, else 0. */
  readonly offset: number;
}

/** The token that an error is about. */
export interface TokenReference {
  readonly token: string;
  readonly position: TokenPosition;
}

/** What errors of this project carry: `isInstarError()` of the engine looks for it. */
const MARK: unique symbol = Symbol.for('instar.error');

/**
 * A mistake in what the user typed. The message is one line without control characters, and says what was found, what
 * was expected and what to do; `token` is the text as it was given, and may hold anything.
 */
export class OperandError extends Error {
  override readonly name = 'OperandError';
  readonly [MARK] = true;
  readonly code: OperandErrorCode;
  /** The token at fault; undefined when the fault is that a token is missing. */
  readonly token: string | undefined;
  /** Where that token stands; undefined when there is none. */
  readonly position: TokenPosition | undefined;

  constructor(code: OperandErrorCode, message: string, at?: TokenReference) {
    super(message);
    this.code = code;
    this.token = at?.token;
    this.position = at?.position;
  }

  toJSON(): { readonly name: string; readonly code: string; readonly message: string; readonly token?: string } {
    const { name, code, message, token } = this;
    return { name, code, message, ...(token === undefined ? {} : { token }) };
  }
}
