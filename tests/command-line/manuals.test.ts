import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../packages/cli/src/commands/names.js';
import { instar, program, ROOT } from '../support/command.js';
import { requireJudge, type Judge } from '../support/judge.js';

const MAN: Judge = { program: 'man', probe: ['--version'], package: 'man-db' };
const CLI = join(ROOT, 'packages/cli');

function shown(page: string): { readonly text: string; readonly complaints: string } {
  const { stdout, stderr } = program('man', '--warnings', '--no-hyphenation', '-l', join(CLI, page))
    .environment({ MANWIDTH: '200', LC_ALL: 'C.UTF-8', MANPAGER: 'cat', GROFF_NO_SGR: '1' })
    .must();
  // Bold is a letter printed over itself.
  // eslint-disable-next-line no-control-regex -- a backspace is looked for
  return { text: stdout.replace(/.\u0008/g, '').replace(/ +/g, ' '), complaints: stderr };
}

describe('man pages', () => {
  const manifest = JSON.parse(readFileSync(join(CLI, 'package.json'), 'utf8')) as { readonly man: readonly string[] };

  it('there is one of each command, which npm installs', () => {
    const expected = ['instar.1', ...COMMANDS.map((name) => `instar-${name}.1`)].sort();
    expect(readdirSync(join(CLI, 'dist/man')).sort()).toEqual(expected);
    expect([...manifest.man].sort()).toEqual(expected.map((name) => `dist/man/${name}`));
    for (const page of manifest.man) expect(existsSync(join(CLI, page))).toBe(true);
  });

  it.for(COMMANDS.map((name) => [name] as const))(
    'of %s: man finds no fault in it, and it has every option of the help',
    ([name], context) => {
      requireJudge(context, MAN);
      const { text, complaints } = shown(`dist/man/instar-${name}.1`);
      expect(complaints).toBe('');
      expect(text).toMatch(new RegExp(`^NAME\\n instar-${name} - `, 'm'));
      const help = instar(name, '--help').must().stdout;
      for (const option of help.match(/(?<=^ {2}(?:-\w, | {4})?)--[a-z0-9-]+/gm) ?? []) expect(text).toContain(option);
    },
  );
});
