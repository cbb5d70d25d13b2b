import { spawn } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import type { Workdir } from './workdir.js';

/** The byte that QEMU locks in a file which it writes (block/file-posix.c). */
const WRITTEN = 101;

/** Whether somebody writes to a file. Nothing is locked to find that out: a qemu-img that asked could keep the holder from its locks. */
function isHeld(file: string): boolean {
  const inode = `:${statSync(file).ino}`;
  return readFileSync('/proc/locks', 'latin1')
    .split('\n')
    .some((line) => {
      const [, , , , , place = '', start = '', end = ''] = line.split(/\s+/);
      return place.endsWith(inode) && Number(start) <= WRITTEN && Number(end) >= WRITTEN;
    });
}

/** Has qemu-io hold an image as a running machine does, with `files` beside it, until the test is over. */
export async function holdImage(directory: Workdir, image: string, ...files: readonly string[]): Promise<void> {
  const holder = spawn('qemu-io', ['-c', 'sleep 60000', image], { cwd: directory.path, stdio: 'ignore' });
  onTestFinished(() => {
    holder.kill('SIGKILL');
  });
  for (let tries = 0; tries < 1000; tries += 1) {
    if ([image, ...files].every((file) => isHeld(directory.file(file)))) return;
    await sleep(20);
  }
  throw new Error(`qemu-io does not hold ${image}`);
}
