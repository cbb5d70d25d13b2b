import { closeSync, existsSync, openSync, rmSync, statSync } from 'node:fs';
import { spawnSync } from 'node:child_process';

import { ReaderRefusal, complaint, limited } from './reading.js';

/** makedumpfile may exit with 0 and leave nothing, so the files are what counts. */
function produced(outputs: readonly string[], words: readonly string[]): void {
  for (const output of outputs) rmSync(output, { force: true });
  const finished = limited(['makedumpfile', ...words]);
  const all = `${finished.stderr}\n${finished.stdout}`;
  // `timeout` ends as its program did.
  if (finished.signal !== null) throw new ReaderRefusal('makedumpfile', `crashes: ${finished.signal}`);
  for (const output of outputs) {
    if (!existsSync(output) || statSync(output).size === 0 || !all.includes('ompleted')) {
      throw new ReaderRefusal('makedumpfile', reason(complaint(finished), all));
    }
  }
}

/** "makedumpfile Failed." says nothing; the line before it does. Names of temporary files differ each time. */
function reason(last: string, all: string): string {
  const lines = all.split(/[\r\n]+/).filter((line) => /^[a-z_]+: /.test(line));
  return (lines.at(-1)?.trim() ?? last).replace(/(vmcoreinfo)\w{6}\b/, '$1…');
}

/** Writes a dump anew: `flags` are those of makedumpfile, such as `-c -d 1`. */
export function convertWithMakedumpfile(input: string, output: string, flags: readonly string[]): void {
  produced([output], ['-f', ...flags, input, output]);
}

/** `-R`: the file that a flattened stream stands for. */
export function rearrange(flattened: string, output: string): void {
  rmSync(output, { force: true });
  const stream = openSync(flattened, 'r');
  try {
    const words = ['--kill-after=2', '40', 'makedumpfile', '-R', output];
    const { stderr, stdout } = spawnSync('timeout', words, { stdio: [stream, 'pipe', 'pipe'], encoding: 'utf8' });
    if (!existsSync(output) || !`${stdout}${stderr}`.includes('Completed')) {
      throw new ReaderRefusal('makedumpfile', reason(stderr.trim(), stderr));
    }
  } finally {
    closeSync(stream);
  }
}

/** `-F`: a flattened stream into a file. */
export function flattenWithMakedumpfile(input: string, output: string, flags: readonly string[]): void {
  rmSync(output, { force: true });
  const stream = openSync(output, 'w');
  try {
    const words = ['--kill-after=2', '40', 'makedumpfile', '-F', ...flags, input];
    const { stderr } = spawnSync('timeout', words, { stdio: ['ignore', stream, 'pipe'], encoding: 'utf8' });
    if (!stderr.includes('Completed') && !stderr.includes('completed')) {
      throw new ReaderRefusal('makedumpfile', reason(stderr.trim(), stderr));
    }
  } finally {
    closeSync(stream);
  }
}

/** `--split`: one dump in several files. */
export function splitWithMakedumpfile(input: string, outputs: readonly string[], flags: readonly string[]): void {
  produced(outputs, ['--split', ...flags, input, ...outputs]);
}

/** `--reassemble`: several files of one dump in one. */
export function reassemble(inputs: readonly string[], output: string): void {
  produced([output], ['--reassemble', ...inputs, output]);
}
