// What stands around the program in node: loaders that replace node's functions on files, and its permission model.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { INSTAR, ROOT, program } from '../support/command.js';
import { workdir } from '../support/workdir.js';

/** As in the loader of Yarn's Plug'n'Play: names come as text, whatever was asked for. */
const LOADER = `
const fs = require('node:fs');
const { readlinkSync, realpathSync } = fs;
fs.readlinkSync = (path) => readlinkSync(path);
fs.realpathSync = Object.assign((path) => realpathSync(path), realpathSync);
`;

it('edits an image where a loader gives names of files as text', () => {
  const directory = workdir().write('loader.cjs', LOADER).write('disk.raw', Buffer.alloc(4096));
  program(process.execPath, '--require', directory.file('loader.cjs'), INSTAR, 'resize', '-q', 'disk.raw', '8k')
    .in(directory)
    .must();
  expect(directory.read('disk.raw')).toHaveLength(8192);
});

it('lies in a folder of its own for Yarn, whose archives no sandbox can begin from', () => {
  const manifest: unknown = JSON.parse(readFileSync(join(ROOT, 'packages/convert-guest/package.json'), 'utf8'));
  expect(manifest).toHaveProperty('preferUnplugged', true);
});

describe("node's permission model", () => {
  const flag = Number(process.versions.node.split('.')[0]) < 24 ? '--experimental-permission' : '--permission';

  it.for([[], ['--json']])('is told of where it refuses something (%s)', (words) => {
    const directory = workdir().write('disk.raw', Buffer.alloc(4096));
    // Not what /proc says of the process.
    const readable = [`${ROOT}/*`, directory.file('*')].map((path) => `--allow-fs-read=${path}`);
    const allowed = [flag, ...readable, '--allow-addons', '--allow-worker'];
    const { status, stderr, stdout } = program(process.execPath, ...allowed, INSTAR, 'info', ...words, 'disk.raw')
      .in(directory)
      .run();
    expect(status).toBe(1);
    expect(stderr + stdout).toContain("node's permission model refuses this");
    expect(stderr + stdout).not.toContain('internal error');
  });
});
