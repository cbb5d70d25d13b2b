import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest';
import { INSTAR, instar, program, type Finished } from '../support/command.js';
import { requireJudge, skipLoudly, skipWithoutRight, STRACE } from '../support/judge.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const CONTENT = noise(66_048, 9);
const OLD = 'must stay as it is\n';
const NOBODY = 65_534;

function withInput(): Workdir {
  const directory = workdir().write('in.raw', CONTENT);
  chmodSync(directory.path, 0o755);
  return directory;
}

function requireRoot(context: TestContext): void {
  if (process.geteuid?.() !== 0) skipWithoutRight(context, 'only root can prepare files of other users and devices');
}

function copy(directory: Workdir, ...operands: readonly string[]): Finished {
  return instar('dd', '-f', 'raw', 'if=in.raw', ...operands)
    .in(directory)
    .run();
}

describe('an output that the user may not write', () => {
  it.for([
    ['write-protected', NOBODY, 0o444],
    ["another user's", 0, 0o644],
  ] as const)('is refused and untouched: %s', ([, owner, mode], context) => {
    requireRoot(context);
    const directory = withInput().write('place/out.raw', OLD);
    chownSync(directory.file('place'), NOBODY, NOBODY);
    chownSync(directory.file('place/out.raw'), owner, owner);
    chmodSync(directory.file('place/out.raw'), mode);
    const words = [process.execPath, INSTAR, 'dd', '-f', 'raw', 'if=in.raw', 'of=place/out.raw', '--sandbox=process'];
    const told = program('setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', ...words)
      .in(directory)
      .run();
    expect(told.stderr).toBe(
      'instar: dd: place/out.raw: exists and cannot be opened for writing: permission denied (EACCES)\n',
    );
    expect([told.status, directory.read('place/out.raw').toString()]).toEqual([1, OLD]);
    expect(directory.names('place')).toEqual(['out.raw']);
  });
});

describe('an output that is replaced', () => {
  it('keeps its owner, and loses setuid', (context) => {
    requireRoot(context);
    const directory = withInput().write('out.raw', OLD);
    chownSync(directory.file('out.raw'), 1234, 4321);
    chmodSync(directory.file('out.raw'), 0o4754);
    const before = statSync(directory.file('out.raw')).ino;
    expect(copy(directory, 'of=out.raw')).toMatchObject({ status: 0, stderr: '' });
    const { uid, gid, mode, ino } = statSync(directory.file('out.raw'));
    expect([uid, gid, mode & 0o7777, ino === before]).toEqual([1234, 4321, 0o754, false]);
  });

  it('keeps its access control list and its attributes; what its directory gives to new files does not widen it', (context) => {
    const directory = withInput().write('out.raw', OLD).write('plain.raw', OLD);
    chmodSync(directory.file('plain.raw'), 0o600);
    // Version 2; owner rw-, user 1234 r--, group ---, mask rw-, others --- (acl(5)).
    const set = [
      'import os, struct',
      'entry = lambda tag, perm, who=0xffffffff: struct.pack("<HHI", tag, perm, who)',
      'acl = struct.pack("<I", 2) + entry(1, 6) + entry(2, 4, 1234) + entry(4, 0) + entry(16, 6) + entry(32, 0)',
      'os.setxattr("out.raw", "system.posix_acl_access", acl)',
      'os.setxattr("out.raw", "user.origin", b"a test")',
      'os.setxattr(".", "system.posix_acl_default", acl)',
    ].join('\n');
    if (program('python3', '-c', set).in(directory).run().status !== 0) {
      skipLoudly(context, 'the file system here has no access control lists');
    }
    const look = [
      'import os, sys',
      'for f in ("out.raw", "plain.raw"):',
      '  print(f, oct(os.stat(f).st_mode & 0o7777), sorted((n, os.getxattr(f, n)) for n in os.listxattr(f)))',
    ].join('\n');
    const before = program('python3', '-c', look).in(directory).must().stdout;
    for (const name of ['out.raw', 'plain.raw'])
      expect(copy(directory, `of=${name}`)).toMatchObject({ status: 0, stderr: '' });
    expect(program('python3', '-c', look).in(directory).must().stdout).toBe(before);
    expect(directory.read('out.raw').equals(CONTENT)).toBe(true);
  });
});

