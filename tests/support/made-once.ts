// Files that many tests begin with: programs make them once, and each test gets copies.
import { Workdir } from './workdir.js';

/**
 * @param make puts files into an empty directory; it is called at the first use, once a file of tests
 * @returns what writes copies of those files into a directory
 */
export function madeOnce(make: (directory: Workdir) => void): (directory: Workdir) => Workdir {
  let files: ReadonlyMap<string, Buffer> | undefined;
  return (directory) => {
    if (files === undefined) {
      const made = new Workdir();
      try {
        make(made);
        files = new Map(made.names().map((name) => [name, made.read(name)]));
      } finally {
        made.remove();
      }
    }
    for (const [name, content] of files) directory.write(name, content);
    return directory;
  };
}
