import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { STRACE, requireJudge } from '../support/judge.js';
import { Qcow2Builder } from '../support/qcow2-builder.js';
import { traced } from '../support/strace.js';
import { workdir, type Workdir } from '../support/workdir.js';

const SECRET = 'what the image must not get at\n'.repeat(40);

/** A directory with an image's directory in it, and a canary beside that. */
function scene(): { outside: Workdir; inside: Workdir } {
  const outside = workdir().write('canary', SECRET);
  const inside = workdir();
  symlinkSync(outside.file('canary'), inside.file('link'));
  symlinkSync(outside.path, inside.file('linked-directory'));
  symlinkSync('link', inside.file('link-to-link'));
  mkdirSync(inside.file('directory'));
  execFileSync('mkfifo', [inside.file('fifo')]);
  return { outside, inside };
}

/** Names that lead out of the image's directory, or to no regular file, or that other programs take for protocols. */
const NAMES: readonly { readonly about: string; readonly name: (canary: string) => string | Buffer }[] = [
  { about: 'an absolute path', name: (canary) => canary },
  { about: '/etc/shadow', name: () => '/etc/shadow' },
  { about: 'dots that lead out', name: (canary) => `../${canary.split('/').slice(-2).join('/')}` },
  { about: 'dots behind a directory', name: (canary) => `directory/../../${canary.split('/').slice(-2).join('/')}` },
  { about: 'a symbolic link that leads out', name: () => 'link' },
  { about: 'a link to such a link', name: () => 'link-to-link' },
  { about: 'a linked directory', name: () => 'linked-directory/canary' },
  { about: 'a process file', name: () => '/proc/self/environ' },
  { about: 'standard input', name: () => '/dev/stdin' },
  { about: 'an endless device', name: () => '/dev/zero' },
  { about: 'a FIFO', name: () => 'fifo' },
  { about: 'a directory', name: () => 'directory' },
  { about: 'its own directory', name: () => '.' },
  { about: 'the root', name: () => '/' },
  { about: 'json: with a file', name: (canary) => `json:{"driver":"file","filename":"${canary}"}` },
  {
    about: 'json: with a raw file',
    name: (canary) => `json:{"driver":"raw","file":{"driver":"file","filename":"${canary}"}}`,
  },
  { about: 'file:', name: (canary) => `file:${canary}` },
  { about: 'nbd://', name: () => 'nbd://127.0.0.1:10809/export' },
  { about: 'nbd:unix:', name: (canary) => `nbd:unix:${canary}` },
  { about: 'http://', name: () => 'http://127.0.0.1:9/image' },
  { about: 'ssh://', name: () => 'ssh://127.0.0.1/etc/passwd' },
  { about: 'fat:', name: () => 'fat:/etc' },
  { about: 'bytes that are no UTF-8', name: () => Buffer.from([0xff, 0xfe, 0x80]) },
  { about: '1000 bytes', name: () => 'x'.repeat(1000) },
];

const KINDS: readonly { readonly kind: string; readonly image: (name: string | Buffer) => Qcow2Builder }[] = [
  { kind: 'backing file, declared raw', image: (name) => new Qcow2Builder().backing(name, 'raw') },
  { kind: 'backing file of no declared format', image: (name) => new Qcow2Builder().backing(name) },
  { kind: 'external data file', image: (name) => new Qcow2Builder().dataFile(name) },
];

describe.for(KINDS)('an image that names as its $kind', ({ kind, image }) => {
  it.for(NAMES)('$about gets nothing', ({ name }, context) => {
    requireJudge(context, STRACE);
    const { outside, inside } = scene();
    const stored = name(outside.file('canary'));
    inside.write('image.qcow2', image(stored).bytes).write('there.raw', 'before');
    const [names, sandbox] = [inside.names(), kind.includes('declared raw') ? 'process' : 'kvm'];

    const dd = traced(instar('dd', `--sandbox=${sandbox}`, 'if=image.qcow2', 'of=there.raw'), inside);
    expect(dd.finished.stderr).toMatch(/^instar: dd: image\.qcow2: [^\n]*(?:backing file|data file)[^\n]*\n$/);
    expect(dd.finished.stdout).toBe('');
    expect(dd.finished.status).toBe(1);
    expect(dd.sockets).toEqual([]);
    // Nothing that the image names is opened; where its own directory is must be known.
    const mayBeOpened = ['image.qcow2', '.'];
    expect(dd.opened).toContain('image.qcow2');
    expect(dd.opened.filter((path) => !mayBeOpened.includes(path))).toEqual([]);
    expect(inside.names()).toEqual(names);
    expect(inside.read('there.raw').toString()).toBe('before');

    // Without --backing-chain info opens nothing but the image, so it may tell what the image says.
    const info = traced(instar('info', '--json', 'image.qcow2'), inside);
    expect(info.finished.status).toBe(0);
    expect(info.sockets).toEqual([]);
    expect(info.opened).toEqual(['image.qcow2']);
    if (typeof stored === 'string') expect(info.finished.stdout).toContain(JSON.stringify(stored));
    expect(info.finished.stdout).not.toContain('must not get at');
  });

  it('the canary by its absolute path gets nothing from info --backing-chain either', (context) => {
    requireJudge(context, STRACE);
    const { outside, inside } = scene();
    inside.write('image.qcow2', image(outside.file('canary')).bytes);
    const { finished, opened, sockets } = traced(instar('info', '--backing-chain', 'image.qcow2'), inside);
    expect(finished.stderr).toMatch(/^instar: info: image\.qcow2: [^\n]+--allow-path[^\n]+\n$/);
    expect([finished.status, finished.stdout]).toEqual([1, '']);
    expect([opened, sockets]).toEqual([['.', 'image.qcow2'], []]);
  });

  it('the canary is refused by --require-safe, exit code 3', () => {
    const { outside, inside } = scene();
    inside.write('image.qcow2', image(outside.file('canary')).bytes);
    expect(instar('info', '--require-safe', 'image.qcow2').in(inside).run().status).toBe(3);
  });
});

describe('with --allow-path', () => {
  it('the directory of the canary is open, and no other', () => {
    const { outside, inside } = scene();
    inside.write('image.qcow2', new Qcow2Builder().l2(0, 0n).backing(outside.file('canary'), 'raw').bytes);
    const dd = instar('dd', 'if=image.qcow2', 'of=out.raw').in(inside);
    dd.with('--allow-path', outside.path).must();
    expect(inside.read('out.raw').subarray(0, SECRET.length).toString()).toBe(SECRET);
    expect(dd.with('--allow-path', inside.path).run().status).toBe(1);
    expect(dd.with('--allow-path', `${outside.path}-missing`).run().status).toBe(1);
    expect(dd.with('--allow-path', outside.path, '--no-backing').run().status).toBe(1);
  });
});
