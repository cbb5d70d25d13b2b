// A raw image whose length is no multiple of 512: what is written into it ends before that, so that its length stays.
import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { workdir, type Workdir } from '../support/workdir.js';

const LENGTHS = [193_023, 254_977, 262_145] as const;

/** A raw image of this length, and one over it that ends before the last sector begins. */
function chain(length: number): Workdir {
  const directory = workdir();
  directory.write('base', Buffer.alloc(length, 'content of the base '));
  const size = String(Math.floor((length - 1) / 512) * 512);
  qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base', '-F', 'raw', 'top', size).in(directory).must();
  qemuIo('top', `write -q -P 5 ${Number(size) - 1024} 1024`)
    .in(directory)
    .must();
  return directory;
}

const EDITS = [
  { name: 'commit', words: ['commit', '-q', 'top'] },
  { name: 'convert -n', words: ['convert', '-n', '-O', 'raw', 'top', 'base'] },
] as const;

describe.for(EDITS)('$name into a raw image', ({ words }) => {
  it.for(LENGTHS)('of %i bytes leaves it as long as it is', (length, context) => {
    requireJudge(context, QEMU_IMG);
    const [ours, theirs] = [chain(length), chain(length)];
    if (words[0] === 'convert') {
      for (const directory of [ours, theirs]) {
        qemuImg('convert', '-O', 'qcow2', 'top', 'alone').in(directory).must();
      }
    }
    const given: readonly string[] = words.map((word) => (words[0] === 'convert' && word === 'top' ? 'alone' : word));
    const [command = '', ...rest] = given;
    const allowed = command === 'commit' ? ['--allow-path', ours.file('.')] : [];
    const trusted = [command, ...allowed, ...rest];
    instar(...trusted)
      .in(ours)
      .must();
    qemuImg(...given)
      .in(theirs)
      .must();
    expect(theirs.read('base')).toHaveLength(length);
    expect(ours.read('base').equals(theirs.read('base'))).toBe(true);
  });
});
