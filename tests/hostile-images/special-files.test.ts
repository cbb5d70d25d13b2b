import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';

import { instar } from '../support/command.js';
import { noise } from '../support/random.js';
import { bounded, expectOneLine } from '../support/refusal.js';
import { workdir, type Workdir } from '../support/workdir.js';

/** A directory with one of each kind of file. */
async function kinds(): Promise<Workdir> {
  const directory = workdir().write('in.raw', noise(512));
  mkdirSync(directory.file('directory'));
  execFileSync('mkfifo', [directory.file('fifo')]);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(directory.file('socket'), resolve));
  onTestFinished(() => {
    server.close();
  });
  return directory;
}

describe('a file that is no image file is refused by name, without waiting for anything', () => {
  it.for<[file: string, said: RegExp]>([
    [
      '/dev/zero',
      /\/dev\/zero: is a character device, not an image file; a stream is read by dd with if=-, by convert with -/,
    ],
    ['/dev/null', /\/dev\/null: is a character device, not an image file/],
    ['directory', /directory: is a directory, not an image file/],
    ['fifo', /fifo: is a FIFO, not an image file; a stream is read by dd with if=-, by convert with -/],
    ['socket', /socket: cannot be opened: no such device \(ENXIO\)|socket: is a socket, not an image file/],
    ['/proc/self/mem', /\/proc\/self\/mem: /],
  ])('%s as an input', async ([file, said]) => {
    const directory = await kinds();
    const dd = bounded(instar('dd', `if=${file}`, 'of=out.raw'), directory);
    if (file !== '/proc/self/mem') {
      expectOneLine(dd, 'dd');
      expect(dd.stderr).toMatch(said);
      expect(directory.names()).not.toContain('out.raw');
    }
    const info = bounded(instar('info', file), directory);
    if (file !== '/proc/self/mem') {
      expectOneLine(info, 'info');
      expect(info.stderr).toMatch(said);
    }
  });

  it.for<[file: string, said: RegExp]>([
    [
      '/dev/full',
      /is a character device, not a file that can be written; a stream is written by dd with of=-, by convert with -/,
    ],
    ['directory', /is a directory, not a file that can be written/],
    ['fifo', /is a FIFO, not a file that can be written; a stream is written by dd with of=-, by convert with -/],
    ['socket', /is a socket, not a file that can be written/],
  ])('%s as an output', async ([file, said]) => {
    const directory = await kinds();
    const kind = statSync(file.startsWith('/') ? file : directory.file(file)).mode;
    for (const more of [[], ['seek=1'], ['-O', 'qcow2']]) {
      const dd = bounded(instar('dd', 'if=in.raw', `of=${file}`, ...more), directory);
      expectOneLine(dd, 'dd');
      expect(dd.stderr).toMatch(said);
    }
    expect(statSync(file.startsWith('/') ? file : directory.file(file)).mode).toBe(kind);
  });

  it('/dev/zero is read where a stream is asked for, up to count=', () => {
    const directory = workdir();
    execFileSync(
      'sh',
      ['-c', `"$0" "$@" < /dev/zero`, ...instar('dd', 'if=-', 'of=out.raw', 'bs=1M', 'count=3').words],
      {
        cwd: directory.path,
      },
    );
    expect(directory.read('out.raw').equals(Buffer.alloc(3 << 20))).toBe(true);
  });

  it('/dev/stdin in a pipe is the stream that it is', () => {
    const directory = workdir().write('in.raw', noise(70_000));
    const pipe = 'cat in.raw | "$@"';
    const finished = instar('dd', 'if=/dev/stdin', 'of=out.raw', 'osize=70000')
      .under('bash', '-c', pipe, 'bash')
      .in(directory)
      .run();
    expect(finished).toMatchObject({ status: 0, stderr: '' });
    expect(directory.read('out.raw').equals(noise(70_000))).toBe(true);
  });

  it('of=- into a full device fails in one line', () => {
    const directory = workdir().write('in.raw', noise(100_000));
    const finished = instar('dd', 'if=in.raw', 'of=-')
      .under('sh', '-c', 'exec "$@" > /dev/full', 'sh')
      .in(directory)
      .run();
    expect(finished.status).toBe(1);
    expect(finished.stderr).toMatch(/^instar: dd: [^\n]*no space left on device \(ENOSPC\)\n$/);
  });

  it('of=- into a closed pipe ends quietly or in one line', () => {
    const directory = workdir().write('in.raw', noise(3_000_000));
    const pipe = 'set -o pipefail; "$@" | head -c 10 > /dev/null';
    const finished = instar('dd', 'if=in.raw', 'of=-').under('bash', '-c', pipe, 'bash').in(directory).run();
    expect(finished.stderr).toMatch(/^(?:instar: dd: [^\n]*the reader of the output is gone \(EPIPE\)\n)?$/);
  });
});
