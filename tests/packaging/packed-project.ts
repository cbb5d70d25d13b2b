import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../support/command.js';

const require = createRequire(import.meta.url);

/** Runs npm quietly, with the authorities that the machine has for it (vitest.config.ts keeps them from all other programs). */
export function npm(cwd: string, ...args: readonly string[]): string {
  const certificates = process.env['INSTAR_NPM_CA_CERTS'];
  return execFileSync('npm', [...args, '--loglevel=error', '--no-audit', '--no-fund'], {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, ...(certificates === undefined ? {} : { NODE_EXTRA_CA_CERTS: certificates }) },
  });
}

/** An empty project into which packages of this workspace were installed from their packed tarballs. */
export class PackedProject {
  readonly #scratch: string;
  /** Folder of the project. */
  readonly path: string;

  /** @param packages folders of the packages, relative to the root of the repository */
  constructor(packages: readonly string[], { offline = true }: { readonly offline?: boolean } = {}) {
    this.#scratch = mkdtempSync(join(tmpdir(), 'instar-tarball-'));
    this.path = join(this.#scratch, 'project');
    mkdirSync(this.path);
    const tarballs = packages.map((folder) => {
      const printed = npm(join(ROOT, folder), 'pack', '--json', '--pack-destination', this.#scratch);
      const [packed] = JSON.parse(printed) as [{ filename: string }];
      return join(this.#scratch, packed.filename);
    });
    this.write('package.json', JSON.stringify({ name: 'empty', version: '1.0.0', private: true }));
    npm(this.path, 'install', offline ? '--offline' : '--prefer-offline', '--ignore-scripts', ...tarballs);
  }

  /** Writes a file of the project. */
  write(name: string, content: string): void {
    writeFileSync(join(this.path, name), content);
  }

  /** Runs node in the project; what it prints. */
  node(...args: readonly string[]): string {
    return execFileSync(process.execPath, args, { cwd: this.path, encoding: 'utf8' });
  }

  /** Compiles a file with the strictest settings and without the types of any runtime; returns the complaints. */
  compile(file: string): string {
    const compilerOptions = {
      strict: true,
      exactOptionalPropertyTypes: true,
      target: 'es2022',
      module: 'nodenext',
      types: [],
    };
    this.write('tsconfig.json', JSON.stringify({ compilerOptions, files: [file] }));
    const tsc = require.resolve('typescript/bin/tsc');
    return spawnSync(process.execPath, [tsc, '-p', this.path], { cwd: this.path, encoding: 'utf8' }).stdout;
  }

  /** Names of the packages that were installed, with all that they brought along. */
  installed(): readonly string[] {
    const tree = JSON.parse(npm(this.path, 'ls', '--all', '--json')) as { dependencies: Record<string, object> };
    return Object.keys(tree.dependencies).sort();
  }

  /** Removes it. */
  remove(): void {
    rmSync(this.#scratch, { recursive: true, force: true });
  }
}
