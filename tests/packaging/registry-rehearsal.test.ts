// From publishing to `npx @instar/cli dd` in an empty folder, with a registry of its own; also with other versions of Node.js,
// which npm has as packages. Minutes, and downloads: by option only (INSTAR_REHEARSAL=1).
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { program, ROOT } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { Workdir } from '../support/workdir.js';

const MINUTES = 60_000;
/** The last one that runs on Node 20; it asks for a version of node-fetch that does not exist. */
const REGISTRY = { dependencies: { verdaccio: '6.8.0' }, overrides: { 'node-fetch': '2.7.0' } };
/** As npm publishes them: a program at bin/node. */
const VERSIONS = ['22', '24'] as const;

const PACKAGES = ['packages', 'packages/vmm-native/npm']
  .flatMap((folder) => readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`))
  .filter((folder) => existsSync(join(ROOT, folder, 'package.json')));

/** Other programs that run JavaScript: as npm has them, and the words in front of the script. */
const RUNTIMES = [
  ['bun', '1.4.5'],
  ['deno', '2.9.6', 'run', '--allow-all'],
] as const;

/** What a script does with the library. */
const USE = `
import { closePool, convert, info, isInstarError } from '@instar/engine';
const { format } = await info('disk.qcow2');
console.log(format);
for (const sandbox of ['kvm', 'process']) {
  const { bytes, sandbox: used } = await convert('disk.qcow2', sandbox + '.raw', { outputFormat: 'raw', sandbox });
  console.log(bytes + 'n', used);
}
try {
  await info('missing');
} catch (error) {
  console.log(error.code, isInstarError(error));
}
await closePool();
`;

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface Tree {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, Tree>>;
}

/** The version of each package. */
const CURRENT: Readonly<Record<string, string>> = Object.fromEntries(
  PACKAGES.map((folder) => {
    const manifest = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8')) as Manifest;
    return [manifest.name, manifest.version];
  }),
);

/** The next version of a number. */
function next(version: string): string {
  const [major = '0', minor = '0', patch = '0'] = version.split('.');
  return `${major}.${minor}.${Number(patch) + 1}-next.0`;
}

/** A package in its next version, which asks for the next versions of the others. */
function raised(manifest: Manifest): Manifest {
  const others = (list: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> =>
    Object.fromEntries(
      Object.entries(list).map(([name, range]) => [name, name in CURRENT ? next(CURRENT[name] ?? range) : range]),
    );
  const { dependencies, optionalDependencies } = manifest;
  return {
    ...manifest,
    version: next(manifest.version),
    dependencies: others(dependencies),
    optionalDependencies: others(optionalDependencies),
  };
}

/** The versions of our packages in a tree of installed ones. */
function versionsOf(tree: Tree, found = new Map<string, Set<string>>()): ReadonlyMap<string, ReadonlySet<string>> {
  for (const [name, package_] of Object.entries(tree.dependencies ?? {})) {
    if (name.startsWith('@instar/') && package_.version !== undefined) {
      found.set(name, (found.get(name) ?? new Set()).add(package_.version));
    }
    versionsOf(package_, found);
  }
  return found;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function installed(directory: Workdir, name: string, manifest: object): string {
  mkdirSync(directory.file(name));
  directory.write(`${name}/package.json`, JSON.stringify({ private: true, ...manifest }));
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: directory.file(name) });
  return directory.file(name);
}

describe('a registry to which everything was published', () => {
  const directory = new Workdir();
  let registry: ChildProcess | undefined;
  let user: Readonly<Record<string, string>> = {};

  beforeAll(async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}/`;
    const folder = installed(directory, 'registry', REGISTRY);
    // Nothing of it comes from elsewhere, and anybody may publish.
    directory.write(
      'registry/config.yaml',
      `storage: ./storage\nauth:\n  htpasswd:\n    file: ./htpasswd\npackages:\n  '**':\n    access: $all\n    publish: $anonymous\nlog: { type: file, path: ./log, level: warn }\n`,
    );
    registry = spawn(
      process.execPath,
      ['node_modules/verdaccio/bin/verdaccio', '--config', 'config.yaml', '--listen', url],
      {
        cwd: folder,
        stdio: 'ignore',
      },
    );
    directory.write('npmrc', `registry=${url}\n//127.0.0.1:${port}/:_authToken=anybody\n`);
    user = { npm_config_userconfig: directory.file('npmrc'), npm_config_cache: directory.file('cache') };
    await vi.waitFor(async () => fetch(`${url}-/ping`), { timeout: MINUTES, interval: 200 });
    for (const name of PACKAGES) {
      program('npm', 'publish', '--provenance=false', '--loglevel=error').in(join(ROOT, name)).environment(user).must();
    }
  }, 5 * MINUTES);

  afterAll(() => {
    registry?.kill();
    directory.remove();
  });

  it('npx @instar/cli dd copies in an empty folder what qemu-img copies', { timeout: 5 * MINUTES }, (context) => {
    requireJudge(context, QEMU_IMG);
    mkdirSync(directory.file('empty'));
    copyFileSync(join(ROOT, 'examples/disk.qcow2'), directory.file('empty/disk.qcow2'));
    const operands = ['if=disk.qcow2', 'bs=1M', 'skip=1', 'count=3'];
    program('npx', '--yes', '@instar/cli', 'dd', ...operands, 'of=ours.raw')
      .in(directory.file('empty'))
      .environment(user)
      .must();
    program('qemu-img', 'dd', '-O', 'raw', ...operands, 'of=theirs.raw')
      .in(directory.file('empty'))
      .must();
    expect(directory.read('empty/ours.raw').equals(directory.read('empty/theirs.raw'))).toBe(true);
    expect(directory.read('empty/ours.raw').length).toBe(2 << 20);
  });

  it.for(VERSIONS.map((version) => [version] as const))(
    'it runs with Node.js %s',
    { timeout: 5 * MINUTES },
    ([version]) => {
      const node = join(
        installed(directory, `node-${version}`, { dependencies: { node: version } }),
        'node_modules/node/bin/node',
      );
      const folder = `with-${version}`;
      mkdirSync(directory.file(folder));
      directory.write(`${folder}/package.json`, JSON.stringify({ private: true }));
      copyFileSync(join(ROOT, 'examples/disk.qcow2'), directory.file(`${folder}/disk.qcow2`));
      const here = directory.file(folder);
      program('npm', 'install', '--no-audit', '--no-fund', '@instar/cli', '@instar/engine')
        .in(here)
        .environment(user)
        .must();
      expect(program(node, '--version').must().stdout).toMatch(new RegExp(`^v${version}\\.`));
      program(node, 'node_modules/@instar/cli/bin/instar.js', 'dd', 'if=disk.qcow2', 'of=out.raw').in(here).must();
      expect(readFileSync(directory.file(`${folder}/out.raw`)).length).toBe(4 << 20);
      const use =
        "const [image] = await (await import('@instar/engine')).info('disk.qcow2'); console.log(image.format);";
      expect(program(node, '--input-type=module', '-e', use).in(here).must().stdout).toBe('qcow2\n');
    },
  );

  it.for(RUNTIMES)('the library runs under %s', { timeout: 5 * MINUTES }, ([runtime, version, ...words]) => {
    const folder = `under-${runtime}`;
    // From the registry of the user: it is nothing of ours.
    const itself = installed(directory, `${folder}-itself`, { dependencies: { [runtime]: version } });
    const executable = join(itself, 'node_modules/.bin', runtime);
    mkdirSync(directory.file(folder));
    directory.write(`${folder}/package.json`, JSON.stringify({ private: true, type: 'module' }));
    copyFileSync(join(ROOT, 'examples/disk.qcow2'), directory.file(`${folder}/disk.qcow2`));
    directory.write(`${folder}/use.js`, USE);
    const here = directory.file(folder);
    program('npm', 'install', '--no-audit', '--no-fund', '@instar/engine').in(here).environment(user).must();
    expect(
      program(executable, ...words, 'use.js')
        .in(here)
        .must().stdout,
    ).toBe('qcow2\n4194304n kvm\n4194304n process\nREAD_FAILED true\n');
    for (const sandbox of ['kvm', 'process']) {
      expect(readFileSync(directory.file(`${folder}/${sandbox}.raw`)).length).toBe(4 << 20);
    }
  });

  it('an upgrade leaves nothing of the version before', { timeout: 5 * MINUTES }, () => {
    mkdirSync(directory.file('upgraded'));
    directory.write('upgraded/package.json', JSON.stringify({ private: true }));
    copyFileSync(join(ROOT, 'examples/disk.qcow2'), directory.file('upgraded/disk.qcow2'));
    const here = directory.file('upgraded');
    const install = ['install', '--no-audit', '--no-fund'];
    program('npm', ...install, '@instar/cli')
      .in(here)
      .environment(user)
      .must();
    const before = program('npx', 'instar', '--version').in(here).must().stdout;
    mkdirSync(directory.file('next'));
    for (const name of PACKAGES) {
      const packed = program('npm', 'pack', '--json', '--pack-destination', directory.file('next')).in(
        join(ROOT, name),
      );
      const [{ filename }] = JSON.parse(packed.must().stdout) as [{ readonly filename: string }];
      program('tar', '-xf', filename).in(directory.file('next')).must();
      const manifest = JSON.parse(directory.read('next/package/package.json').toString()) as Manifest;
      directory.write('next/package/package.json', JSON.stringify(raised(manifest)));
      const publish = ['publish', '--tag=latest', '--provenance=false', '--loglevel=error'];
      program('npm', ...publish)
        .in(directory.file('next/package'))
        .environment(user)
        .must();
      program('rm', '-r', 'package').in(directory.file('next')).must();
    }
    program('npm', ...install, '@instar/cli@latest')
      .in(here)
      .environment(user)
      .must();
    const after = program('npx', 'instar', '--version').in(here).must().stdout;
    expect(after).not.toBe(before);
    expect(after).toMatch(/-next\.0\n$/);
    program('npx', 'instar', 'dd', 'if=disk.qcow2', 'of=out.raw').in(here).must();
    expect(directory.read('upgraded/out.raw').length).toBe(4 << 20);
    const tree = JSON.parse(program('npm', 'ls', '--all', '--json').in(here).must().stdout) as Tree;
    const versions = versionsOf(tree);
    expect(versions.size).toBeGreaterThan(3);
    for (const [name, found] of versions) expect([name, ...found].join(' ')).toMatch(/^\S+ \S+-next\.0$/);
  });

  it('all man pages are there after npm install --global', { timeout: 5 * MINUTES }, () => {
    const prefix = directory.file('prefix');
    program('npm', 'install', '--global', '--no-audit', '--no-fund', '--prefix', prefix, '@instar/cli')
      .environment(user)
      .must();
    const { man } = JSON.parse(readFileSync(join(ROOT, 'packages/cli/package.json'), 'utf8')) as {
      readonly man: readonly string[];
    };
    expect(readdirSync(join(prefix, 'share/man/man1')).sort()).toEqual(
      man.map((page) => page.replace('dist/man/', '')).sort(),
    );
    expect(program(join(prefix, 'bin/instar'), '--version').must().stdout).toMatch(/^instar \d/);
  });
});
