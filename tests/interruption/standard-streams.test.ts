// What is printed arrives whole, whatever the standard streams are, or is told not to have arrived.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, afterAll, describe, expect, it } from 'vitest';
import { INSTAR, instar, program, shellWord } from '../support/command.js';
import { QEMU_IMG, requireJudge, skipLoudly } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { Workdir } from '../support/workdir.js';

/** Starts a program with a standard output of some kind, reads that slowly, and prints what arrived and how the program ended. */
const READER = `
import fcntl, json, os, pty, socket, subprocess, sys, time
kind, both, words = sys.argv[1], sys.argv[2] == 'both', sys.argv[3:]
if 'pipe' in kind:
    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, 1031, 4096) # F_SETPIPE_SZ
elif 'socket' in kind: ours, theirs = (end.detach() for end in socket.socketpair())
else: ours, theirs = pty.openpty()
if 'nonblocking' in kind:
    fcntl.fcntl(theirs, fcntl.F_SETFL, fcntl.fcntl(theirs, fcntl.F_GETFL) | os.O_NONBLOCK)
error = theirs if both else subprocess.PIPE
child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=theirs, stderr=error)
os.close(theirs)
found = b''
while True:
    try: some = os.read(ours, 4000)
    except OSError: break
    if not some: break
    found += some
    time.sleep(0.001)
status = child.wait()
if 'terminal' in kind: found = found.replace(b'\\r\\n', b'\\n')
told = '' if both else child.stderr.read().decode()
print(json.dumps({'status': status, 'stderr': told, 'stdout': found.decode()}))
`;

/** More than a pipe, a socket or a terminal takes at once. */
const CLUSTERS = 2000;

let directory: Workdir;

/** A disk of which every other cluster of 512 bytes has content. */
beforeAll(() => {
  directory = new Workdir();
  const content = Buffer.alloc(CLUSTERS * 512);
  for (let cluster = 0; cluster < CLUSTERS; cluster += 2)
    content.fill(1 + (cluster % 250), cluster * 512, cluster * 512 + 512);
  directory.write('content', content);
  directory.write('reader.py', READER);
});

afterAll(() => {
  directory.remove();
});

function disk(): void {
  const options = ['-S', '512', '-O', 'qcow2', '-o', 'cluster_size=512'];
  qemuImg('convert', '-f', 'raw', ...options, 'content', 'disk')
    .in(directory)
    .must();
}

interface Arrived {
  readonly status: number;
  readonly stderr: string;
  readonly stdout: string;
}

function through(kind: string, both: boolean, words: readonly string[]): Arrived {
  const { stdout } = program('python3', 'reader.py', kind, both ? 'both' : 'one', ...words)
    .in(directory)
    .must();
  return JSON.parse(stdout) as Arrived;
}

const hasPython = spawnSync('python3', ['--version']).status === 0;

describe('a long output arrives whole where it is read slowly', () => {
  it.for(['pipe', 'nonblocking pipe', 'socket', 'nonblocking socket', 'terminal', 'nonblocking terminal'])(
    'through a %s',
    (kind, context) => {
      requireJudge(context, QEMU_IMG);
      if (!hasPython) skipLoudly(context, 'python3 is not installed');
      disk();
      const judged = JSON.parse(qemuImg('map', '--output=json', 'disk').in(directory).must().stdout) as unknown[];
      const { status, stderr, stdout } = through(kind, false, instar('map', '--output=json', 'disk').words);
      expect([status, stderr]).toEqual([0, '']);
      expect(stdout.length).toBeGreaterThan(150_000);
      const fields = ({ start, length, zero, offset }: Record<string, unknown>): unknown => ({
        start,
        length,
        zero,
        offset,
      });
      expect((JSON.parse(stdout) as Record<string, unknown>[]).map(fields)).toEqual(
        (judged as Record<string, unknown>[]).map(fields),
      );
    },
  );

  it.for(['pipe', 'nonblocking pipe', 'nonblocking terminal'])('in one piece, through a %s', (kind, context) => {
    if (!hasPython) skipLoudly(context, 'python3 is not installed');
    const script = `${instar('completion', 'bash').toString()} >whole`;
    expect(spawnSync('bash', ['-c', script], { cwd: directory.path }).status).toBe(0);
    const whole = directory.read('whole').toString();
    expect(whole.length).toBeGreaterThan(40_000);
    expect(through(kind, false, instar('completion', 'bash').words)).toEqual({ status: 0, stderr: '', stdout: whole });
  });

  it.for(['pipe', 'nonblocking pipe', 'nonblocking terminal'])(
    'and an error behind it, where both streams are one %s',
    (kind, context) => {
      requireJudge(context, QEMU_IMG);
      if (!hasPython) skipLoudly(context, 'python3 is not installed');
      disk();
      const [node = '', entry = ''] = instar('map').words;
      const script = '"$@" disk; "$@" nowhere';
      const { status, stdout } = through(kind, true, ['bash', '-c', script, 'bash', node, entry, 'map']);
      expect(status).toBe(1);
      const lines = stdout.trimEnd().split('\n');
      expect(lines).toHaveLength(CLUSTERS / 2 + 2);
      expect(lines.at(-1)).toMatch(/^instar: map: nowhere: cannot be opened: no such file or directory \(ENOENT\)$/);
    },
  );
});

