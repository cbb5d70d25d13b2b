import { realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { CommandLine, Finished } from './command.js';
import { ROOT } from './command.js';
import type { Workdir } from './workdir.js';

const CALLS = 'open,openat,openat2,connect,socket';
const TRACE = '.strace';

/** What a program, its threads and its children opened. */
export interface Traced {
  readonly finished: Finished;
  /** Paths that were opened, with success or not, without those that any node program opens. */
  readonly opened: readonly string[];
  /** Calls of socket and connect. */
  readonly sockets: readonly string[];
}

/** Where node, its libraries and our own program lie; what is there is no concern of an image. */
function belongsToTheProgram(path: string): boolean {
  const places = [ROOT, '/usr/', '/lib', '/opt/', '/etc/ssl/', '/proc/', '/sys/', '/dev/kvm', process.execPath];
  const files = ['/etc/ld.so.cache', '/etc/localtime', '/dev/null', '/dev/urandom'];
  const ancestors = ['/', realpathSync(tmpdir()), tmpdir()];
  return places.some((place) => path.startsWith(place)) || [...files, ...ancestors].includes(path);
}

/** Runs a command in a directory under strace. */
export function traced(command: CommandLine, directory: Workdir): Traced {
  const trace = `${directory.path}${TRACE}`;
  const strace = ['strace', '-f', '--seccomp-bpf', '-qq', '-s', '4096', '-e', `trace=${CALLS}`, '-o', trace];
  const finished = command
    .under(...strace)
    .in(directory)
    .run();
  const lines = directory.readOutside(trace).split('\n');
  const opened = new Set<string>();
  for (const line of lines) {
    const path = /\bopen(?:at2?)?\((?:[^,"]+, )?"((?:[^"\\]|\\.)*)"/.exec(line)?.[1];
    if (path !== undefined && !belongsToTheProgram(path)) opened.add(path);
  }
  return {
    finished,
    opened: [...opened].sort(),
    sockets: lines.filter((line) => /\b(?:socket|connect)\(/.test(line)),
  };
}
