import { jsonOf, type Json } from './json.js';

/** What errors of this project carry, whichever copy of a package they come from (ES module, CommonJS, two versions). */
const MARK: unique symbol = Symbol.for('instar.error') as never;

/** The base of errors of this package. */
export abstract class InstarError extends Error {
  readonly [MARK] = true;
  /** Stable. */
  abstract readonly code: string;
  /** What is wrong, without the path of a file of this machine: may be shown to who sent the image. */
  abstract readonly reason: string;

  /** Name, code, message and reason, with all that is known of the place; bigints as {@link jsonOf} has them. */
  toJSON(): Json {
    const {
      name,
      code,
      message,
      reason,
      stack: _stack,
      cause: _cause,
      ...rest
    } = this as this & { readonly cause?: unknown };
    return jsonOf({ name, code, message, reason, ...rest });
  }
}

/** An error of any package of this project. */
export type AnyInstarError = Error & { readonly code: string; toJSON(): unknown };

/** Whether something that was thrown is an error of this project, also where it comes from another copy of a package. */
export function isInstarError(error: unknown): error is AnyInstarError {
  return typeof error === 'object' && error !== null && MARK in error && error[MARK] === true;
}
