import { splitDump, openDump, writeDump } from '@instar/vmcore';
import { linkSync, statSync, symlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { INSTAR, instar, program, shellWord } from '../support/command.js';
import { requireJudge, STRACE } from '../support/judge.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { withDumps } from './dump-files.js';

const RANGE = ['--begin', '1M', '--length', '64K'];
const DESTROYS = /^instar: vmcore: [^\n]+ is also an input \([^\n]+\); writing it would destroy the data\n$/;

async function scene(): Promise<Workdir> {
  const directory = await withDumps(workdir());
  instar('vmcore', 'flatten', 'dump.elf', 'dump.flat').in(directory).must();
  instar('vmcore', 'split', 'dump.kdump', 'part1', 'part2').in(directory).must();
  for (const name of ['dump.elf', 'dump.kdump', 'dump.flat', 'part2']) {
    linkSync(directory.file(name), directory.file(`hard-${name}`));
    symlinkSync(name, directory.file(`link-${name}`));
  }
  return directory;
}

describe('an output that is an input is refused, and nothing is written', () => {
  it.for([
    ['convert', ['--to', 'kdump', 'dump.elf', 'dump.elf']],
    ['convert', ['--to', 'kdump', 'dump.elf', './/dump.elf']],
    ['convert', ['--to', 'elf', 'dump.kdump', 'hard-dump.kdump']],
    ['convert', ['--to', 'elf', '--zstd', 'link-dump.kdump', 'hard-dump.kdump']],
    ['filter', [...RANGE, 'dump.elf', 'link-dump.elf']],
    ['filter', [...RANGE, 'part1', 'part2', 'hard-part2']],
    ['reassemble', ['part1', 'part2', 'part1']],
    ['reassemble', ['part1', 'hard-part2', 'link-part2']],
    ['split', ['dump.kdump', 'new1', 'link-dump.kdump']],
    ['flatten', ['dump.elf', 'hard-dump.elf']],
    ['unflatten', ['dump.flat', 'link-dump.flat']],
  ] as const)('%s %j', async ([command, words]) => {
    const directory = await scene();
    const before = directory.digests();
    const told = instar('vmcore', command, ...words)
      .in(directory)
      .run();
    expect([told.status, told.stderr]).toEqual([1, expect.stringMatching(DESTROYS)]);
    directory.delete('new1');
    expect(directory.digests()).toEqual(before);
  });

  it('also when it is a stream', async () => {
    const directory = await scene();
    const before = directory.digests();
    const command = `${shellWord(process.execPath)} ${shellWord(INSTAR)} vmcore`;
    for (const line of [
      `${command} convert --to elf dump.elf - 1<>dump.elf`,
      `${command} flatten dump.elf - 1<>hard-dump.elf`,
      `${command} unflatten - dump.flat <dump.flat`,
    ]) {
      const told = program('bash', '-c', line).in(directory).run();
      expect([told.status, told.stderr], line).toEqual([1, expect.stringMatching(/would destroy the data\n$/)]);
      expect(directory.digests()).toEqual(before);
    }
  });

  it('by the library, with a code of its own', async () => {
    const directory = await scene();
    const dump = await openDump(directory.file('dump.elf'));
    try {
      const output = { file: directory.file('hard-dump.elf') };
      await expect(writeDump(dump, output, { format: 'kdump' })).rejects.toMatchObject({ code: 'SAME_FILE' });
      // Both names are one file once the first part is there.
      symlinkSync('one', directory.file('two'));
      const parts = [directory.file('one'), directory.file('two')];
      await expect(splitDump(dump, parts, {})).rejects.toMatchObject({ code: 'SAME_FILE' });
    } finally {
      await dump.close();
    }
  });
});

describe('a dump that is written', () => {
  it.for([
    ['convert', '--to', 'kdump', 'dump.elf'],
    ['convert', '--to', 'elf', '--zstd', 'dump.kdump'],
    ['filter', ...RANGE, 'dump.elf'],
    ['flatten', 'dump.elf'],
    ['unflatten', 'dump.flat'],
  ])('is on the disk before it gets its name, and then the name is: %s', async (words, context) => {
    requireJudge(context, STRACE);
    const directory = await scene();
    const trace = `${directory.path}.trace`;
    instar('vmcore', ...words, 'out')
      .under('strace', '-f', '-qq', '-y', '-e', 'trace=fsync,rename,renameat,renameat2,linkat', '-o', trace)
      .in(directory)
      .must();
    const calls = directory
      .readOutside(trace)
      .split('\n')
      .filter((line) => /^\d+ +\w+\(/.test(line));
    const [data = '', name = '', folder = '', ...more] = calls;
    expect(data).toMatch(/fsync\(\d+<[^>]*\.out\.instar-/);
    expect(name).toMatch(/(?:rename|link)\w*\(/);
    expect(folder).toContain(`<${directory.path}>`);
    expect(more).toEqual([]);
  });

  it('lies where the kernel says that dots behind a link lead', async () => {
    const directory = (await scene()).write('there/deep/x', '').write('here/x', '');
    symlinkSync('../there/deep', directory.file('here/link'));
    instar('vmcore', 'convert', '--to', 'kdump', 'dump.elf', 'here/link/../out').in(directory).must();
    expect([directory.names('there'), directory.names('here')]).toEqual([
      ['deep', 'out'],
      ['link', 'x'],
    ]);
  });

  it('takes what a killed run left away, and nothing else', async () => {
    const directory = (await scene()).write('.out.instar-4194300-0123456789abcdef.tmp', 'left');
    directory.write('.out.instar-note.tmp', 'theirs');
    instar('vmcore', 'convert', '--to', 'kdump', 'dump.elf', 'out').in(directory).must();
    expect(directory.names().filter((name) => name.includes('.instar-'))).toEqual(['.out.instar-note.tmp']);
  });

  it('goes into a file with two names in place, which a warning says, and nobody else may read it', async () => {
    const directory = (await scene()).write('old', 'old content');
    linkSync(directory.file('old'), directory.file('old-too'));
    const told = instar('vmcore', 'convert', '--to', 'elf', 'dump.kdump', 'old').in(directory).must();
    expect(told.stderr).toMatch(/warning: old: is written in place[^\n]+hard links/);
    expect(directory.read('old-too').subarray(1, 4).toString()).toBe('ELF');
    expect(statSync(directory.file('old')).mode & 0o777).toBe(0o600);
  });

  it('may have a name that is no UTF-8, byte for byte', async () => {
    const directory = await scene();
    const command = `${shellWord(process.execPath)} ${shellWord(INSTAR)} vmcore`;
    const script = `n=$'d\\xe4mp'; ${command} convert --to kdump dump.elf "$n" && ${command} verify "$n" >/dev/null && test -s "$n"`;
    expect(program('bash', '-c', script).in(directory).run()).toMatchObject({ status: 0 });
  });
});
