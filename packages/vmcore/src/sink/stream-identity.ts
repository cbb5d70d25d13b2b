import { identity, kindOf, statFile } from '@instar/host-files';
import { VmcoreError } from '../errors.js';
import type { NamedInput } from '../source/byte-source.js';

/** The file that a stream of Node reads or writes (`… < dump`); undefined for pipes, sockets and what is no file. */
export function streamIdentity(stream: object): string | undefined {
  if (!('fd' in stream) || typeof stream.fd !== 'number' || stream.fd < 0) return undefined;
  try {
    const status = statFile(stream.fd);
    return kindOf(status) === 'file' ? identity(status) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Refuses a stream that writes over what is read.
 * @throws VmcoreError `SAME_FILE`
 */
export function checkStream(stream: object, inputs: readonly NamedInput[]): void {
  const written = streamIdentity(stream);
  const same = written === undefined ? undefined : inputs.find((input) => input.identity === written);
  if (same === undefined) return;
  const problem = 'is also what the output is written to; writing it would destroy the data';
  throw new VmcoreError('SAME_FILE', problem, { file: same.path });
}
