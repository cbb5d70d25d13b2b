import { createHash } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A directory of its own for a test or a group of tests. */
export class Workdir {
  readonly path: string;

  /** @param below the directory that it is made in */
  constructor(below = tmpdir()) {
    this.path = mkdtempSync(join(below, 'instar-e2e-'));
  }

  /** Absolute path of a file in it. */
  file(name: string): string {
    return join(this.path, name);
  }

  /** Writes a file, with its directories. */
  write(name: string, content: Uint8Array | string): this {
    const file = this.file(name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    return this;
  }

  read(name: string): Buffer {
    return readFileSync(this.file(name));
  }

  /** Reads a text file beside it and deletes that. */
  readOutside(file: string): string {
    const text = readFileSync(file, 'utf8');
    rmSync(file);
    return text;
  }

  /** Names of what lies in it, sorted. */
  names(below = '.'): string[] {
    return readdirSync(this.file(below)).sort();
  }

  /** Digest of each file by its name: what must be the same when nothing may have changed. */
  digests(): Record<string, string> {
    const files = this.names().filter((name) => statSync(this.file(name)).isFile());
    return Object.fromEntries(files.map((name) => [name, createHash('sha256').update(this.read(name)).digest('hex')]));
  }

  /** Lets no file change its blocks any more: a file system may allocate them long after the write. */
  settle(): void {
    for (const name of this.names().filter((name) => statSync(this.file(name)).isFile())) {
      const descriptor = openSync(this.file(name), 'r');
      fsyncSync(descriptor);
      closeSync(descriptor);
    }
  }

  /** Deletes a file, if it is there. */
  delete(name: string): void {
    rmSync(this.file(name), { force: true });
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A directory that goes away with the running test. @param below the directory that it is made in */
export function workdir(below?: string): Workdir {
  const directory = new Workdir(below);
  onTestFinished(() => {
    directory.remove();
  });
  return directory;
}
