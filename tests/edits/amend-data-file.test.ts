// What images say of their external data files, changed beside qemu-img.
import { amend } from '@instar/engine';
import { describe, expect, it } from 'vitest';
import { instar, program, ROOT, type CommandLine } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { workdir, type Workdir } from '../support/workdir.js';

/** `qemu-img` of this project. */
function ours(...words: readonly string[]): CommandLine {
  return program(process.execPath, `${ROOT}/packages/qemu-img/bin/qemu-img.js`, ...words);
}

function withDataFile(kind: 'raw' | 'mapped' | 'none'): Workdir {
  const directory = workdir();
  const options = { raw: ['-o', 'data_file=data,data_file_raw=on'], mapped: ['-o', 'data_file=data'], none: [] }[kind];
  qemuImg('create', '-q', '-f', 'qcow2', ...options, 'image', '1M')
    .in(directory)
    .must();
  qemuIo('image', 'write -q -P 5 100k 200k').in(directory).must();
  if (kind !== 'none') directory.write('moved', directory.read('data'));
  return directory;
}

function detailsOf(directory: Workdir): unknown {
  const text = qemuImg('info', '--output=json', 'image').in(directory).must().stdout;
  const found = JSON.parse(text) as { 'format-specific': unknown; 'virtual-size': unknown };
  return [found['format-specific'], found['virtual-size']];
}

const LISTS = [
  'data_file=moved',
  'data_file=',
  'data_file_raw=on',
  'data_file_raw=off',
  'data_file_raw=perhaps',
  'data_file=moved,data_file_raw=off,lazy_refcounts=on,refcount_bits=64',
  'data_file=moved,data_file_raw=on,refcount_bits=8',
];

describe('amend of what an image says of its data file', () => {
  it.for((['raw', 'mapped', 'none'] as const).flatMap((kind) => LISTS.map((list) => [kind, list] as const)))(
    '%s, -o %s: as qemu-img',
    ([kind, list], context) => {
      requireJudge(context, QEMU_IMG);
      const [mine, judged] = [ours, qemuImg].map((does) => {
        const directory = withDataFile(kind);
        const data = kind === 'none' ? undefined : directory.read('data');
        const { status, stdout, stderr } = does('amend', '-o', list, 'image').in(directory).run();
        qemuImg('check', '-q', 'image').in(directory).run();
        if (data !== undefined) expect(directory.read('data').equals(data)).toBe(true);
        if (kind !== 'none' && list !== 'data_file=') qemuIo('image', 'read -q -P 5 100k 200k').in(directory).must();
        return { status, stdout, stderr, details: detailsOf(directory) };
      });
      expect(mine).toEqual(judged);
    },
  );

  it('goes beside a backing file, features and bitmaps, which stay', async (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    qemuImg('create', '-q', '-f', 'raw', 'base', '1M').in(directory).must();
    const options = ['-o', 'data_file=data', '-b', 'base', '-F', 'raw'];
    qemuImg('create', '-q', '-f', 'qcow2', ...options, 'image')
      .in(directory)
      .must();
    qemuImg('bitmap', '--add', 'image', 'bits').in(directory).must();
    const name = `a directory/with a name of ${'many letters '.repeat(40)}`;
    await amend(directory.file('image'), { dataFile: name });
    const text = qemuImg('info', '--output=json', 'image').in(directory).must().stdout;
    expect(JSON.parse(text)).toMatchObject({
      'backing-filename': 'base',
      'backing-filename-format': 'raw',
      'format-specific': { data: { 'data-file': name, bitmaps: [{ name: 'bits' }] } },
    });
    instar('check', '-q', 'image').in(directory).must();
  });
});
