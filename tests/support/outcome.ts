import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import type { Finished } from './command.js';
import type { Ran } from './in-process.js';
import { qemuImg } from './qemu-img.js';
import type { Workdir } from './workdir.js';

/** What counts when two dd are compared. */
export interface Outcome {
  readonly status: number | null;
  /** Whether the window was said to begin behind the end. */
  readonly warned: boolean;
  /** Bytes of the output file; for qcow2 each program lays out its own, so there it is undefined. */
  readonly length: number | undefined;
  /** The bytes, as a digest. */
  readonly digest: string | undefined;
}

const SKIP_WARNING = 'cannot skip to specified offset';

function outcome(directory: Workdir, file: string, status: number | null, warned: boolean): Outcome {
  if (status !== 0 || file.endsWith('.qcow2')) return { status, warned, length: undefined, digest: undefined };
  const bytes = directory.read(file);
  return { status, warned, length: bytes.length, digest: createHash('sha256').update(bytes).digest('hex') };
}

/** Of an `instar dd` in the test process. */
export function ourOutcome(directory: Workdir, file: string, ran: Ran): Outcome {
  return outcome(
    directory,
    file,
    ran.status,
    ran.warnings.some((warning) => warning.includes(SKIP_WARNING)),
  );
}

/** Of a program that has ended. */
export function outcomeOf(directory: Workdir, file: string, finished: Finished): Outcome {
  return outcome(directory, file, finished.status, finished.stderr.includes(SKIP_WARNING));
}

/** What is wrong with our qcow2 file beside theirs: size, bytes, allocation, consistency. Empty when nothing is. */
export function qcow2Differences(directory: Workdir, ours: string, theirs: string): string {
  const compared = qemuImg('compare', '-s', '-f', 'qcow2', '-F', 'qcow2', ours, theirs).in(directory).run();
  const checked = qemuImg('check', '-f', 'qcow2', ours).in(directory).run();
  return [compared, checked]
    .filter((finished) => finished.status !== 0)
    .map((finished) => `${finished.command}: ${finished.stdout}${finished.stderr}`)
    .join('');
}

/** Bytes that a file takes on its file system. */
export function allocatedBytes(file: string): number {
  return statSync(file).blocks * 512;
}

/** Virtual size that an image declares, as qemu-img reads it. */
export function declaredSize(directory: Workdir, file: string, format: string): number {
  const { stdout } = qemuImg('info', '-f', format, '--output=json', file).in(directory).must();
  return (JSON.parse(stdout) as { 'virtual-size': number })['virtual-size'];
}
