import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, linkSync, mkdirSync, statSync } from 'node:fs';
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest';
import { INSTAR, program, type Finished } from '../support/command.js';
import { skipWithoutRight } from '../support/judge.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const CONTENT = noise(300_032, 5);
const OLD = 'what was there before, and longer than nothing\n';
const NOBODY = 65_534;
const KEPT = /^instar: dd: warning: out\.raw: is written in place, and its old content cannot be kept [^\n]+\n$/;

function withInput(): Workdir {
  const directory = workdir().write('in.raw', CONTENT);
  chmodSync(directory.path, 0o755);
  return directory;
}

function requireRoot(context: TestContext): void {
  if (process.geteuid?.() !== 0) skipWithoutRight(context, 'only root can prepare files of other users and mounts');
}

/** `instar dd` of the input, started in a way that the test chooses. */
function copy(directory: Workdir, before: readonly string[], ...operands: readonly string[]): Finished {
  const words = [process.execPath, INSTAR, 'dd', '-f', 'raw', 'if=in.raw', ...operands];
  return program(...before, ...words)
    .in(directory)
    .run();
}

function shell(directory: Workdir, script: string): Finished {
  return program('bash', '-c', script, 'bash', process.execPath, INSTAR).in(directory).run();
}

/** Another user who owns nothing. */
const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];

describe('an output that is reached through an open descriptor', () => {
  it.for([
    ['of /dev/fd', '/dev/fd/7'],
    ['of /proc/self/fd', '/proc/self/fd/7'],
  ])('%s gets the bytes, and who has it open finds them', ([, name]) => {
    const directory = withInput();
    const told = shell(
      directory,
      `exec 7<>kept.raw; "$1" "$2" dd -f raw if=in.raw of=${String(name)} && cmp - in.raw <&7`,
    );
    expect([told.status, told.stderr, told.stdout]).toEqual([0, '', '']);
    expect(statSync(directory.file('kept.raw')).size).toBe(CONTENT.length);
  });

  it('whose file is deleted gets the bytes as well, and no file appears', () => {
    const directory = withInput();
    const script = 'exec 7<>gone; rm gone; "$1" "$2" dd -f raw if=in.raw of=/dev/fd/7 && cmp - in.raw <&7';
    expect(shell(directory, script).status).toBe(0);
    expect(directory.names()).toEqual(['in.raw']);
  });

  it('is a stream where the shell has written to it before', () => {
    const directory = withInput();
    const script = '{ printf head; "$1" "$2" dd -f raw if=in.raw of=/dev/stdout; printf tail; } >out.raw';
    expect(shell(directory, script).status).toBe(0);
    const expected = Buffer.concat([Buffer.from('head'), CONTENT, Buffer.from('tail')]);
    expect(directory.read('out.raw').equals(expected)).toBe(true);
  });

  it('and an input that is a pipe are streams', () => {
    const directory = withInput();
    const script = 'cat in.raw | "$1" "$2" dd if=/dev/stdin of=/dev/stdout | cmp - in.raw';
    expect(shell(directory, script)).toMatchObject({ status: 0, stderr: '' });
  });
});

describe('a file that a rename would damage is written in place, and a warning says so', () => {
  it('with a second name, which gets the new content', () => {
    const directory = withInput().write('out.raw', OLD);
    linkSync(directory.file('out.raw'), directory.file('second.raw'));
    const told = copy(directory, [], 'of=out.raw');
    expect([told.status, told.stderr]).toEqual([0, expect.stringMatching(KEPT)]);
    expect(told.stderr).toContain('hard links');
    expect(directory.read('second.raw').equals(CONTENT)).toBe(true);
  });

  it('that was longer, and is cut', () => {
    const directory = withInput().write('out.raw', Buffer.alloc(500_000, 1));
    linkSync(directory.file('out.raw'), directory.file('second.raw'));
    expect(copy(directory, [], 'of=out.raw', 'conv=sparse').status).toBe(0);
    expect(directory.read('second.raw').equals(CONTENT)).toBe(true);
  });

  it('that is mounted there', (context) => {
    requireRoot(context);
    const directory = withInput().write('out.raw', OLD).write('host.raw', OLD);
    const script = 'mount --bind host.raw out.raw || exit 77; exec "$@"';
    const told = copy(
      directory,
      ['unshare', '-m', '--propagation', 'private', 'bash', '-c', script, 'bash'],
      'of=out.raw',
    );
    if (told.status === 77) skipWithoutRight(context, 'mounts are not allowed here');
    expect([told.status, told.stderr]).toEqual([0, expect.stringMatching(KEPT)]);
    expect(directory.read('host.raw').equals(CONTENT)).toBe(true);
  });

  it.for([
    ['in a directory that the user may not write', 0o755, NOBODY, 0o644],
    ['of another user in a shared directory', 0o1777, 0, 0o666],
  ] as const)('%s', ([, folder, owner, mode], context) => {
    requireRoot(context);
    const directory = withInput().write('place/out.raw', OLD);
    chmodSync(directory.file('place'), folder);
    chownSync(directory.file('place/out.raw'), owner, owner);
    chmodSync(directory.file('place/out.raw'), mode);
    const told = copy(directory, AS_NOBODY, 'of=place/out.raw', '--sandbox=process');
    expect(told.stderr).toMatch(/place\/out\.raw: is written in place/);
    expect(directory.read('place/out.raw').equals(CONTENT)).toBe(true);
    expect(statSync(directory.file('place/out.raw')).uid).toBe(owner);
  });

  it('of a group that the user is not in', (context) => {
    requireRoot(context);
    const directory = withInput().write('place/out.raw', OLD);
    chownSync(directory.file('place'), NOBODY, NOBODY);
    chownSync(directory.file('place/out.raw'), NOBODY, 12_345);
    const told = copy(directory, AS_NOBODY, 'of=place/out.raw', '--sandbox=process');
    expect([told.status, statSync(directory.file('place/out.raw')).gid]).toEqual([0, 12_345]);
    expect(directory.read('place/out.raw').equals(CONTENT)).toBe(true);
  });

  it('where there is no room for two', (context) => {
    requireRoot(context);
    const directory = withInput();
    mkdirSync(directory.file('small'));
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=480k', 'tmpfs', directory.file('small')]);
    if (mounted.status !== 0) skipWithoutRight(context, 'mounts are not allowed here');
    onTestFinished(() => {
      spawnSync('umount', [directory.file('small')]);
    });
    directory.write('small/out.raw', Buffer.alloc(310_000, 'x'));
    const told = copy(directory, [], 'of=small/out.raw');
    expect(told.stderr).toMatch(
      /small\/out\.raw: is written in place[^\n]+no room for the old file and the new one\n$/,
    );
    expect(directory.read('small/out.raw').equals(CONTENT)).toBe(true);
  });

  it('and is empty, which is said, when the copy fails', () => {
    const directory = workdir().write('out.raw', OLD);
    linkSync(directory.file('out.raw'), directory.file('second.raw'));
    const told = shell(directory, 'ulimit -f 64; head -c 200000 /dev/zero | "$1" "$2" dd if=- of=out.raw');
    expect(told.status).toBe(1);
    expect(told.stderr).toMatch(
      /^instar: dd: warning: out\.raw: is written in place[^\n]+\n[^]*out\.raw: is empty now/,
    );
    expect(directory.read('second.raw')).toHaveLength(0);
  });
});
