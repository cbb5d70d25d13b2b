import { mkdirSync, symlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { requireJudge, STRACE } from '../support/judge.js';
import { Qcow2Builder } from '../support/qcow2-builder.js';
import { workdir, type Workdir } from '../support/workdir.js';

/** Calls that look at names. */
const CALLS = 'trace=%file,statx,openat,openat2,readlinkat,newfstatat,faccessat2';

interface Scene {
  readonly inside: Workdir;
  readonly outside: Workdir;
}

function scene(): Scene {
  const outside = workdir().write('there', 'x'.repeat(4096)).write('folder/there', 'x'.repeat(4096));
  const inside = workdir();
  mkdirSync(inside.file('allowed'));
  for (const name of ['there', 'missing']) symlinkSync(outside.file(name), inside.file(`link-${name}`));
  symlinkSync(outside.path, inside.file('allowed/out'));
  symlinkSync(`${outside.path}/folder/..`, inside.file('allowed/dots'));
  return { inside, outside };
}

/** Pairs of names, of which only the first is that of a file. */
const PAIRS: readonly (readonly [about: string, names: (scene: Scene) => readonly [string, string]])[] = [
  ['absolute names', ({ outside }) => [outside.file('there'), outside.file('missing')]],
  ['/etc/shadow and its neighbour', () => ['/etc/shadow', '/etc/shadow-none']],
  ['dots', ({ outside }) => [dots(outside, 'there'), dots(outside, 'missing')]],
  ['links beside the image', () => ['link-there', 'link-missing']],
  ['a linked directory below an allowed one', () => ['allowed/out/there', 'allowed/out/missing']],
  ['dots in the text of a link', () => ['allowed/dots/there', 'allowed/dots/missing']],
  ['a directory where a file is asked for', ({ outside }) => [outside.file('folder'), outside.file('none')]],
  ['a file where a directory is asked for', ({ outside }) => [outside.file('there/x'), outside.file('missing/x')]],
  ['the current directory of a process', () => ['/proc/self/cwd/image.qcow2', '/proc/self/cwd/none']],
  ['the root of a process', () => ['/proc/1/root/etc/passwd', '/proc/1/root/etc/none']],
  ['what would be mounted', () => ['/net/host/there', '/misc/missing']],
];

function dots(outside: Workdir, name: string): string {
  return `../${outside.path.split('/').slice(-1).join('/')}/${name}`;
}

describe.for(PAIRS)('%s that an image may not use', ([, namesOf]) => {
  it.for(['backing', 'dataFile'] as const)('have one answer, and nothing looks for them: %s', (kind, context) => {
    requireJudge(context, STRACE);
    const { inside, outside } = scene();
    const names = namesOf({ inside, outside });
    const answers = names.map((name) => {
      const builder = new Qcow2Builder().l2(0, 0n);
      inside.write('image.qcow2', (kind === 'backing' ? builder.backing(name, 'raw') : builder.dataFile(name)).bytes);
      const trace = `${inside.path}.trace`;
      const finished = instar('dd', '--allow-path', 'allowed', 'if=image.qcow2', 'of=out.raw')
        .under('strace', '-f', '-qq', '-s', '4096', '-e', CALLS, '-o', trace)
        .in(inside)
        .run();
      const calls = inside.readOutside(trace).split('\n');
      // A link beside the image is looked at; what it leads to is not.
      const lies = name.startsWith('link-');
      const touched = calls.filter((call) => {
        const seen = /^\d+ +[a-z0-9]+\((?:[^"]*)"((?:[^"\\]|\\.)*)"/.exec(call)?.[1] ?? '';
        return (
          seen.startsWith(outside.path) ||
          (seen === name && !lies) ||
          seen.endsWith('/there') ||
          seen.endsWith('/missing')
        );
      });
      expect(touched).toEqual([]);
      return [finished.status, finished.stderr.replaceAll(name, 'NAME'), finished.stdout];
    });
    expect(answers[0]).toEqual(answers[1]);
    expect(answers[0]?.[0]).toBe(1);
    expect(answers[0]?.[1]).toMatch(/^instar: dd: image\.qcow2: its [^\n]+ "NAME" lies outside [^\n]+\n$/);
  });
});
