// Command lines of edits that qemu-img takes, beside it.
import { mkdirSync, symlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { workdir, type Workdir } from '../support/workdir.js';

function sizeOf(directory: Workdir, image: string): unknown {
  const text = qemuImg('info', '--output=json', image).in(directory).must().stdout;
  return (JSON.parse(text) as Record<string, unknown>)['virtual-size'];
}

describe('command lines of edits', () => {
  it.for([
    ['--shrink', 'image', '-1M'],
    ['image', '-1M', '--shrink'],
    ['image', '-1M', '-q', '--shrink', '-f', 'qcow2'],
    ['--shrink', 'image', '--', '-1M'],
  ])('resize %s %s %s', (words, context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    for (const [name, does] of [
      ['theirs', qemuImg],
      ['ours', instar],
    ] as const) {
      qemuImg('create', '-q', '-f', 'qcow2', name, '4M').in(directory).must();
      const own = words.map((word) => (word === 'image' ? name : word));
      does('resize', ...own)
        .in(directory)
        .must();
    }
    expect(sizeOf(directory, 'ours')).toBe(3 << 20);
    expect(sizeOf(directory, 'theirs')).toBe(3 << 20);
  });

  it.for([
    ['create', '-q', '-f', 'qcow2', '-b', 'json:{}', '-F', 'qcow2', 'new'],
    ['create', '-q', '-f', 'qcow2', '-b', 'a:b', '-F', 'qcow2', 'new'],
    ['convert', '-O', 'qcow2', '-B', 'a:b', '-F', 'qcow2', 'top', 'new'],
    ['rebase', '-b', 'a:b', '-F', 'qcow2', 'top'],
  ])('%s … refuses a name that would be taken for a protocol, and takes it behind ./', (words, context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    for (const name of ['json:{}', 'a:b', 'base']) {
      qemuImg('create', '-q', '-f', 'qcow2', `./${name}`, '1M').in(directory).must();
      qemuIo(`./${name}`, 'write -q -P 7 64k 64k').in(directory).must();
    }
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base', '-F', 'qcow2', 'top').in(directory).must();
    const before = directory.digests();
    const refused = instar(...words)
      .in(directory)
      .run();
    expect([refused.status, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toMatch(
      /^instar: \w+: \S+: "\S+" would be taken for "\w+:", a protocol, .*write \.\/ in front\n$/,
    );
    expect(directory.digests()).toEqual(before);
    instar(...words.map((word) => (/^(?:json|a):/.test(word) ? `./${word}` : word)))
      .in(directory)
      .must();
    const written = words[0] === 'rebase' ? 'top' : 'new';
    qemuImg('compare', '-q', written, 'base').in(directory).must();
    instar('compare', written, 'base').in(directory).must();
  });

  it.for(['base', './base', 'link', 'sub/../base'])(
    'commit -b %s finds the image that is named ./base',
    (name, context) => {
      requireJudge(context, QEMU_IMG);
      const directory = workdir();
      const prepare = (): void => {
        qemuImg('create', '-q', '-f', 'qcow2', 'base', '1M').in(directory).must();
        qemuImg('create', '-q', '-f', 'qcow2', '-b', './base', '-F', 'qcow2', 'mid').in(directory).must();
        qemuImg('create', '-q', '-f', 'qcow2', '-b', 'mid', '-F', 'qcow2', 'top').in(directory).must();
        qemuIo('top', 'write -q -P 7 64k 64k').in(directory).must();
      };
      mkdirSync(directory.file('sub'));
      symlinkSync('base', directory.file('link'));
      prepare();
      qemuImg('commit', '-q', '-b', name, 'top').in(directory).must();
      qemuIo('base', 'read -q -P 7 64k 64k').in(directory).must();
      prepare();
      instar('commit', '-q', '-b', name, 'top').in(directory).must();
      qemuIo('base', 'read -q -P 7 64k 64k').in(directory).must();
    },
  );

  it('create of a vdi takes the one preallocation that it has', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    const words = ['create', '-f', 'vdi', '-o', 'preallocation=off'];
    const theirs = qemuImg(...words, 'theirs', '4M')
      .in(directory)
      .must();
    const ours = instar(...words, 'ours', '4M')
      .in(directory)
      .must();
    expect(ours.stdout).toBe(theirs.stdout.replace('theirs', 'ours'));
    qemuImg('compare', 'ours', 'theirs').in(directory).must();
  });
});
