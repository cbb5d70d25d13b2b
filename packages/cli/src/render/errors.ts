import { describeSystemError, EngineError, escapeText, systemErrorName } from '@instar/engine';
import { OperandError } from '@instar/operands';
import type { SpokenError, Voice } from '../voice.js';
import { recordText } from './record.js';
import { standardError, type OutputStream } from '../process/standard-streams.js';

/** An error as a record for `--json`. */
export function errorRecord(command: string, error: unknown): object {
  const { code, message } = advised(error);
  const location = error instanceof EngineError ? error.location : undefined;
  const other = error instanceof Error && error.name === 'VmcoreError' ? dumpPlace(error) : {};
  const { file, limit } = error instanceof EngineError ? error : {};
  const token = error instanceof OperandError ? error.token : undefined;
  return { error: { command, code, message, file, location, limit, token, ...other } };
}

/** Where in a dump an error is, as its class has it. */
function dumpPlace(error: Error): object {
  const { file, field, offset, found, expected } = error as Error & Readonly<Record<string, unknown>>;
  return { file, field, offset, found, expected };
}

/** Errors of packages that one command only has loaded; names in their messages are not escaped. */
const OTHER_ERRORS = new Set(['LayoutError', 'ExtractError', 'VmcoreError', 'JobsError']);

/** What node's permission model (`node --permission`) refuses, with the file where one is meant. */
function refusedByNode(error: unknown): { readonly code: string; readonly message: string } | undefined {
  if (!(error instanceof Error && 'code' in error && error.code === 'ERR_ACCESS_DENIED')) return undefined;
  const { permission = '', resource = '' } = error as { readonly permission?: unknown; readonly resource?: unknown };
  const file = resource === '' ? '' : `${escapeText(String(resource))}: `;
  const what = permission === '' ? '' : ` (${escapeText(String(permission))})`;
  return {
    code: error.code,
    message: `${file}node's permission model refuses this${what}; allow it, or start node without that`,
  };
}

function describe(error: unknown): { readonly code: string; readonly message: string } {
  if (error instanceof EngineError || error instanceof OperandError)
    return { code: error.code, message: error.message };
  if (error instanceof Error && OTHER_ERRORS.has(error.name) && 'code' in error) {
    return { code: String(error.code), message: escapeText(error.message) };
  }
  const name = systemErrorName(error);
  if (name !== undefined) {
    const file = error instanceof Error && 'path' in error ? `${escapeText(String(error.path))}: ` : '';
    return { code: name, message: `${file}${describeSystemError(name)}` };
  }
  const refused = refusedByNode(error);
  if (refused !== undefined) return refused;
  const text = error instanceof Error ? error.message : String(error);
  const line = text.split('\n')[0] ?? '';
  return { code: 'INTERNAL', message: `internal error, please report it: ${escapeText(line)}` };
}

/** The same, with the option that helps where a limit was met that nobody has asked for. */
function advised(error: unknown): ReturnType<typeof describe> {
  const { code, message } = describe(error);
  if (!(error instanceof EngineError && error.limit === 'noProgressMs')) return { code, message };
  const what = 'making a key of many iterations, or a disk that does not answer, may take longer';
  return { code, message: `${message}; ${what}: --limit-idle allows for that` };
}

/** One line for people. */
export function errorLine(command: string, error: unknown): string {
  return `instar: ${command}: ${advised(error).message}`;
}

/** An error as another program's voice needs it. */
function spoken(error: unknown): SpokenError {
  const { code, message } = describe(error);
  const file = error instanceof EngineError && error.file !== undefined ? escapeText(error.file) : undefined;
  const usage = error instanceof OperandError || (error instanceof EngineError && message.includes('; see instar '));
  const cause = error instanceof Error ? error.cause : undefined;
  return { code, message, file, system: systemErrorName(error) ?? systemErrorName(cause), usage };
}

/** Prints an error as a line on stderr, or as a record where `json` names a stream; or as another program would. */
export function printError(command: string, error: unknown, json: OutputStream | undefined, voice?: Voice): void {
  if (voice !== undefined) standardError.write(`${voice.error(command, spoken(error))}\n`);
  else if (json === undefined) standardError.write(`${errorLine(command, error)}\n`);
  else json.write(recordText(errorRecord(command, error)));
}
