/** What went wrong when a compiler was asked. */
export type ExtractErrorCode =
  /** The compiler is not installed, or is no compiler. */
  | 'EXTRACT_COMPILER_MISSING'
  /** The compiler refused the header. */
  | 'EXTRACT_COMPILER_FAILED'
  /** A type's name is not known, or it is declared but never completed. */
  | 'EXTRACT_UNKNOWN_TYPE'
  /** The request makes no sense: no type, a name that no type can have, a target that no compiler is known for. */
  | 'EXTRACT_REQUEST'
  /** The compiler lays out for another target than was asked for. */
  | 'EXTRACT_TARGET'
  /** The debug information and the confirming probe say different things. */
  | 'EXTRACT_CONTRADICTION'
  /** The assembly is not what this reader knows. */
  | 'EXTRACT_ASSEMBLY'
  /** A file that types are to be taken out of is damaged, or has none. */
  | 'EXTRACT_BINARY'
  /** The layout cannot be said in the layout language. */
  | 'EXTRACT_UNSUPPORTED'
  /** The caller's signal was aborted. */
  | 'EXTRACT_ABORTED';

/** A compiler could not be asked, or its answer could not be used. */
export class ExtractError extends Error {
  override readonly name = 'ExtractError';
  readonly code: ExtractErrorCode;

  constructor(code: ExtractErrorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.code = code;
  }
}
