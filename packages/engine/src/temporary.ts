import { createNamelessFile, escapeText, HostFileError, reasonOf } from '@instar/host-files';
import { tmpdir } from 'node:os';
import { EngineError } from './errors.js';

/** Where temporary files are, for messages. */
export function temporaryPlace(): string {
  return `a temporary file in ${tmpdir()}`;
}

/**
 * A file without a name, for what goes with its descriptor, which the caller closes.
 * @param beside a file whose directory serves as well where there is none for temporary files
 * @throws EngineError `WRITE_FAILED`
 */
export async function openTemporary(beside?: string): Promise<number> {
  try {
    return await createNamelessFile(`${tmpdir()}/instar`);
  } catch (error) {
    const other = beside === undefined ? undefined : await createNamelessFile(beside).catch(() => undefined);
    if (other !== undefined) return other;
    const cause = error instanceof HostFileError && error.cause !== undefined ? error.cause : error;
    const what = `cannot be made: ${escapeText(reasonOf(cause))}; name another directory with TMPDIR`;
    throw new EngineError('WRITE_FAILED', what, { file: temporaryPlace(), cause });
  }
}