describe('an output that cannot be written is a failure', () => {
  const run = (words: readonly string[], redirection: string): { status: number | null; stderr: string } => {
    // As it is installed: the launcher sees what is closed, node does not.
    const script = `exec ${[INSTAR, ...words].map(shellWord).join(' ')} ${redirection}`;
    const { status, stderr } = spawnSync('bash', ['-c', script], { cwd: directory.path, encoding: 'utf8' });
    return { status, stderr };
  };

  it.for<readonly [line: string, status: number]>([
    ['map disk', 1],
    ['info --output=json disk', 1],
    ['check disk', 1],
    ['--help', 1],
    // 1 would say that they differ.
    ['compare disk disk', 2],
    ['compare disk content -F raw', 2],
    // That they differ is told by the code all the same.
    ['compare disk reader.py', 1],
  ])('%s ends with %i', ([line, status], context) => {
    requireJudge(context, QEMU_IMG);
    disk();
    const words = line.split(' ');
    expect(run(words, '>/dev/full')).toEqual({
      status,
      stderr: 'instar: standard output: cannot be written: no space left on device (ENOSPC)\n',
    });
    const closed = run(words, '>&-');
    expect(closed.status).toBe(status);
    expect(closed.stderr).toMatch(/^instar: standard output: cannot be written: the descriptor is closed[^\n]*\n$/);
    expect(run(words, '>/dev/full 2>/dev/full')).toEqual({ status, stderr: '' });
    expect(run(words, '>&- 2>&-')).toEqual({ status, stderr: '' });
  });

  it('but a closed standard error is none, where nothing was to be told', (context) => {
    requireJudge(context, QEMU_IMG);
    disk();
    for (const redirection of ['>/dev/null 2>&-', '>/dev/null 2>/dev/full', '>/dev/null <&-']) {
      expect(run(['map', 'disk'], redirection)).toEqual({ status: 0, stderr: '' });
    }
    // Nor gets a file that is opened meanwhile its number.
    expect(run(['convert', '-O', 'raw', 'disk', 'copy'], '>&- 2>&- <&-')).toEqual({ status: 0, stderr: '' });
    expect(directory.read('copy').equals(directory.read('content'))).toBe(true);
  });

  it('is appended to a file that is open for that', (context) => {
    requireJudge(context, QEMU_IMG);
    disk();
    writeFileSync(directory.file('list'), 'before\n');
    expect(run(['map', 'disk'], '>>list')).toEqual({ status: 0, stderr: '' });
    const { stdout } = instar('map', 'disk').in(directory).must();
    expect(readFileSync(directory.file('list'), 'utf8')).toBe(`before\n${stdout}`);
  });

  it('ends as a program does that SIGPIPE ends, where its reader goes away', (context) => {
    requireJudge(context, QEMU_IMG);
    disk();
    const command = instar('map', '--output=json', 'disk').toString();
    const script = `${command} 2>told | head -c 1 >/dev/null; echo "\${PIPESTATUS[0]}"`;
    const { stdout } = spawnSync('bash', ['-c', script], { cwd: directory.path, encoding: 'utf8' });
    expect(stdout).toBe('141\n');
    expect(directory.read('told').toString()).toBe('');
  });
});
