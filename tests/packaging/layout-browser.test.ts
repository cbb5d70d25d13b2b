import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requireJudge, type Judge } from '../support/judge.js';
import { PackedProject } from './packed-project.js';

const CHROMIUM: Judge = { program: 'chromium', probe: ['--version'], package: 'chromium' };

const RELA = `
import { struct, u64, u32, i64, integral, codec } from '@instar/layout';
const info = integral('RelInfo', u64, { r_sym: u32, r_type: u32 });
const rela = codec(struct('Elf64_Rela', { r_offset: u64, r_info: info, r_addend: i64 }));
const { r_offset, r_info, r_addend } =
  rela.decode(rela.encode({ r_offset: 4096n, r_info: { r_sym: 7, r_type: 8 }, r_addend: -2n }));
`;
const SHOW = `
let generated = 'compiled';
try { new Function('return 1')(); } catch { generated = 'interpreted'; }
document.body.textContent = [r_offset, r_info.r_sym, r_info.r_type, r_addend, generated].join(' ');
`;

/** Most bytes that reading and writing one struct may add to a page, compressed: without the compiler, and with it. */
const MOST_BYTES = { interpretedCodec: 8000, codec: 10_000 } as const;

/** Bundles a program of the project as Vite does by default. */
async function bundle(project: PackedProject, program: string): Promise<string> {
  project.write('main.js', program);
  const built = await build({
    root: project.path,
    configFile: false,
    logLevel: 'error',
    build: {
      write: false,
      rolldownOptions: { input: join(project.path, 'main.js'), output: { format: 'iife' } },
    },
  });
  if (!Array.isArray(built) && !('output' in built)) throw new Error('vite watches, but was not asked to');
  const [chunk] = (Array.isArray(built) ? built : [built]).flatMap(({ output }) => output);
  if (chunk?.type !== 'chunk') throw new Error('vite made no code');
  return chunk.code;
}

/** The text of a page that runs a script. */
function pageText(project: PackedProject, script: string, policy: string): string {
  const head = `<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy}">`;
  project.write('page.html', `<!doctype html><head>${head}</head><body><script>${script}</script></body>`);
  const page = pathToFileURL(join(project.path, 'page.html')).href;
  const switches = [
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    `--user-data-dir=${join(project.path, 'profile')}`,
  ];
  const dom = execFileSync('chromium', [...switches, '--dump-dom', page], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 60_000,
  });
  return /<body>(.*)<\/body>/s.exec(dom)?.[1]?.trim() ?? dom;
}

describe('the packed tarball of @instar/layout, bundled by Vite', () => {
  let project: PackedProject;

  beforeAll(() => {
    project = new PackedProject(['packages/layout']);
  });

  afterAll(() => {
    project.remove();
  });

  it.each(['interpretedCodec', 'codec'] as const)('is small with %s', async (name) => {
    const program = `${RELA}console.log(r_offset, r_info, r_addend);`
      .replace('codec }', `${name} }`)
      .replace('codec(', `${name}(`);
    const code = await bundle(project, program);
    expect(gzipSync(code, { level: 9 }).length).toBeLessThan(MOST_BYTES[name]);
  });

  it('decodes in a browser', { timeout: 90_000 }, async (context) => {
    requireJudge(context, CHROMIUM);
    const code = await bundle(project, RELA + SHOW);
    expect(pageText(project, code, "script-src 'unsafe-inline' 'unsafe-eval'")).toBe('4096 7 8 -2 compiled');
  });

  it('decodes in a page that forbids to make code from strings', { timeout: 90_000 }, async (context) => {
    requireJudge(context, CHROMIUM);
    const code = await bundle(project, RELA + SHOW);
    expect(pageText(project, code, "script-src 'unsafe-inline'")).toBe('4096 7 8 -2 interpreted');
    const small = await bundle(
      project,
      RELA.replace('codec }', 'interpretedCodec }').replace('codec(', 'interpretedCodec(') + SHOW,
    );
    expect(pageText(project, small, "script-src 'unsafe-inline'")).toBe('4096 7 8 -2 interpreted');
  });
});
