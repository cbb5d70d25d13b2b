import { resolveName } from './resolve.js';
import { createTemporary } from './temporary-file.js';

const OWNER_ONLY = 0o600;

/**
 * A file without a name, in the directory of another file: it goes with its descriptor, which the caller closes.
 * @param beside name of the file that the directory must have room for
 * @throws HostFileError, or a system error where no file can be made there
 */
export async function createNamelessFile(beside: string): Promise<number> {
  const name = resolveName(beside);
  try {
    const temporary = await createTemporary(name, OWNER_ONLY, false);
    temporary.discard();
    return temporary.fd;
  } finally {
    name.close();
  }
}
