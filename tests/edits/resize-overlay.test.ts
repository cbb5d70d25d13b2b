// An overlay whose disk ends within a cluster grows: of the image below nothing shows behind the old end.
import { mkdirSync, statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { workdir, type Workdir } from '../support/workdir.js';

interface Row {
  readonly name: string;
  readonly base: string;
  readonly overlay: string;
  readonly size: string;
  readonly options?: readonly string[];
  /** Of `resize`. */
  readonly preallocation?: string;
  /** What is done with the overlay before. */
  readonly prepare?: (directory: Workdir) => void;
}

const ROWS: readonly Row[] = [
  { name: 'nothing of its last cluster is in it', base: '1M', overlay: '100k', size: '200k' },
  { name: 'by less than the cluster has', base: '1M', overlay: '100k', size: '101k' },
  { name: 'further than the image below reaches', base: '300k', overlay: '100k', size: '+1G' },
  { name: 'the image below ends before', base: '64k', overlay: '100k', size: '300k' },
  { name: 'the image below ends in the same cluster', base: '110k', overlay: '100k', size: '300k' },
  {
    name: 'its last cluster is in it',
    base: '1M',
    overlay: '100k',
    size: '1M',
    prepare: (directory) => qemuIo('top', 'write -q -P 7 90k 5k').in(directory).must(),
  },
  {
    name: 'its last cluster reads as zeros',
    base: '1M',
    overlay: '100k',
    size: '1M',
    prepare: (directory) => qemuIo('top', 'write -q -z 64k 36k').in(directory).must(),
  },
  {
    name: 'its last cluster is compressed',
    base: '1M',
    overlay: '100k',
    size: '1M',
    prepare: (directory) => {
      directory.write('content', Buffer.alloc(100 * 1024, 'compressed '));
      const over = ['-B', 'base', '-F', 'qcow2'];
      qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-c', ...over, 'content', 'top')
        .in(directory)
        .must();
    },
  },
  {
    name: 'a snapshot has its last cluster as well',
    base: '1M',
    overlay: '100k',
    size: '1M',
    prepare: (directory) => {
      qemuIo('top', 'write -q -P 7 90k 5k').in(directory).must();
      qemuImg('snapshot', '-c', 'kept', 'top').in(directory).must();
    },
  },
  { name: 'small clusters', base: '1M', overlay: '100864', size: '3M', options: ['cluster_size=1k'] },
  { name: 'large clusters', base: '5M', overlay: '3M', size: '+9M', options: ['cluster_size=2M'] },
  {
    name: 'subclusters, of which some are in it',
    base: '1M',
    overlay: '130560',
    size: '500k',
    options: ['extended_l2=on', 'cluster_size=32k'],
    prepare: (directory) => qemuIo('top', 'write -q -P 7 96k 2k').in(directory).must(),
  },
  { name: 'with its tables', base: '1M', overlay: '100k', size: '500k', preallocation: 'metadata' },
  { name: 'with its place on the file system', base: '1M', overlay: '100k', size: '500k', preallocation: 'falloc' },
  { name: 'with all of its place', base: '1M', overlay: '100k', size: '101k', preallocation: 'full' },
  { name: 'its data lies in another file', base: '1M', overlay: '100k', size: '1M', options: ['data_file=data'] },
  {
    name: 'its data lies in another file, with its tables',
    base: '1M',
    overlay: '100k',
    size: '1M',
    options: ['data_file=data'],
    preallocation: 'metadata',
    prepare: (directory) => qemuIo('top', 'write -q -P 7 90k 5k').in(directory).must(),
  },
];

function chain({ base, overlay, options = [], prepare }: Row): Workdir {
  const directory = workdir();
  qemuImg('create', '-q', '-f', 'qcow2', 'base', base).in(directory).must();
  qemuIo('base', `write -q -P 1 0 ${base}`).in(directory).must();
  const how = options.length === 0 ? [] : ['-o', options.join(',')];
  qemuImg('create', '-q', '-f', 'qcow2', ...how, '-b', 'base', '-F', 'qcow2', 'top', overlay)
    .in(directory)
    .must();
  prepare?.(directory);
  return directory;
}

function contentOf(directory: Workdir, name: string): Buffer {
  qemuImg('convert', '-O', 'raw', name, 'content').in(directory).must();
  return directory.read('content');
}

function virtualSize(directory: Workdir): unknown {
  const described: unknown = JSON.parse(qemuImg('info', '--output=json', 'top').in(directory).must().stdout);
  return typeof described === 'object' && described !== null && 'virtual-size' in described
    ? described['virtual-size']
    : undefined;
}

describe('an overlay that ends within a cluster', () => {
  it.for(ROWS)('grows as qemu-img has it: $name', (row, context) => {
    requireJudge(context, QEMU_IMG);
    const [ours, theirs] = [chain(row), chain(row)];
    const how = row.preallocation === undefined ? [] : [`--preallocation=${row.preallocation}`];
    instar('resize', '-q', '--allow-path', ours.file('.'), ...how, 'top', row.size)
      .in(ours)
      .must();
    qemuImg('resize', '-q', ...how, 'top', row.size)
      .in(theirs)
      .must();
    qemuImg('check', '-q', 'top').in(ours).must();
    expect(contentOf(ours, 'top').equals(contentOf(theirs, 'top'))).toBe(true);
    if (row.preallocation !== undefined) {
      const [taken, judged] = [ours, theirs].map((directory) => statSync(directory.file('top')).size);
      expect(taken).toBeGreaterThanOrEqual(judged ?? 0);
    }
    expect(virtualSize(ours)).toEqual(virtualSize(theirs));
    qemuImg('compare', ours.file('base'), theirs.file('base')).must();
    for (const directory of row.name.startsWith('a snapshot') ? [ours, theirs] : []) {
      qemuImg('convert', '-O', 'raw', '-l', 'kept', 'top', 'kept').in(directory).must();
      expect(
        directory
          .read('kept')
          .subarray(90 * 1024, 95 * 1024)
          .every((byte) => byte === 7),
      ).toBe(true);
    }
    expect(ours.names()).not.toContain('top.instar-undo');
  });

  it.for([[], ['data_file=data']])('grows by amend and by a commit into it (%s)', (options, context) => {
    requireJudge(context, QEMU_IMG);
    const row: Row = { name: '', base: '1M', overlay: '100k', size: '', options };
    const [ours, theirs] = [chain(row), chain(row)];
    const allowed = ['--allow-path', ours.file('.')];
    instar('amend', '-q', ...allowed, '-o', 'size=120k', 'top')
      .in(ours)
      .must();
    qemuImg('amend', '-q', '-o', 'size=120k', 'top').in(theirs).must();
    for (const directory of [ours, theirs]) {
      qemuImg('create', '-q', '-f', 'qcow2', '-b', 'top', '-F', 'qcow2', 'above', '400k').in(directory).must();
      qemuIo('above', 'write -q -P 3 300k 5k').in(directory).must();
    }
    instar('commit', '-q', ...allowed, 'above')
      .in(ours)
      .must();
    qemuImg('commit', '-q', 'above').in(theirs).must();
    qemuImg('check', '-q', 'top').in(ours).must();
    for (const name of ['top', 'above']) {
      expect(contentOf(ours, name).equals(contentOf(theirs, name))).toBe(true);
    }
    expect(virtualSize(ours)).toEqual(virtualSize(theirs));
  });

  it('is not amended in another way at the same time', () => {
    const directory = chain({ name: '', base: '1M', overlay: '100k', size: '' });
    const before = directory.read('top');
    const { status, stderr } = instar('amend', '-o', 'size=120k,lazy_refcounts=on', 'top').in(directory).run();
    expect([status, stderr]).toEqual([1, expect.stringContaining('amend its size alone')]);
    expect(directory.read('top').equals(before)).toBe(true);
  });

  it('is left as it is where the image below may not be read', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    mkdirSync(directory.file('elsewhere'));
    qemuImg('create', '-q', '-f', 'qcow2', 'elsewhere/base', '1M').in(directory).must();
    const below = directory.file('elsewhere/base');
    qemuImg('create', '-q', '-f', 'qcow2', '-b', below, '-F', 'qcow2', 'top', '100k').in(directory).must();
    const before = directory.read('top');
    const { status, stderr } = instar('resize', 'top', '1M').in(directory).run();
    expect([status, stderr]).toEqual([1, expect.stringContaining('--allow-path')]);
    expect(directory.read('top').equals(before)).toBe(true);
    expect(directory.names()).not.toContain('top.instar-undo');
    instar('resize', '-q', '--allow-path', directory.file('elsewhere'), 'top', '1M').in(directory).must();
    expect(virtualSize(directory)).toBe(1 << 20);
  });
});