describe('a name that leads through links', () => {
  it('means what the kernel means by dots behind a link', () => {
    const directory = withInput().write('there/deep/x', '').write('out.raw', OLD).write('there/out.raw', OLD);
    symlinkSync('there/deep', directory.file('link'));
    expect(copy(directory, 'of=link/../out.raw').status).toBe(0);
    expect(directory.read('there/out.raw').equals(CONTENT)).toBe(true);
    expect(directory.read('out.raw').toString()).toBe(OLD);
    symlinkSync('link/../new.raw', directory.file('to-new'));
    expect(copy(directory, 'of=to-new').status).toBe(0);
    expect(directory.names('there')).toEqual(['deep', 'new.raw', 'out.raw']);
  });

  it('is not the input behind such dots', () => {
    const directory = workdir().write('a/in.raw', CONTENT).write('b/c/x', '');
    symlinkSync('../b/c', directory.file('a/link'));
    symlinkSync('../a/in.raw', directory.file('b/in.raw'));
    const told = instar('dd', '-f', 'raw', 'if=a/in.raw', 'of=a/link/../in.raw').in(directory).run();
    expect([told.status, told.stderr]).toEqual([1, expect.stringMatching(/is also an input/)]);
    expect(directory.read('a/in.raw').equals(CONTENT)).toBe(true);
  });

  it('is not followed where a stranger put the link into a shared directory', (context) => {
    requireRoot(context);
    const directory = withInput().write('precious', OLD);
    mkdirSync(directory.file('shared'));
    chmodSync(directory.file('shared'), 0o1777);
    program('setpriv', `--reuid=${NOBODY}`, '--clear-groups', 'ln', '-s', '../precious', 'shared/out')
      .in(directory)
      .must();
    const told = copy(directory, 'of=shared/out');
    expect([told.status, told.stderr]).toEqual([1, expect.stringMatching(/link that another user put/)]);
    expect(directory.read('precious').toString()).toBe(OLD);
  });
});

describe('a name that names no file', () => {
  it.for(['new/', 'new//', 'new/.', '.', '..', 'in.raw/'])('%s is refused, and nothing appears', (name) => {
    const directory = withInput();
    const told = copy(directory, `of=${name}`);
    expect([told.status, told.stderr]).toEqual([1, expect.stringMatching(/^instar: dd: [^\n]+\n$/)]);
    expect(directory.names()).toEqual(['in.raw']);
  });

  it('is refused among the devices', (context) => {
    requireRoot(context);
    const name = `/dev/instar-none-${process.pid}`;
    for (const more of [[], ['seek=0']]) {
      const told = copy(withInput(), `of=${name}`, ...more);
      expect([told.status, told.stderr]).toEqual([1, expect.stringMatching(/is the device attached\?\n$/)]);
      expect(existsSync(name)).toBe(false);
    }
  });
});

describe('--no-clobber', () => {
  it('does not replace what appears while the copy goes on', () => {
    const directory = workdir();
    const script =
      '{ head -c 70000 /dev/zero; sleep 0.8; echo theirs >out.raw; sleep 0.3; } | "$1" "$2" dd --no-clobber if=- of=out.raw';
    const told = program('bash', '-c', script, 'bash', process.execPath, INSTAR).in(directory).run();
    expect([told.status, told.stderr]).toEqual([1, 'instar: dd: out.raw: exists already\n']);
    expect(directory.read('out.raw').toString()).toBe('theirs\n');
    expect(directory.names()).toEqual(['out.raw']);
  });
});

