import { EngineError, isRemoteName } from '@instar/engine';
import { closeFile, createOutput, HostFileError, identity, openFile, statFile } from '@instar/host-files';
import { constants, write } from 'node:fs';
import { promisify } from 'node:util';
import { standardOutput } from '../process/standard-streams.js';

const writeAt = promisify(write);

async function identityOf(file: string): Promise<{ readonly identity: string; readonly path: string }> {
  const fd = await openFile(file, constants.O_RDONLY);
  try {
    return { identity: identity(statFile(fd)), path: file };
  } finally {
    await closeFile(fd);
  }
}

/**
 * Writes a text to a file that appears when it is complete; `-` is standard output.
 * @param inputs files that must not be replaced; URLs are none
 * @throws EngineError
 */
export async function writeText(path: string, text: string, inputs: readonly string[]): Promise<void> {
  if (path === '-') {
    standardOutput.write(text);
    return;
  }
  const bytes = Buffer.from(text);
  try {
    const request = {
      path,
      limit: BigInt(bytes.length),
      sparse: false,
      noClobber: false,
      forceShare: 'never' as const,
      force: false,
    };
    const known = await Promise.all(inputs.filter((name) => !isRemoteName(name)).map(identityOf));
    const output = await createOutput({ ...request, filesOnly: true, inputs: known });
    try {
      let done = 0;
      while (done < bytes.length) {
        const { bytesWritten } = await writeAt(
          output.fd,
          bytes,
          done,
          bytes.length - done,
          Number(output.start) + done,
        );
        done += bytesWritten;
      }
      await output.finish(BigInt(bytes.length));
    } catch (error) {
      await output.abandon();
      throw error;
    }
  } catch (error) {
    if (!(error instanceof HostFileError)) throw error;
    throw new EngineError(error.code, error.problem, { file: error.file, cause: error.cause ?? error });
  }
}
