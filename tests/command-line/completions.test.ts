// What real shells make of the completions. Nothing here says which options there are: the helps of the commands do.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { instar, program, ROOT } from '../support/command.js';
import { requireJudge, type Judge } from '../support/judge.js';
import { Workdir } from '../support/workdir.js';

const SHELLS = {
  bash: { program: 'bash', probe: ['--version'], package: 'bash' },
  zsh: { program: 'zsh', probe: ['--version'], package: 'zsh' },
  fish: { program: 'fish', probe: ['--version'], package: 'fish' },
} as const satisfies Record<string, Judge>;
type Shell = keyof typeof SHELLS;

const ZSH_TYPIST = join(ROOT, 'tests/command-line/type-in-zsh.zsh');

/** Words that bash is asked about: it takes `=` for a word of its own. */
function wordsOfBash(line: string): readonly string[] {
  return line.split(/(=)| /).filter((word, index, all) => Boolean(word) || index === all.length - 1);
}

/** What a shell offers behind `line`. */
function offered(shell: Shell, line: string, directory: Workdir): readonly string[] {
  switch (shell) {
    case 'bash': {
      const words = wordsOfBash(line);
      const script = `source instar.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { :; }
        _instar; printf '%s\\n' "\${COMPREPLY[@]}"`;
      return split(
        program('bash', '-c', script, 'bash', ...words)
          .in(directory)
          .must().stdout,
      );
    }
    case 'fish': {
      const { stdout } = program('fish', '--no-config', '-c', 'source instar.fish; complete -C $argv[1]', line)
        .in(directory)
        .must();
      return split(stdout).map((text) => text.split('\t')[0] ?? '');
    }
    case 'zsh': {
      const { stdout } = program('zsh', '-f', ZSH_TYPIST, 'instar.zsh', line).in(directory).must();
      return split(stdout.replaceAll(' ', '\n'));
    }
  }
}

function split(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '');
}

describe.each(Object.keys(SHELLS) as readonly Shell[])('completions in %s', (shell) => {
  const directory = new Workdir();

  beforeAll(() => {
    directory.write(`instar.${shell}`, instar('completion', shell).must().stdout);
    directory.write('disk.qcow2', '').write('notes.txt', '');
  });

  afterAll(() => {
    directory.remove();
  });

  it.for<[line: string, some: readonly string[], not: readonly string[]]>([
    ['instar ', ['dd', 'info', 'convert', 'vmcore', 'completion', 'help'], ['skip=', 'disk.qcow2']],
    ['instar info --sandbox=', ['kvm', 'process', 'auto'], ['qcow2']],
    ['instar convert -O ', ['qcow2', 'vhdx', 'raw'], ['bochs', 'kvm']],
    ['instar vmcore ', ['info', 'dmesg', 'repair'], ['disk.qcow2']],
    ['instar vmcore convert --compress ', ['zlib', 'zstd'], ['disk.qcow2']],
    ['instar dd if=d', ['disk.qcow2'], ['notes.txt']],
    ['instar dd status=', ['none', 'progress'], ['disk.qcow2']],
  ])('%s', ([line, some, not], context) => {
    requireJudge(context, SHELLS[shell]);
    const found = offered(shell, line, directory).map((word) => word.replace(/^(?:--[a-z-]+|[a-z]+)=/, ''));
    expect(found).toEqual(expect.arrayContaining([...some]));
    for (const word of not) expect(found).not.toContain(word);
  });

  it('offer the options that the help of a command shows', (context) => {
    requireJudge(context, SHELLS[shell]);
    const help = instar('info', '--help').must().stdout;
    const options = new Set(help.match(/(?<=^ {2}(?:-\w, )?)--[a-z0-9-]+/gm));
    expect(options.size).toBeGreaterThan(10);
    const found = offered(shell, 'instar info --', directory);
    expect(found.filter((word) => word.startsWith('--'))).toEqual(expect.arrayContaining([...options]));
  });
});
