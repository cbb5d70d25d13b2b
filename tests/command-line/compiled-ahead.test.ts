// What V8 compiled of the commands when the program was built spares it to every start, and is never in the way.
import { copyFileSync, cpSync, mkdirSync, readdirSync, rmSync, symlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INSTAR, ROOT, program, type Finished } from '../support/command.js';
import { Workdir } from '../support/workdir.js';

const PACKAGE = join(ROOT, 'packages/cli');
const MADE = `${process.versions.v8}-${process.arch}`;
/** Loaded before the program: says on stderr what V8 did with what it was given. */
const LISTEN = `
const vm = require('node:vm');
const { Script } = vm;
vm.Script = class extends Script {
  constructor(source, options) {
    super(source, options);
    const name = require('node:path').basename(options.filename);
    console.error(name + ' was compiled before: ' + (this.cachedDataRejected === false));
  }
};`;

describe('commands that were compiled when the program was built', () => {
  let folder: Workdir;

  beforeAll(() => {
    folder = new Workdir().write('listen.cjs', LISTEN);
    copyFileSync(join(ROOT, 'examples/disk.qcow2'), folder.file('disk.qcow2'));
  });

  afterAll(() => {
    folder.remove();
  });

  function start(entry: string, words: readonly string[], flags: readonly string[] = []): Finished {
    return program(process.execPath, ...flags, '--require', folder.file('listen.cjs'), entry, ...words)
      .in(folder)
      .run();
  }

  it('are those that are started most, and what each begins with', () => {
    expect(readdirSync(join(PACKAGE, 'dist/compiled', MADE)).sort()).toEqual(
      ['check', 'compare', 'convert', 'create', 'dd', 'info', 'main', 'map', 'measure'].map((name) => `${name}.bin`),
    );
  });

  for (const line of ['info disk.qcow2', 'dd if=disk.qcow2 of=disk.raw count=1', 'check disk.qcow2']) {
    it(`are taken by V8: ${line}`, () => {
      const { status, stderr } = start(INSTAR, line.split(' '));
      expect(stderr).toContain(`${line.split(' ')[0]}.cjs was compiled before: true`);
      expect(stderr).toContain('main.cjs was compiled before: true');
      expect(status).toBe(0);
    });
  }

  it('are compiled again under other flags of V8', () => {
    const ahead = start(INSTAR, ['info', 'disk.qcow2']);
    const again = start(INSTAR, ['info', 'disk.qcow2'], ['--no-lazy']);
    expect(again.stderr).toContain('info.cjs was compiled before: false');
    expect([again.status, again.stdout]).toEqual([0, ahead.stdout]);
  });

  it('are compiled again where a module was changed since, or nothing was compiled', () => {
    const copy = folder.file('package');
    mkdirSync(copy);
    for (const name of ['bin', 'dist', 'package.json'])
      cpSync(join(PACKAGE, name), join(copy, name), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    const entry = join(copy, 'bin/instar.js');
    const module = join(copy, 'dist/commands/info.cjs');
    const compiled = join(copy, 'dist/compiled', MADE, 'info.bin');
    const at = new Date('2026-01-02T00:00:00Z');
    utimesSync(module, at, at);
    utimesSync(compiled, at, at);
    const ahead = start(entry, ['info', 'disk.qcow2']);
    expect(ahead.stderr).toContain('info.cjs was compiled before: true');
    utimesSync(module, at, new Date(at.getTime() + 1000));
    const changed = start(entry, ['info', 'disk.qcow2']);
    expect([changed.status, changed.stdout]).toEqual([0, ahead.stdout]);
    expect(changed.stderr).not.toContain('info.cjs was compiled before');
    rmSync(join(copy, 'dist/compiled'), { recursive: true });
    const without = start(entry, ['info', 'disk.qcow2']);
    expect([without.status, without.stdout, without.stderr]).toEqual([0, ahead.stdout, '']);
  });
});
