// Differencing VHD and VHDX: created over a parent, written to, committed into it, and given another one. QEMU has none of them:
// the judges are libyal's reader, what qemu-img says of parents, and the bytes.
import { afterAll, describe, expect, it } from 'vitest';
import { closePool } from '@instar/engine';
import { instar, program } from '../support/command.js';
import { judgeVersion, QEMU_IMG, requireJudge, skipLoudly } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const SIZE = 20 * MIB;
const FORMATS = ['vpc', 'vhdx'] as const;

/** What libyal's reader finds in a differencing disk over a parent: the whole disk, and what the parent is known by. */
const READER = `
import sys
sys.path.insert(0, '/usr/lib/python3/dist-packages')
import pyvhdi
parent, top = pyvhdi.file(), pyvhdi.file()
parent.open(sys.argv[2])
top.open(sys.argv[1])
assert top.get_parent_identifier() == parent.get_identifier()
assert top.get_disk_type() == 4
top.set_parent(parent)
open(sys.argv[3], 'wb').write(top.read_buffer_at_offset(top.get_media_size(), 0))
`;

afterAll(closePool);

function libyal(directory: Workdir, top: string, parent: string): Buffer {
  directory.write('reader.py', READER);
  program('python3', 'reader.py', top, parent, 'judged.raw').in(directory).must();
  return directory.read('judged.raw');
}

/** A parent with data, and an empty disk over it. */
function withTop(format: string): Workdir {
  const directory = workdir();
  const options = format === 'vpc' ? ['-o', 'force_size=on'] : [];
  qemuImg('create', '-q', '-f', format, ...options, 'base', String(SIZE))
    .in(directory)
    .must();
  qemuIo(directory.file('base'), 'write -P 1 1M 3M', 'write -P 2 9M 100k').must();
  instar('create', '-q', '-f', format, '-b', 'base', '-F', format, 'top').in(directory).must();
  return directory;
}

/** Writes into the top, here and there, also into parts of blocks; the rest is the parent's. */
function writeInto(directory: Workdir, format: string): Buffer {
  const source = Buffer.alloc(SIZE);
  noise(100 * KIB, 3).copy(source, 0);
  noise(MIB + 512, 4).copy(source, 3 * MIB + 100 * KIB);
  noise(600, 5).copy(source, SIZE - 600);
  directory.write('source.raw', source);
  instar('convert', '-f', 'raw', '-n', '--target-is-zero', '-O', format, 'source.raw', 'top').in(directory).must();
  return contentOf(directory, format, 'top');
}

function contentOf(directory: Workdir, format: string, file: string): Buffer {
  instar('convert', '-f', format, '-O', 'raw', file, 'content.raw').in(directory).must();
  return directory.read('content.raw');
}

function judgeIsThere(): boolean {
  const probe = ['-c', 'import sys; sys.path.insert(0, "/usr/lib/python3/dist-packages"); import pyvhdi'];
  return judgeVersion({ program: 'python3', probe, package: 'python3-libvhdi' }) !== undefined;
}

