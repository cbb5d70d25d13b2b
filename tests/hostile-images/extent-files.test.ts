import { describe, expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { STRACE, requireJudge } from '../support/judge.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

/** A descriptor of VMware with these extent lines. */
function descriptor(...extents: readonly string[]): string {
  const head = ['# Disk DescriptorFile', 'version=1', 'CID=0000002a', 'parentCID=ffffffff'];
  return [...head, 'createType="custom"', ...extents, ''].join('\n');
}

function refused(directory: Workdir, ...options: readonly string[]): string {
  const { status, stderr, stdout } = instar('dd', ...options, 'if=image.vmdk', 'of=out.raw')
    .in(directory)
    .run();
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/^instar: dd: [^\n]+\n$/);
  expect(directory.names()).not.toContain('out.raw');
  return stderr;
}

describe('files that a VMDK descriptor names', () => {
  it.for<[what: string, name: string, message: string]>([
    ['an absolute path', '/etc/passwd', 'extent file "/etc/passwd"'],
    ['a path upwards', '../secret', 'extent file "../secret"'],
    ['a protocol', 'nbd:localhost:1', 'only plain file names are followed'],
    ['itself', 'image.vmdk', 'which is already part of its chain'],
    ['a file that is not there', 'none', 'extent file "none"'],
  ])('%s is refused', ([, name, message]) => {
    const directory = workdir().write('image.vmdk', descriptor(`RW 1 FLAT "${name}" 0`));
    expect(refused(directory)).toContain(message);
  });

  it('a flat file beside the image that is no disk is refused, unless its directory is allowed', () => {
    const directory = workdir().write('key', noise(1000)).write('image.vmdk', descriptor('RW 1 FLAT "key" 0'));
    expect(refused(directory)).toContain('"key" has 1000 bytes, expected whole sectors');
    instar('dd', '--allow-path', '.', 'if=image.vmdk', 'of=out.raw').in(directory).must();
    expect(directory.read('out.raw')).toEqual(directory.read('key').subarray(0, 512));
  });

  it('a flat file that is shorter than its extent is refused', () => {
    const directory = workdir().write('short', noise(1024)).write('image.vmdk', descriptor('RW 3 FLAT "short" 0'));
    expect(refused(directory)).toContain('at least 1536 bytes');
  });

  it('a sparse extent must be one', () => {
    const directory = workdir().write('text', noise(1024)).write('image.vmdk', descriptor('RW 2 SPARSE "text"'));
    expect(refused(directory)).toContain('the file is not in this format');
  });

  it('--no-backing refuses them all, and one file may be named twice', () => {
    const directory = workdir().write('flat', noise(1024));
    directory.write('image.vmdk', descriptor('RW 1 FLAT "flat" 1', 'RW 2 FLAT "flat" 0'));
    expect(refused(directory, '--no-backing')).toContain('references are switched off');
    instar('dd', 'if=image.vmdk', 'of=out.raw').in(directory).must();
    const flat = directory.read('flat');
    expect(directory.read('out.raw')).toEqual(Buffer.concat([flat.subarray(512), flat]));
  });

  it('info opens none of them, and the check extent-paths fails', (context) => {
    requireJudge(context, STRACE);
    const directory = workdir().write('flat', noise(1024)).write('image.vmdk', descriptor('RW 2 FLAT "flat" 0'));
    const trace = `${directory.path}.strace`;
    const { status, stderr } = instar('info', '--require-safe', 'image.vmdk')
      .under('strace', '-f', '--seccomp-bpf', '-qq', '-e', 'trace=open,openat,openat2,stat,statx', '-o', trace)
      .in(directory)
      .run();
    expect(status).toBe(3);
    expect(stderr).toContain('extent-paths: names extent files (1), the first is "flat"');
    expect(directory.readOutside(trace)).not.toContain('"flat"');
  });
});

describe('a link to a parent', () => {
  it('whose parent has changed since is refused', () => {
    const directory = workdir().write('flat', noise(1024));
    directory.write('parent.vmdk', descriptor('RW 2 FLAT "flat" 0'));
    const link = descriptor('RW 2 ZERO').replace('parentCID=ffffffff', 'parentCID=0000002b');
    directory.write('image.vmdk', `${link}parentFileNameHint="parent.vmdk"\n`);
    expect(refused(directory)).toContain('CID at offset 0 is 42, expected 43');
  });
});
