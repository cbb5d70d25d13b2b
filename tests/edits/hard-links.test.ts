// What was overwritten stands beside the name by which an image is edited: by another name nobody finds it.
import { linkSync, symlinkSync } from 'node:fs';
import { expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { workdir } from '../support/workdir.js';

it('warns where an image that is edited has several names, and of none where it has one', (context) => {
  requireJudge(context, QEMU_IMG);
  const directory = workdir();
  qemuImg('create', '-q', '-f', 'vdi', 'image', '1M').in(directory).must();
  const resize = (name: string, size: string, ...words: readonly string[]): string =>
    instar('resize', ...words, '-f', 'vdi', name, size)
      .in(directory)
      .must().stderr;
  symlinkSync('image', directory.file('symbolic'));
  expect(resize('symbolic', '2M')).toBe('');
  linkSync(directory.file('image'), directory.file('other'));
  expect(resize('other', '3M')).toMatch(
    /^instar: resize: warning: other: has 2 names \(hard links\): if .* interrupted/,
  );
  expect(resize('other', '4M', '-q')).toBe('');
  expect(resize('other', '5M', '--no-undo')).toBe('');
});
