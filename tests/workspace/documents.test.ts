// Pages that people read: their links lead somewhere, and what they say of commands and workflows is there.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SAFETY_CHECKS } from '@instar/engine';
import { ROOT } from '../support/command.js';

const PAGES = [
  ...['.', 'docs', 'docs/plans', 'examples'],
  ...readdirSync(join(ROOT, 'packages')).map((name) => `packages/${name}`),
].flatMap((folder) =>
  readdirSync(join(ROOT, folder))
    .filter((name) => /\.(?:md|txt)$/.test(name) && name !== 'CHANGELOG.md')
    .map((name) => join(folder, name)),
);

function linksOf(page: string): readonly string[] {
  // What stands between backquotes is no link.
  const text = readFileSync(join(ROOT, page), 'utf8')
    .replace(/```.*?```/gs, '')
    .replace(/`[^`\n]*`/g, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target ?? '');
}

describe('pages', () => {
  it('are many, and have links', () => {
    expect(PAGES.length).toBeGreaterThan(40);
    expect(PAGES.flatMap(linksOf).length).toBeGreaterThan(80);
  });

  it.each(PAGES)('links in %s lead to files that are there', (page) => {
    const broken = linksOf(page).filter((target) => {
      const [path = ''] = target.split('#');
      return path !== '' && !/^[a-z]+:/.test(path) && !existsSync(resolve(ROOT, dirname(page), path));
    });
    expect(broken).toEqual([]);
  });
});

it('the page of safety checks has a section and a row for each', () => {
  const text = readFileSync(join(ROOT, 'docs/safety-checks.md'), 'utf8');
  const sections = [...text.matchAll(/^## (\S+)$/gm)].map(([, name]) => name);
  const rows = [...text.matchAll(/^\| \[(\S+)\]\(#\1\)/gm)].map(([, name]) => name);
  expect(sections).toEqual(SAFETY_CHECKS);
  expect(rows).toEqual(SAFETY_CHECKS);
  expect(text.match(/\*\*What to do:\*\*/g)).toHaveLength(SAFETY_CHECKS.length);
});

it('workflows run scripts that are there', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const folder = join(ROOT, '.github/workflows');
  const text = readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n');
  const run = [...text.matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name ?? '');
  expect(run.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
  for (const [, path = ''] of text.matchAll(/(?<=vitest run |\s)((?:tests|packages|\.ci)\/[\w./-]+)/g)) {
    const parent = join(ROOT, dirname(path));
    expect(readdirSync(parent).some((name) => join(parent, name).startsWith(join(ROOT, path)))).toBe(true);
  }
});
