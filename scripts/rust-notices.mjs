// The licences of all foreign crates that are compiled into Rust programs of this workspace.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** @param {string} cwd @param {...string} args */
function cargo(cwd, ...args) {
  return execFileSync('cargo', [...args, '--locked'], {
    cwd,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** @param {{ name: string, version: string, license: string | null, manifest_path: string }} crate */
function notice({ name, version, license, manifest_path: manifest }) {
  const directory = dirname(manifest);
  const files = readdirSync(directory)
    .filter((entry) => /^(licen[cs]e|copying|unlicense|notice)/i.test(entry))
    .sort();
  const texts = files.map((file) => {
    try {
      return readFileSync(join(directory, file), 'utf8').trim();
    } catch (error) {
      // A directory of licences.
      if (error.code === 'EISDIR') return '';
      throw error;
    }
  });
  return `${name} ${version} (${license ?? 'see below'})\n\n${texts.filter((text) => text !== '').join('\n\n')}`.trim();
}

/**
 * @param {string} workspace folder of a Cargo workspace
 * @param {readonly string[]} programs crates that are compiled into what is shipped
 * @returns {string}
 */
export function rustNotices(workspace, programs) {
  const wanted = programs.flatMap((name) => ['--package', name]);
  const tree = cargo(
    workspace,
    'tree',
    ...wanted,
    '--edges',
    'normal,no-proc-macro',
    '--prefix',
    'none',
    '--format',
    '{p}',
  );
  const used = new Set(tree.split('\n').map((line) => line.split(' ').slice(0, 2).join(' ')));
  const { packages, workspace_members: own } = JSON.parse(cargo(workspace, 'metadata', '--format-version', '1'));
  const foreign = packages.filter(
    ({ id, name, version, source }) => source !== null && !own.includes(id) && used.has(`${name} v${version}`),
  );
  const notices = foreign.sort((one, two) => (one.name < two.name ? -1 : 1)).map(notice);
  return `Compiled into these programs, besides the standard library of Rust (MIT or Apache-2.0):\n\n${notices.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}
