// What npm would publish of each package, before anything is packed.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { program, ROOT } from '../support/command.js';

const PACKAGES = ['packages', 'packages/vmm-native/npm']
  .flatMap((folder) => readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`))
  .filter((folder) => existsSync(join(ROOT, folder, 'package.json')));

/** Packages into which code of others is compiled. */
const WITH_NOTICES: Readonly<Record<string, readonly string[]>> = {
  'packages/cli': ['commander', 'valibot'],
  'packages/engine': ['valibot'],
  'packages/convert-guest': ['miniz_oxide', 'libdeflate-sys', 'zstd-safe'],
  'packages/vmm-native/npm/linux-x64-gnu': ['kvm-ioctls', 'napi', 'seccompiler'],
};

it('every package says where it comes from, in the same words', () => {
  const checked = program(process.execPath, 'scripts/package-metadata.mjs', '--check').in(ROOT).run();
  expect(checked.stderr).toBe('');
  for (const folder of PACKAGES) {
    const manifest: unknown = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'));
    expect(manifest).toMatchObject({
      license: 'Apache-2.0',
      repository: { type: 'git', directory: folder },
      publishConfig: { access: 'public', provenance: true },
    });
  }
});

let listed: ReadonlyMap<string, readonly string[]> | undefined;

/** What npm would pack of each package; npm takes a second to start, so it is asked once. */
function packed(): ReadonlyMap<string, readonly string[]> {
  if (listed === undefined) {
    const text = execFileSync('npm', ['pack', '--dry-run', '--ignore-scripts', '--json', '--workspaces'], {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const all = JSON.parse(text) as readonly {
      readonly name: string;
      readonly files: readonly { readonly path: string }[];
    }[];
    listed = new Map(all.map(({ name, files }) => [name, files.map(({ path }) => path)]));
  }
  return listed;
}

describe.each(PACKAGES)('what npm packs of %s', (name) => {
  it('has a page to read, the whole licence, and those of what is compiled in', () => {
    const folder = join(ROOT, name);
    const { name: called } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      readonly name: string;
    };
    const files = packed().get(called) ?? [];
    expect(files).toEqual(expect.arrayContaining(['README.md', 'LICENSE']));
    expect(readFileSync(join(folder, 'LICENSE'))).toEqual(readFileSync(join(ROOT, 'LICENSE')));
    if (name === 'packages/cli') expect(files.filter((file) => file.endsWith('.map'))).toEqual([]);
    const notices = files.find((file) => file.endsWith('THIRD_PARTY_NOTICES.txt'));
    const text = notices === undefined ? '' : readFileSync(join(folder, notices), 'utf8');
    for (const other of WITH_NOTICES[name] ?? [])
      expect(text).toMatch(new RegExp(`^${other} \\d+\\.\\d+\\.\\d+ \\(`, 'm'));
  });
});
