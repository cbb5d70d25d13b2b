import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { skipLoudly } from '../support/judge.js';
import { noise } from '../support/random.js';
import { workdir } from '../support/workdir.js';

describe('a disk that somebody packed', () => {
  it.for<[pack: string, unpack: string]>([
    ['gzip -c', 'gzip -dk'],
    ['xz -c', 'xz -dk'],
    ['zstd -qc', 'zstd -d'],
    ['bzip2 -c', 'bzip2 -dk'],
  ])('by %s is copied as it is, with a warning that says how to unpack it', ([pack, unpack], context) => {
    const directory = workdir().write('disk.raw', Buffer.concat([noise(3000), Buffer.alloc(5000)]));
    const [program = '', ...options] = pack.split(' ');
    let packed: Buffer;
    try {
      packed = execFileSync(program, [...options, 'disk.raw'], { cwd: directory.path });
    } catch {
      skipLoudly(context, `${program} is not installed`);
    }
    directory.write('packed', packed);
    const { stderr } = instar('dd', 'if=packed', 'of=out').in(directory).must();
    expect(stderr).toMatch(/^instar: [^\n]*packed: is compressed by [^\n]+\n/);
    expect(stderr).toContain(`unpack it first (${unpack}), or say so with -f raw`);
    const told = instar('dd', '-f', 'raw', 'if=packed', 'of=out').in(directory).must();
    expect(told.stderr).not.toContain('unpack');
  });
});
