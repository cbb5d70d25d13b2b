// Commands that need room for what they do not keep, where there is no directory for that.
import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { workdir } from '../support/workdir.js';

const NOWHERE = { TMPDIR: '/nowhere' };

describe('without a directory for temporary files', () => {
  it('an empty disk is created all the same', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    instar('create', '-q', '-f', 'qcow2', 'disk', '5M').environment(NOWHERE).in(directory).must();
    expect(directory.names()).toEqual(['disk']);
    qemuImg('check', '-q', '-f', 'qcow2', 'disk').in(directory).must();
  });

  it.each(['map', 'check'])('%s says what to do', (command) => {
    const directory = workdir();
    instar('create', '-q', '-f', 'qcow2', 'disk', '5M').in(directory).must();
    const { status, stderr } = instar(command, 'disk').environment(NOWHERE).in(directory).run();
    expect([status, stderr]).toEqual([
      1,
      `instar: ${command}: a temporary file in /nowhere: cannot be made: no such file or directory (ENOENT); name another directory with TMPDIR\n`,
    ]);
  });
});
