import type { ErrorCodeHelp } from '../src/error-codes.js';

/** The text of docs/errors.md. */
export function errorPage(codes: ReadonlyMap<string, ErrorCodeHelp>): string;
