// Formats that people describe in Kaitai's language, on files that the programs of others made: read as with the reference
// compiler, and written back. The descriptions are ours, out of what the formats' own documents say.
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { requireJudge } from '../../../../tests/support/judge.js';
import { workdir } from '../../../../tests/support/workdir.js';
import { codec, x86_64 } from '../../src/index.js';
import { importKsy } from '../../src/kaitai/index.js';
import { DISKS } from './gallery/disks.js';
import { FILES } from './gallery/files.js';
import { documentOf, type Format } from './gallery/gallery.js';
import { REFUSED } from './gallery/refused.js';
import { inReferenceForm, referenceReader } from './reference.js';

const ALL: readonly Format[] = [...FILES, ...DISKS];

/** What a path of names and numbers leads to. */
function at(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((found, step) => (found as Readonly<Record<string, unknown>>)[step], value);
}

/** The file that another program makes. */
function madeFile({ make }: Format): Buffer {
  const directory = workdir();
  const shell = `PATH="$PATH:/usr/sbin:/sbin"; set -e; ${make}`;
  const { status, stderr, stdout } = spawnSync('sh', ['-c', shell], { cwd: directory.path, encoding: 'utf8' });
  expect(status, `${stdout}${stderr}`).toBe(0);
  return directory.read('made');
}

describe('a format as its own documents say', () => {
  it('is one of many', () => {
    expect(new Set(ALL.map(({ name }) => name)).size).toBeGreaterThanOrEqual(25);
  });

  it.for(ALL)('$name: a file of another program reads as with the reference compiler', async (format, context) => {
    requireJudge(context, format.maker);
    const file = madeFile(format);
    const document = documentOf(format);
    const reader = codec(importKsy(document).root, x86_64);
    const value = reader.decode(file);
    const [mine, theirs] = inReferenceForm(value, (await referenceReader(document))(file));
    expect(mine).toEqual(theirs);
    for (const [path, known] of Object.entries(format.known)) expect(at(value, path), path).toBe(known);
    if (format.whole) expect(Buffer.from(reader.encode(value)).equals(file)).toBe(true);
  });
});

describe('a format that could not be written back', () => {
  it.each(REFUSED)('$name is refused by its place, though the reference takes it: $why', async (format) => {
    const { name, seq, instances = {} } = format;
    const document = { meta: { id: name, endian: 'le', encoding: 'ASCII' }, seq, instances } as const;
    expect(() => importKsy(document)).toThrow(expect.objectContaining({ code: 'LAYOUT_UNSUPPORTED', path: format.at }));
    await expect(referenceReader(document)).resolves.toBeTypeOf('function');
  });
});
