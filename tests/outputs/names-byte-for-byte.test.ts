import { describe, expect, it } from 'vitest';
import { INSTAR, program, shellWord, type Finished } from '../support/command.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const NODE = `${shellWord(process.execPath)} ${shellWord(INSTAR)}`;

/** Names that node cannot hand over are written in bash. */
function bash(directory: Workdir, script: string): Finished {
  return program('bash', '-c', `a=$'a\\xfe.raw'; b=$'a\\xff.raw'; ${script}`).in(directory).run();
}

describe('file names that are no UTF-8', () => {
  it('are read and written byte for byte, and two of them are two files', () => {
    const directory = workdir().write('in.raw', noise(5120));
    const script =
      `${NODE} dd if=in.raw of="$a" && ${NODE} dd if="$a" of="$b" count=4 && cmp in.raw "$a" && ` +
      'test "$(stat -c %s "$b")" = 2048 && ls | wc -l';
    expect(bash(directory, script)).toMatchObject({ status: 0, stdout: '3\n', stderr: '' });
  });

  it('are told by their bytes, without what a terminal could not show', () => {
    const directory = workdir();
    const missing = bash(directory, `${NODE} dd if="$a" of=out.raw`);
    expect(missing.stderr).toBe(
      String.raw`instar: dd: a\xfe.raw: cannot be opened: no such file or directory (ENOENT)` + '\n',
    );
    const described = bash(directory.write('in.raw', noise(512)), `mv in.raw "$a" && ${NODE} info "$a"`);
    expect(described.status).toBe(0);
    expect(described.stdoutBytes.includes(0xfe)).toBe(false);
  });

  it('may be those of the directory, for relative names and absolute ones', () => {
    const directory = workdir().write('in.raw', noise(5120));
    const script =
      `mkdir $'d\\xe8' && mv in.raw $'d\\xe8/' && cd $'d\\xe8' && ${NODE} dd if=in.raw of=out.raw && cmp in.raw out.raw && ` +
      `${NODE} dd -O qcow2 if="$PWD/in.raw" of="$PWD/out.qcow2" && ls`;
    expect(bash(directory, script)).toMatchObject({ status: 0, stdout: 'in.raw\nout.qcow2\nout.raw\n' });
  });
});
