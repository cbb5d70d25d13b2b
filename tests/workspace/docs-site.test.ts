// The docs site, built and looked at in a browser: by option only (INSTAR_DOCS=1), since a build takes half a minute.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, extname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { program, ROOT } from '../support/command.js';
import { requireJudge, type Judge } from '../support/judge.js';
import { workdir } from '../support/workdir.js';

const CHROMIUM: Judge = { program: 'chromium', probe: ['--version'], package: 'chromium' };
const SITE = join(ROOT, 'docs/.vitepress/dist');
const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };

describe('the docs site', () => {
  let server: Server;
  let url = '';

  beforeAll(async () => {
    program('npm', 'run', '--silent', 'docs:build').in(ROOT).must();
    server = createServer(({ url: path = '/' }, response) => {
      const name = new URL(path, 'http://site').pathname;
      const file = resolve(SITE, `.${name.endsWith('/') ? `${name}index.html` : name}`);
      if (!file.startsWith(SITE) || !existsSync(file)) response.writeHead(404).end();
      else response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'text/plain' }).end(readFileSync(file));
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }, 180_000);

  afterAll(() => {
    server.close();
  });

  it.for([
    ['/', 'errors with stable codes, progress, cancellation, JSON.'],
    ['/safe-uploads.html', 'A folder of its own for each upload'],
    ['/errors.html', 'IMAGE_TRUNCATED'],
    ['/api/functions/inspect.html', 'Inspection'],
  ] as const)('%s is shown by a browser', async ([path, text], context) => {
    requireJudge(context, CHROMIUM);
    const switches = [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      `--user-data-dir=${workdir().file('profile')}`,
    ];
    const { stdout } = await program(
      'chromium',
      ...switches,
      '--virtual-time-budget=5000',
      '--dump-dom',
      `${url}${path}`,
    ).start();
    expect(stdout).toContain(text);
    expect(stdout).toContain('VPNavBarSearch');
  });

  it('has no link of its own that leads nowhere', () => {
    const pages = readdirSync(SITE, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.html'));
    const broken = pages.flatMap((page) =>
      [...readFileSync(join(SITE, page), 'utf8').matchAll(/href="([^"#?]+)/g)]
        .map(([, target = '']) => target)
        // To the repository, in which these pages are read as well.
        .filter((target) => !/^[a-z]+:|\.\.\/|\/plans\/|^plans\//.test(target))
        .filter((target) => {
          const file = target.startsWith('/') ? join(SITE, target) : resolve(SITE, dirname(page), target);
          return !existsSync(target.endsWith('/') ? join(file, 'index.html') : file);
        })
        .map((target) => `${page}: ${target}`),
    );
    expect(pages.length).toBeGreaterThan(20);
    expect(broken).toEqual([]);
  });
});
