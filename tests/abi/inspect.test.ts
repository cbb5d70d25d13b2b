import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { requireJudge, type Judge } from '../support/judge.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { CHROMIUM, inBrowser, selected } from './page-in-browser.js';

const GCC: Judge = { program: 'gcc', probe: ['--version'], package: 'gcc' };

const HEADER = `
struct point { int x, y; };
struct header {
  unsigned char kind : 3, flags : 5;
  char name[9];
  unsigned short length;
  struct point at[2];
};
`;
const HOSTILE = '<b>"&\u001b';

function prepared(): Workdir {
  const directory = workdir();
  directory.write('h.h', HEADER);
  const layout = instar('abi', 'extract', 'h.h', 'struct header', '--layout').in(directory).must().stdout;
  directory.write('layout.json', layout);
  const bytes = Buffer.alloc(31);
  bytes[3] = 0b101_011;
  bytes.write(HOSTILE, 4);
  bytes.writeUInt16LE(700, 13);
  bytes.writeInt32LE(-5, 15);
  directory.write('one', bytes);
  bytes.writeInt32LE(-6, 15);
  directory.write('two', bytes.subarray(3));
  return directory;
}

const page = (directory: Workdir, ...words: readonly string[]): string =>
  instar('abi', 'inspect', '--html', '--from', 'layout.json', ...words)
    .in(directory)
    .must().stdout;

describe('a page about a value', () => {
  it('selects the bytes of a field and the field of bytes, in a browser', (context) => {
    for (const judge of [GCC, CHROMIUM]) requireJudge(context, judge);
    const directory = prepared();
    directory.write('page.html', page(directory, 'header', 'one@3'));
    const point = selected(inBrowser(directory, 'page.html', '#at%5B0%5D.x'));
    expect(point).toEqual(['fb', 'ff', 'ff', 'ff', 'x -5 0xc, 32 bits']);
    // A byte that two fields share is marked for each.
    expect(selected(inBrowser(directory, 'page.html', '#flags'))).toEqual(['2b', 'flags 5 0x0, 5 bits']);
    expect(selected(inBrowser(directory, 'page.html', '#kind'))).toEqual(['2b', 'kind 3 0x0, 3 bits']);
    expect(selected(inBrowser(directory, 'page.html', ''))).toEqual([]);
  });

  it('needs nothing else, and has what a file says as text', (context) => {
    requireJudge(context, GCC);
    const text = page(prepared(), 'header', 'one@3');
    expect(text).toContain("default-src 'none'");
    expect(text).not.toMatch(/\b(src|href)=/);
    expect(text).not.toContain('<b>"');
    expect(text).toContain('&lt;b&gt;');
    expect(text).not.toContain('\u001b');
  });

  it('says which fields of two files differ', (context) => {
    requireJudge(context, GCC);
    const directory = prepared();
    const text = page(directory, 'header', 'one@3', 'two');
    expect(text).toContain('1 of 8 fields differ');
    expect([...text.matchAll(/data-path="([^"]*)" class="changed"/g)].map(([, path]) => path)).toEqual(['at[0].x']);
    expect(text).toContain('<s>-5</s> -6');
    expect(page(directory, 'header', 'two', 'two')).toContain('0 of 8 fields differ');
    const missing = instar('abi', 'inspect', '--from', 'layout.json', 'header', 'one').in(directory).run();
    expect([missing.status, missing.stderr]).toEqual([1, expect.stringContaining('--html')]);
  });
});