describe('the directory of a new file', () => {
  it.for([[[]], [['seek=0']]] as const)('is synced after it got its name %j', ([more], context) => {
    requireJudge(context, STRACE);
    const directory = withInput();
    const trace = `${directory.path}.trace`;
    const words = ['strace', '-f', '-qq', '-y', '-e', 'trace=fsync', '-o', trace];
    instar('dd', '-f', 'raw', 'if=in.raw', 'of=out.raw', ...more)
      .under(...words)
      .in(directory)
      .must();
    const synced = [...directory.readOutside(trace).matchAll(/fsync\(\d+<([^>]*)>/g)].map(([, path]) => path);
    expect(synced).toHaveLength(2);
    expect(synced[1]).toBe(directory.path);
  });
});

describe('a block device', () => {
  function device(context: TestContext, directory: Workdir, bytes: number): string {
    requireRoot(context);
    directory.write('disk', Buffer.alloc(bytes, 'P'));
    const attached = spawnSync('losetup', ['--show', '-f', directory.file('disk')], { encoding: 'utf8' });
    if (attached.status !== 0) skipWithoutRight(context, 'no loop devices here');
    const name = attached.stdout.trim();
    onTestFinished(() => {
      spawnSync('losetup', ['-d', name]);
    });
    return name;
  }

  it.for([[[]], [['seek=1', 'bs=512']], [['osize=70000']], [['-O', 'qcow2']]] as const)(
    'that is smaller than what is to be written is refused before the first byte %j',
    ([more], context) => {
      const directory = withInput();
      const name = device(context, directory, more.includes('seek=1' as never) ? CONTENT.length : 65_536);
      const told = copy(directory, `of=${name}`, ...more);
      expect([told.status, told.stderr]).toEqual([
        1,
        expect.stringMatching(/needs \d+ bytes, the device has \d+ free\n$/),
      ]);
      spawnSync('blockdev', ['--flushbufs', name]);
      expect(directory.read('disk').every((byte) => byte === 'P'.charCodeAt(0))).toBe(true);
    },
  );

  it.for([
    ['convert', '-f', 'raw', '-O', 'qcow2', 'in.raw', 'DEVICE'],
    ['create', '-f', 'qcow2', 'DEVICE', '8M'],
    ['dd', '-f', 'raw', '-O', 'qcow2', 'if=in.raw', 'of=DEVICE', 'bs=1M'],
  ])(
    'that has all that a qcow2 image may take gets it, and a smaller one is refused before the first byte: %s',
    (words, context) => {
      const directory = workdir().write('in.raw', Buffer.concat([Buffer.alloc(7 << 20), Buffer.alloc(1 << 20, 'x')]));
      const measured = instar('measure', '-O', 'qcow2', '--json', '--size', '8M').in(directory).must().stdout;
      const { 'fully-allocated': whole } = JSON.parse(measured) as { 'fully-allocated': number };
      for (const bytes of [whole - 512, whole]) {
        const name = device(context, directory, bytes);
        const told = instar(...words.map((word) => word.replace('DEVICE', name)))
          .in(directory)
          .run();
        spawnSync('blockdev', ['--flushbufs', name]);
        if (bytes === whole) expect([told.status, told.stderr]).toEqual([0, '']);
        else {
          expect(told.stderr).toMatch(/needs \d+ bytes, the device has \d+ free\n$/);
          expect(directory.read('disk').every((byte) => byte === 'P'.charCodeAt(0))).toBe(true);
        }
      }
      expect(program('qemu-img', 'check', '-q', '-f', 'qcow2', 'disk').in(directory).run().status).toBe(0);
    },
  );

  it('that is larger gets the bytes, and keeps the rest', (context) => {
    const directory = withInput();
    const name = device(context, directory, 131_072);
    expect(copy(directory, `of=${name}`)).toMatchObject({ status: 0, stderr: '' });
    spawnSync('blockdev', ['--flushbufs', name]);
    const found = directory.read('disk');
    expect(found.subarray(0, CONTENT.length).equals(CONTENT)).toBe(true);
    expect(found.subarray(CONTENT.length).every((byte) => byte === 'P'.charCodeAt(0))).toBe(true);
  });

  it('that is mounted is refused, unless forced', (context) => {
    const directory = withInput();
    const name = device(context, directory, 4 << 20);
    if (spawnSync('mkfs.ext4', ['-q', name]).status !== 0) skipLoudly(context, 'needs mkfs.ext4');
    mkdirSync(directory.file('mounted'));
    if (spawnSync('mount', [name, directory.file('mounted')]).status !== 0) {
      skipWithoutRight(context, 'mounts are not allowed here');
    }
    onTestFinished(() => {
      spawnSync('umount', [directory.file('mounted')]);
    });
    const told = copy(directory, `of=${name}`);
    expect([told.status, told.stderr]).toEqual([
      1,
      expect.stringMatching(/mounted or otherwise in use[^\n]+--force\n$/),
    ]);
    expect(readdirSync(directory.file('mounted'))).toContain('lost+found');
    expect(copy(directory, `of=${name}`, '--force').status).toBe(0);
  });
});
