import { existsSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { INSTAR, program, type Finished } from '../support/command.js';
import { skipWithoutRight } from '../support/judge.js';
import { Qcow2Builder } from '../support/qcow2-builder.js';
import { Workdir } from '../support/workdir.js';

let directory: Workdir;

const shell = (script: string, ...words: readonly string[]): Finished =>
  program('bash', '-c', script, 'bash', ...words)
    .in(directory)
    .run();

beforeAll(() => {
  directory = new Workdir();
  directory.write('in.qcow2', new Qcow2Builder().bytes).write('large.raw', Buffer.alloc(3 << 20, 1));
  return () => {
    directory.remove();
  };
});

const GIB = 1024 ** 3;
const KINDS = existsSync('/dev/kvm') ? ['auto', 'process'] : ['process'];

describe('limits of the process', () => {
  for (const sandbox of KINDS) {
    it(`the command works in 1 GiB of address space and 30 s of CPU (${sandbox})`, () => {
      const limits = ['prlimit', `--as=${GIB}`, '--cpu=30'];
      const info = program(...limits, INSTAR, 'info', `--sandbox=${sandbox}`, 'in.qcow2')
        .in(directory)
        .run();
      expect([info.status, info.stderr]).toEqual([0, '']);
      const dd = program(...limits, INSTAR, 'dd', `--sandbox=${sandbox}`, 'if=in.qcow2', 'of=out.raw')
        .in(directory)
        .run();
      expect([dd.status, dd.stderr]).toEqual([0, '']);
      directory.delete('out.raw');
    });
  }

  it('a limit of files that leaves no room for the memory of a guest is no sandbox that can be used', () => {
    const words = ['--fsize=65536', INSTAR, 'info', '--sandbox=process', 'in.qcow2'];
    const { status, stderr } = program('prlimit', ...words)
      .in(directory)
      .run();
    expect(status).toBe(1);
    expect(stderr).toMatch(/^instar: info: the process sandbox cannot be used: [^\n]*File too large[^\n]*\n$/);
  });

  it('memory for keys that finds no place in the address space is named, with what to do', () => {
    const limited = (...words: readonly string[]): ReturnType<typeof program> =>
      program('prlimit', `--as=${GIB}`, INSTAR, ...words, 'in.qcow2', 'out.luks').in(directory);
    const words = ['convert', '-O', 'luks', '-o', 'iter-time=10', '--object', 'secret,id=key,data=of a test'];
    const { status, stderr } = limited(...words).run();
    expect(status).toBe(1);
    expect(stderr).toMatch(/^instar: [^\n]*set aside for making keys[^\n]*--limit-key-memory 64M[^\n]*\n$/);
    limited(...words, '--limit-key-memory', '64M').must();
    directory.delete('out.luks');
  });

  it('too little address space is named, with what to do', () => {
    const words = ['prlimit', `--as=800000000`, process.execPath, INSTAR, 'info', 'in.qcow2'];
    const { status, stderr } = program(...words)
      .in(directory)
      .run();
    expect(status).not.toBe(0);
    // Node itself may be what does not start.
    if (stderr.startsWith('instar:'))
      expect(stderr).toMatch(
        /^(?:instar: \w+: warning: [^\n]*\n)*instar: [^\n]*(?:RLIMIT_AS|ulimit -v|RLIMIT_NPROC)[^\n]*\n$/,
      );
  });

  it.each([24, 23, 22, 21, 20, 19])('%i open files either do, or are named', (count) => {
    const { status, stderr } = shell(
      `ulimit -n ${count}; "$@"`,
      process.execPath,
      INSTAR,
      'dd',
      'if=in.qcow2',
      'of=out.raw',
    );
    if (status === 0) expect(stderr).toBe('');
    else expect(stderr).toMatch(/^(?:instar: dd: warning: [^\n]*\n)*instar: [^\n]*ulimit -n[^\n]*\n$/);
    directory.delete('out.raw');
    expect(directory.names()).toEqual(['in.qcow2', 'large.raw']);
  });

  it('a file that may not be so large is no success, and nothing is left', () => {
    // In blocks of 1024 bytes.
    const { status, stderr } = shell(
      'ulimit -f 1024; "$@"',
      process.execPath,
      INSTAR,
      'dd',
      'if=large.raw',
      'of=out.raw',
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(/^instar: dd: out\.raw: [^\n]*\(EFBIG\)\n$/);
    expect(directory.names()).toEqual(['in.qcow2', 'large.raw']);
  });

  it('an empty /dev is named', (context) => {
    const mounted = shell('unshare -m --propagation private mount -t tmpfs tmpfs /dev');
    if (mounted.status !== 0) skipWithoutRight(context, 'may not mount');
    const script = 'mount -t tmpfs tmpfs /dev && exec "$@"';
    const words = ['unshare', '-m', '--propagation', 'private', 'bash', '-c', script, 'bash', process.execPath, INSTAR];
    const { status, stderr } = program(...words, 'dd', 'if=large.raw', 'of=out.raw')
      .in(directory)
      .run();
    if (status !== 0)
      expect(stderr).toMatch(/^(?:instar: dd: warning: [^\n]*\n)?instar: dd: [^\n]*\/dev\/null is missing[^\n]*\n$/);
    directory.delete('out.raw');
  });
});
