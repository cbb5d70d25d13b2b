// Content that is written into the external data file of an image: beside qemu-img, and where it must not be.
import { createHash } from 'node:crypto';
import { closePool } from '@instar/engine';
import { afterAll, describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { CONTENT_EDITS, KINDS, ours, theirs, type Kind } from './data-file-fixtures.js';

afterAll(closePool);

/** What qemu-img says of an image, and reads from it. */
function stateOf(directory: Workdir): { readonly said: unknown; readonly disk: Buffer } {
  const text = qemuImg('info', '--output=json', 'image').in(directory).must().stdout;
  const { 'virtual-size': size, 'format-specific': more, ...rest } = JSON.parse(text) as Record<string, unknown>;
  qemuImg('convert', '-f', 'qcow2', '-O', 'raw', 'image', 'disk').in(directory).must();
  const said = { size, more, backing: rest['backing-filename'], of: rest['backing-filename-format'] };
  return { said, disk: directory.read('disk') };
}

/** All files, by what they hold. */
function contentsOf(directory: Workdir): readonly string[] {
  const digest = (name: string): string => createHash('sha256').update(directory.read(name)).digest('hex');
  return directory.names().map((name) => `${name} ${digest(name)}`);
}

const ALL = CONTENT_EDITS.flatMap((edit) =>
  (Object.keys(KINDS) as Kind[])
    .filter((kind) => edit.not === undefined || !kind.startsWith(edit.not))
    .map((kind) => ({ name: edit.name, kind, edit })),
);

describe('content is written into an external data file', () => {
  it.for(ALL)('$name, $kind: as qemu-img does it', ({ edit, kind }, context) => {
    requireJudge(context, QEMU_IMG);
    const [mine, judged] = [workdir(), workdir()];
    edit.prepare(mine, KINDS[kind]);
    for (const name of mine.names()) judged.write(name, mine.read(name));
    const before = stateOf(mine);
    const [finished, wanted] = [ours(edit, mine).run(), theirs(edit, judged).run()];
    expect([finished.status, finished.stderr]).toEqual([wanted.status, '']);
    expect(wanted.status).toBe(0);
    expect(mine.names().filter((name) => name.endsWith('.instar-undo'))).toEqual([]);
    const [found, expected] = [stateOf(mine), stateOf(judged)];
    expect(found.said).toEqual(expected.said);
    expect(found.disk.equals(expected.disk)).toBe(true);
    expect(found.disk.equals(before.disk)).toBe(edit.name.startsWith('rebase'));
    expect(qemuImg('check', 'image').in(mine).must().stdout).toContain('No errors');
    // Who reads a raw data file alone reads the disk.
    if (kind.startsWith('raw')) {
      const data = mine.read('data');
      expect(data.subarray(0, found.disk.length).equals(found.disk)).toBe(true);
      // What qemu-img writes of the last cluster are whole subclusters.
      const rest = data.subarray(found.disk.length);
      expect(rest.length).toBeLessThan(65_536);
      expect(rest.equals(Buffer.alloc(rest.length))).toBe(true);
    }
  });

  it.for(CONTENT_EDITS)('$name: not where nobody but the image says that it may be', (edit, context) => {
    requireJudge(context, QEMU_IMG);
    const [directory, elsewhere] = [workdir(), workdir()];
    edit.prepare(directory, KINDS.mapped);
    const before = contentsOf(directory);
    const [command, ...rest] = edit.words;
    for (const allowed of [[], ['--allow-path', elsewhere.path]]) {
      const { status, stderr } = instar(command, ...allowed, ...rest)
        .in(directory)
        .run();
      expect(status).toBe(1);
      expect(stderr).toMatch(
        /image: its external data file "data" would be written to, .* allow its directory with --allow-path/,
      );
      expect(contentsOf(directory)).toEqual(before);
    }
  });
});
