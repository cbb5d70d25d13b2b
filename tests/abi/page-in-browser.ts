import { pathToFileURL } from 'node:url';
import { program } from '../support/command.js';
import type { Judge } from '../support/judge.js';
import type { Workdir } from '../support/workdir.js';

export const CHROMIUM: Judge = { program: 'chromium', probe: ['--version'], package: 'chromium' };

/** The page after its script has run. */
export function inBrowser(directory: Workdir, name: string, fragment: string): string {
  return program(
    'chromium',
    ...[
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      `--user-data-dir=${directory.file('profile')}`,
      '--dump-dom',
    ],
    `${pathToFileURL(directory.file(name)).href}${fragment}`,
  ).must().stdout;
}

/** Texts of the elements that are selected. */
export function selected(dom: string): string[] {
  return [...dom.matchAll(/<(td|li) [^>]*class="(?:[^"]* )?on"[^>]*>(.*?)<\/\1>/gs)].map(([, , text = '']) =>
    text.replaceAll(/<[^>]*>/g, '').trim(),
  );
}