describe.each(FORMATS)('a differencing %s', (format) => {
  it('shows its parent where it holds nothing, and what was written to it elsewhere', (context) => {
    requireJudge(context, QEMU_IMG);
    if (!judgeIsThere()) skipLoudly(context, 'pyvhdi is not installed (apt-get install python3-libvhdi)');
    const directory = withTop(format);
    const parent = directory.read('base');
    expect(instar('compare', '-f', format, '-F', format, 'top', 'base').in(directory).run().stdout).toBe(
      'Images are identical.\n',
    );
    qemuImg('convert', '-f', format, '-O', 'raw', 'base', 'base.raw').in(directory).must();
    const judged = libyal(directory, 'top', 'base');
    // Of a vhdx without a bitmap libyal (20210425) takes bytes from the beginning of the file for one, and shows a sector of its header.
    if (format === 'vhdx') directory.read('base.raw').copy(judged, 64 * KIB, 64 * KIB, 64 * KIB + 512);
    expect(judged.equals(directory.read('base.raw'))).toBe(true);
    const content = writeInto(directory, format);
    expect(libyal(directory, 'top', 'base').equals(content)).toBe(true);
    expect(content.subarray(0, 100 * KIB).equals(noise(100 * KIB, 3))).toBe(true);
    expect(content.subarray(SIZE - 600).equals(noise(600, 5))).toBe(true);
    expect(content.subarray(2 * MIB, 2 * MIB + 100).every((byte) => byte === 1)).toBe(true);
    expect(instar('check', '-f', format, 'top').in(directory).must().stdout).toContain('No errors were found');
    // The parent was read only.
    expect(directory.read('base').equals(parent)).toBe(true);
  });

  it('is committed into its parent, and empty afterwards', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withTop(format);
    const empty = directory.read('top').length;
    const content = writeInto(directory, format);
    expect(directory.read('top').length).toBeGreaterThan(empty);
    instar('commit', '-q', '-f', format, 'top').in(directory).must();
    directory.write('expected.raw', content);
    qemuImg('compare', '-f', format, '-F', 'raw', 'base', 'expected.raw').in(directory).must();
    if (format === 'vhdx') qemuImg('check', 'base').in(directory).must();
    expect(contentOf(directory, format, 'top').equals(content)).toBe(true);
    expect(directory.read('top').length).toBe(empty);
    for (const file of ['top', 'base']) {
      expect(instar('check', '-f', format, file).in(directory).must().stdout).toContain('No errors were found');
    }
    // With -d it keeps what it holds, and knows its parent again.
    const again = writeInto(directory, format);
    instar('commit', '-q', '-d', '-f', format, 'top').in(directory).must();
    expect(contentOf(directory, format, 'top').equals(again)).toBe(true);
  });

  it('in the middle of a chain keeps being what the disk above it knows, as long as it shows the same', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withTop(format);
    writeInto(directory, format);
    instar('create', '-q', '-f', format, '-b', 'top', '-F', format, 'leaf').in(directory).must();
    directory.write('more.raw', Buffer.concat([Buffer.alloc(12 * MIB), noise(MIB, 9), Buffer.alloc(7 * MIB)]));
    instar('convert', '-f', 'raw', '-n', '--target-is-zero', '-O', format, 'more.raw', 'leaf').in(directory).must();
    directory.write('other', directory.read('base'));
    qemuIo(directory.file('other'), 'write -P 7 5M 2M').must();
    const content = contentOf(directory, format, 'leaf');
    const files = new Map(['base', 'top', 'leaf'].map((name) => [name, directory.read(name)]));
    for (const words of [
      ['commit', '-q', '-f', format, 'top'],
      ['commit', '-q', '-d', '-f', format, 'top'],
      ['commit', '-q', '-f', format, '-b', 'base', 'leaf'],
      ['rebase', '-f', format, '-b', 'other', '-F', format, 'top'],
      ['rebase', '-u', '-f', format, '-b', 'base', '-F', format, 'top'],
    ]) {
      for (const [name, bytes] of files) directory.write(name, bytes);
      instar(...words)
        .in(directory)
        .must();
      expect(contentOf(directory, format, 'leaf').equals(content), words.join(' ')).toBe(true);
    }
    // What it shows is another now.
    for (const [name, bytes] of files) directory.write(name, bytes);
    instar('convert', '-f', 'raw', '-n', '-O', format, 'more.raw', 'top').in(directory).must();
    const { status } = instar('convert', '-f', format, '-O', 'raw', 'leaf', 'content.raw').in(directory).run();
    expect(status).toBe(format === 'vhdx' ? 1 : 0);
  });

  it('knows a parent that was changed, however often, as far as its format can', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withTop(format);
    for (let time = 0; time < 8; time += 1) {
      directory.write(`top${time}`, directory.read('top'));
      directory.write('source.raw', noise(64 * KIB, time));
      instar('convert', '-f', 'raw', '-n', '-O', format, 'source.raw', 'base').in(directory).must();
      instar('create', '-q', '-f', format, '-b', 'base', '-F', format, 'top').in(directory).must();
      for (let older = 0; older <= time; older += 1) {
        const told = instar('compare', '-f', format, '-F', format, `top${older}`, 'base').in(directory).run();
        // A VHD keeps its unique id, whatever is written to it.
        if (format === 'vpc') expect(told.status).toBe(0);
        else expect([told.status, told.stderr]).toEqual([2, expect.stringContaining('was changed since')]);
      }
    }
    // Copies that were the same, and no longer are.
    directory.write('copy', directory.read('base'));
    for (const name of ['base', 'copy']) {
      directory.write('source.raw', noise(64 * KIB, name.length));
      instar('convert', '-f', 'raw', '-n', '-O', format, 'source.raw', name).in(directory).must();
    }
    instar('create', '-q', '-f', format, '-b', 'base', '-F', format, 'top').in(directory).must();
    directory.write('base', directory.read('copy'));
    const told = instar('compare', '-f', format, '-F', format, 'top', 'base').in(directory).run();
    expect(told.status).toBe(format === 'vpc' ? 0 : 2);
  });

  it('gets another parent: safely, by name only, and none', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withTop(format);
    const content = writeInto(directory, format);
    directory.write('other', directory.read('base'));
    qemuIo(directory.file('other'), 'write -P 7 5M 2M').must();
    instar('rebase', '-f', format, '-b', 'other', '-F', format, 'top').in(directory).must();
    expect(contentOf(directory, format, 'top').equals(content)).toBe(true);
    expect(JSON.parse(instar('info', '--output=json', 'top').in(directory).must().stdout)).toMatchObject({
      'backing-filename': 'other',
    });
    // A name that takes more sectors.
    const long = `${'long name '.repeat(20)}.vhd`;
    directory.write(long, directory.read('base'));
    qemuIo(directory.file(long), 'write -P 9 15M 64k').must();
    const seen = contentOf(directory, format, 'top');
    expect(seen.equals(content)).toBe(true);
    instar('rebase', '-u', '-f', format, '-b', long, '-F', format, 'top').in(directory).must();
    const shown = contentOf(directory, format, 'top');
    expect(shown.subarray(15 * MIB, 15 * MIB + 64 * KIB).every((byte) => byte === 9)).toBe(true);
    expect(shown.subarray(0, 100 * KIB).equals(content.subarray(0, 100 * KIB))).toBe(true);
    const before = directory.read('top');
    const { status, stderr } = instar('rebase', '-f', format, '-b', '', 'top').in(directory).run();
    expect([status, directory.read('top').equals(before)]).toEqual([1, true]);
    expect(stderr).toContain('a differencing disk needs a parent');
  });

  it.for([
    [['-b', 'base', '-F', 'raw'], /the parent of a \w+ image is one of its own format/],
    [['-b', '/tmp/base', '-F', format], /name a parent from their own directory on/],
    [['-b', 'base', '-F', format, '-u'], /a differencing disk needs its parent/],
    [['-b', 'missing', '-F', format], /missing/],
  ] as const)('is not created with %j', ([words, expected], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withTop(format);
    const before = directory.digests();
    const { status, stderr } = instar('create', '-q', '-f', format, ...words, 'new', String(SIZE))
      .in(directory)
      .run();
    expect(status).toBe(1);
    expect(stderr).toMatch(expected);
    expect(directory.digests()).toEqual(before);
    const sized = instar('create', '-q', '-f', format, '-b', 'base', '-F', format, 'new', '10M').in(directory).run();
    expect([sized.status, sized.stderr]).toEqual([1, expect.stringContaining('has that of its parent')]);
  });
});
