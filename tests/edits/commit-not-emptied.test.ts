import { commit, compare, create, EngineError, rebase } from '@instar/engine';
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { QEMU_IMG, requireJudge, skipWithoutRight } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { workdir } from '../support/workdir.js';

it('an image that was committed and cannot be emptied is told of, and has what it had', async (context) => {
  requireJudge(context, QEMU_IMG);
  const directory = workdir();
  qemuImg('create', '-q', '-f', 'qcow2', 'below', '2M').in(directory).must();
  qemuImg('create', '-q', '-f', 'qcow2', '-b', 'below', '-F', 'qcow2', 'top').in(directory).must();
  qemuIo('top', 'write -q -P 5 64k 64k').in(directory).must();
  const before = directory.read('top');
  const top = directory.file('top');
  // Nobody may open it for writing, root included.
  const locked = spawnSync('chattr', ['+i', top]);
  if (locked.status !== 0) skipWithoutRight(context, 'making a file immutable needs root and a file system that can');
  try {
    const error: unknown = await commit(top).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(EngineError);
    expect(String(error)).toMatch(/was committed into "[^"]*below", but not emptied: /);
  } finally {
    spawnSync('chattr', ['-i', top]);
  }
  expect(directory.read('top').equals(before)).toBe(true);
  qemuIo('below', 'read -q -P 5 64k 64k').in(directory).must();
});

it('a differencing disk that was committed and cannot be linked again is told of, with what helps', async (context) => {
  requireJudge(context, QEMU_IMG);
  const directory = workdir();
  qemuImg('create', '-q', '-f', 'vhdx', 'below', '3M').in(directory).must();
  const top = directory.file('top');
  await create(top, undefined, { format: 'vhdx', backing: { file: 'below', format: 'vhdx' } });
  const locked = spawnSync('chattr', ['+i', top]);
  if (locked.status !== 0) skipWithoutRight(context, 'making a file immutable needs root and a file system that can');
  try {
    const error: unknown = await commit(top, { keep: true }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(EngineError);
    expect(String(error)).toMatch(
      /was committed into "[^"]*below", [^\n]*not linked to it again \(rebase -u does that\): /,
    );
  } finally {
    spawnSync('chattr', ['-i', top]);
  }
  await rebase(top, { file: 'below', format: 'vhdx' }, { unsafe: true });
  expect((await compare(top, directory.file('below'))).identical).toBe(true);
});
