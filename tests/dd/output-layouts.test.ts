import { linkSync, statSync, symlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { described } from '../support/described.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Data in pieces that do not fit clusters, zeros, text, and an end that is no whole cluster. */
function disk(): Buffer {
  const content = Buffer.alloc(5 * MIB + 1536);
  noise(70_000, 1).copy(content, 0);
  noise(300_001, 2).copy(content, MIB + 777);
  content.fill('what is written here is compressed well; ', 2 * MIB, 3 * MIB);
  noise(700, 3).copy(content, content.length - 700);
  return content;
}

/** What is said of a command line that is refused. */
function refusal(directory: Workdir, ...words: readonly string[]): string {
  const { status, stderr } = instar(...words)
    .in(directory)
    .run();
  expect(status).toBe(1);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  return stderr;
}

function withDisk(): Workdir {
  return workdir().write('disk.raw', disk());
}

const CHECKED = new Set(['qcow2', 'vmdk', 'vdi', 'vhdx', 'qed', 'parallels']);

/** Converts with both programs: the same disk, the same description, a clean check. */
function judge(directory: Workdir, format: string, words: readonly string[]): void {
  instar('convert', '-f', 'raw', '-O', format, ...words, 'disk.raw', 'ours')
    .in(directory)
    .must();
  qemuImg('convert', '-f', 'raw', '-O', format, ...words, 'disk.raw', 'theirs')
    .in(directory)
    .must();
  qemuImg('compare', '-f', 'raw', '-F', format, 'disk.raw', 'ours').in(directory).must();
  if (CHECKED.has(format)) qemuImg('check', '-q', '-f', format, 'ours').in(directory).must();
  expect(described(directory, format, 'ours')).toEqual(described(directory, format, 'theirs'));
}

describe('an output is made as its options say, and as qemu-img makes it', () => {
  it.for([
    ['qcow2', '-o', 'compat=0.10'],
    ['qcow2', '-o', 'lazy_refcounts=on,refcount_bits=64'],
    ['qcow2', '-o', 'extended_l2=on'],
    ['qcow2', '-o', 'extended_l2=on,cluster_size=16k,refcount_bits=1'],
    ['qcow2', '-o', 'preallocation=metadata,refcount_bits=2,cluster_size=4k'],
    ['qcow2', '-o', 'preallocation=metadata,extended_l2=on'],
    ['qed', '-o', 'cluster_size=4k,table_size=16'],
    ['qed', '-o', 'cluster_size=1M,table_size=2'],
    ['parallels', '-o', 'cluster_size=512'],
    ['parallels', '-o', 'cluster_size=64M'],
    ['qcow2', '-o', 'preallocation=falloc,refcount_bits=32'],
    ['qcow2', '-o', 'preallocation=metadata,cluster_size=2M'],
    ['qcow2', '-S', '0', '-o', 'cluster_size=2M'],
    ['qcow2', '-c', '-o', 'refcount_bits=1'],
    ['qcow2', '-c', '-o', 'refcount_bits=2,cluster_size=4k'],
    ['qcow2', '-c', '-o', 'extended_l2=on,refcount_bits=8'],
    ['qcow2', '-c', '-o', 'compat=0.10'],
    ['vpc'],
    ['vpc', '-o', 'force_size=on'],
    ['vpc', '-o', 'subformat=fixed'],
    ['vpc', '-o', 'subformat=fixed,force_size'],
    ['vdi', '-o', 'static=on'],
    ['vhdx', '-o', 'subformat=fixed'],
    ['vhdx', '-o', 'block_size=1M'],
    ['vhdx', '-o', 'log_size=5M,block_state_zero=off'],
    ['vhdx', '-o', 'log_size=3000000,subformat=fixed'],
    ['vmdk', '-o', 'adapter_type=lsilogic,hwversion=7'],
    ['vmdk', '-o', 'zeroed_grain=on,toolsversion=12352'],
    ['vmdk', '-o', 'zeroed_grain=on,subformat=streamOptimized'],
    ['vmdk', '-o', 'subformat=streamOptimized'],
    ['qed'],
    ['qcow'],
    ['raw', '-S', '64k'],
    ['raw', '-o', 'preallocation=falloc'],
  ])('%s %s %s %s', ([format = '', ...words], context) => {
    requireJudge(context, QEMU_IMG);
    judge(withDisk(), format, words);
  });

  it.for(['qed', 'qcow', 'vpc', 'vdi', 'vhdx', 'vmdk'])(
    '%s of a disk that ends where a table does',
    (format, context) => {
      requireJudge(context, QEMU_IMG);
      const directory = workdir();
      // The last and the first block of a second-level table, with nothing between.
      const size = 2 * 2 ** 30 + 2 * MIB;
      directory.write('disk.raw', '');
      qemuImg('resize', '-q', '-f', 'raw', 'disk.raw', String(size)).in(directory).must();
      const writes = [2 ** 31 - 512, 2 ** 31, 2 * MIB - 512, 2 * MIB, size - 512];
      qemuIo('disk.raw', ...writes.map((at) => `write -q -P 7 ${at} 512`))
        .in(directory)
        .must();
      judge(directory, format, format === 'vpc' ? ['-o', 'force_size=on'] : []);
    },
  );

  it('least zeros that are left out are counted', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    const content = Buffer.alloc(4 * MIB, 1);
    // Holes of 64 KiB and of 256 KiB.
    content.fill(0, MIB, MIB + 64 * KIB);
    content.fill(0, 2 * MIB, 2 * MIB + 256 * KIB);
    directory.write('disk.raw', content);
    const blocks = ['4k', '128k', '512k'].map((least) => {
      instar('convert', '-f', 'raw', '-O', 'raw', '-S', least, 'disk.raw', 'out.raw').in(directory).must();
      expect(directory.read('out.raw').equals(content)).toBe(true);
      return content.length - statSync(directory.file('out.raw')).blocks * 512;
    });
    expect(blocks).toEqual([320 * KIB, 256 * KIB, 0]);
  });
});

describe('an output over a backing file holds what differs', () => {
  /** Three layers, the middle one shorter, clusters of two sizes, zeros over data. */
  function chain(): Workdir {
    const directory = workdir();
    directory.write('base.raw', Buffer.concat([noise(3 * MIB, 5), Buffer.alloc(MIB)]));
    const run = (...words: readonly string[]): void => {
      qemuImg(...words)
        .in(directory)
        .must();
    };
    run('convert', '-f', 'raw', '-O', 'qcow2', 'base.raw', 'base.qcow2');
    run('create', '-q', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', 'mid.qcow2', '2M');
    run('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', '-b', 'mid.qcow2', '-F', 'qcow2', 'top.qcow2', '5M');
    qemuIo('mid.qcow2', 'write -P 1 1000k 300k', 'write -z 1536k 100k').in(directory).must();
    qemuIo('top.qcow2', 'write -P 2 300k 5k', 'write -z 600k 70k', 'write -P 3 5000k 512').in(directory).must();
    return directory;
  }

  it.for([
    ['qcow2', 'base.qcow2', 'qcow2'],
    ['qcow2', 'mid.qcow2', 'qcow2'],
    ['qcow2', 'top.qcow2', 'qcow2'],
    ['qcow2', 'base.qcow2', 'qcow2', '-o', 'extended_l2=on'],
    ['qcow2', 'base.qcow2', 'qcow2', '-o', 'compat=0.10'],
    ['qcow2', 'base.qcow2', 'qcow2', '-c'],
    ['qed', 'base.qcow2', 'qcow2'],
    // No layer of the input: whatever differs.
    ['qcow2', 'base.raw', 'raw'],
    ['qed', 'base.raw', 'raw'],
  ])('%s -B %s -F %s %s %s', ([format = '', base = '', baseFormat = '', ...words], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = chain();
    instar('convert', '-O', format, '-B', base, '-F', baseFormat, ...words, 'top.qcow2', 'out')
      .in(directory)
      .must();
    qemuImg('compare', '-f', 'qcow2', '-F', format, 'top.qcow2', 'out').in(directory).must();
    qemuImg('check', '-q', '-f', format, 'out').in(directory).must();
    const { stdout } = qemuImg('info', '--output=json', '-f', format, 'out').in(directory).must();
    expect(JSON.parse(stdout)).toMatchObject({ 'backing-filename': base });
    // The three megabytes of the base are not copied.
    const { stdout: map } = qemuImg('map', '--output=json', '-f', format, 'out').in(directory).must();
    const own = (JSON.parse(map) as { depth: number; data: boolean; length: number }[])
      .filter(({ depth, data }) => depth === 0 && data)
      .reduce((sum, { length }) => sum + length, 0);
    // Where zeros cannot be marked, those that hide the base are written.
    const marks = format !== 'qed' && !words.includes('compat=0.10');
    expect(own).toBeLessThan(marks ? 1.5 * MIB : 4 * MIB);
  });

  it.for(['top.qcow2', 'base.qcow2'])('which is what differs from a snapshot too, over %s', (base, context) => {
    requireJudge(context, QEMU_IMG);
    const directory = chain();
    qemuImg('snapshot', '-c', 'then', 'top.qcow2').in(directory).must();
    qemuImg('convert', '-l', 'then', '-O', 'raw', 'top.qcow2', 'then.raw').in(directory).must();
    qemuIo('top.qcow2', 'write -P 9 200k 500k', 'write -z 4M 64k').in(directory).must();
    instar('convert', '-l', 'then', '-O', 'qcow2', '-B', base, '-F', 'qcow2', 'top.qcow2', 'out').in(directory).must();
    qemuImg('compare', '-f', 'raw', '-F', 'qcow2', 'then.raw', 'out').in(directory).must();
  });

  it.for([['qcow2'], ['qed']])('%s is created over one, with its size or another', ([format = ''], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = chain();
    const words = ['create', '-f', format, '-b', 'base.qcow2', '-F', 'qcow2'];
    for (const size of [[], ['7M']]) {
      const ours = instar(...words, 'ours', ...size)
        .in(directory)
        .must();
      const theirs = qemuImg(...words, 'theirs', ...size)
        .in(directory)
        .must();
      expect(ours.stdout.replace('ours', 'theirs')).toBe(theirs.stdout);
      qemuImg('compare', '-f', format, '-F', format, 'ours', 'theirs').in(directory).must();
      expect(described(directory, format, 'ours')).toEqual(described(directory, format, 'theirs'));
    }
  });

  it('is never the output itself, by whatever name', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = chain();
    symlinkSync('base.qcow2', directory.file('link'));
    linkSync(directory.file('base.qcow2'), directory.file('hard'));
    const before = directory.read('base.qcow2');
    for (const [backing, output] of [
      ['base.qcow2', 'base.qcow2'],
      ['link', 'base.qcow2'],
      ['base.qcow2', 'link'],
      ['hard', 'base.qcow2'],
      [directory.file('base.qcow2'), './base.qcow2'],
    ] as const) {
      for (const more of [[], ['-u']]) {
        const words = ['-f', 'qcow2', ...more, '-b', backing, '-F', 'qcow2', output, '4M'];
        expect(refusal(directory, 'create', ...words)).toContain('its own backing file');
      }
      const words = ['-O', 'qcow2', '-B', backing, '-F', 'qcow2', 'top.qcow2', output];
      expect(refusal(directory, 'convert', ...words)).toContain('is also an input');
    }
    expect(directory.read('base.qcow2').equals(before)).toBe(true);
  });

  it('needs its format, and must be there unless nobody is to look', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = chain();
    const refused = (...words: readonly string[]): string => {
      const stderr = refusal(directory, ...words);
      expect(directory.names()).not.toContain('new.qcow2');
      return stderr;
    };
    expect(refused('create', '-f', 'qcow2', '-b', 'base.qcow2', 'new.qcow2')).toContain('needs its format');
    expect(refused('create', '-f', 'qcow2', '-b', 'none', '-F', 'raw', 'new.qcow2', '1M')).toContain('ENOENT');
    expect(refused('create', '-f', 'qcow2', '-b', 'base.raw', '-F', 'qcow2', 'new.qcow2')).toContain('base.raw');
    expect(refused('create', '-f', 'vdi', '-b', 'base.raw', '-F', 'raw', 'new.qcow2')).toContain('backing_file');
    instar('create', '-u', '-f', 'qcow2', '-b', 'none', '-F', 'raw', 'new.qcow2', '1M').in(directory).must();
  });
});

describe('several inputs become one disk', () => {
  it.for(['raw', 'qcow2', 'vhdx'])('as %s', (format, context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withDisk();
    qemuImg('convert', '-c', '-f', 'raw', '-O', 'qcow2', 'disk.raw', 'packed.qcow2').in(directory).must();
    qemuImg('convert', '-f', 'raw', '-O', 'vdi', 'disk.raw', 'disk.vdi').in(directory).must();
    const inputs = ['packed.qcow2', 'disk.raw', 'disk.vdi', 'packed.qcow2'];
    instar('convert', '-O', format, ...inputs, 'ours')
      .in(directory)
      .must();
    directory.write('whole.raw', Buffer.concat(inputs.map(() => disk())));
    qemuImg('compare', '-f', 'raw', '-F', format, 'whole.raw', 'ours').in(directory).must();
  });
});

describe('convert -n', () => {
  it('writes a disk into a file that exists, and leaves what lies behind it', () => {
    const directory = withDisk();
    directory.write('device.raw', Buffer.alloc(6 * MIB, 0xee));
    instar('convert', '-n', '-f', 'raw', '-O', 'raw', 'disk.raw', 'device.raw').in(directory).must();
    const expected = Buffer.concat([disk(), Buffer.alloc(6 * MIB - disk().length, 0xee)]);
    expect(directory.read('device.raw').equals(expected)).toBe(true);
  });

  it('believes that a target is zero where it is told so', () => {
    const directory = withDisk();
    directory.write('device.raw', Buffer.alloc(disk().length, 0xee));
    const words = ['-n', '--target-is-zero', '-f', 'raw', '-O', 'raw', 'disk.raw', 'device.raw'];
    instar('convert', ...words)
      .in(directory)
      .must();
    // The zeros of the disk were not written.
    expect(directory.read('device.raw')[4 * MIB]).toBe(0xee);
    expect(directory.read('device.raw').subarray(0, 70_000).equals(disk().subarray(0, 70_000))).toBe(true);
  });

  it('refuses a file that is not there, or too short, or no raw one', () => {
    const directory = withDisk();
    directory.write('short.raw', 'short');
    const refused = (...words: readonly string[]): string => refusal(directory, 'convert', '-f', 'raw', ...words);
    expect(refused('-n', '-O', 'raw', 'disk.raw', 'none.raw')).toContain('ENOENT');
    expect(directory.names()).not.toContain('none.raw');
    expect(refused('-n', '-O', 'raw', 'disk.raw', 'short.raw')).toContain('has 5 bytes');
    expect(directory.read('short.raw').toString()).toBe('short');
    expect(refused('-n', '-O', 'qcow2', 'disk.raw', 'short.raw')).toContain('raw');
    expect(refused('-n', '-O', 'qcow2', '-o', 'compat=v3', 'disk.raw', 'short.raw')).toContain('-n');
  });
});

/** A flag of a vmdk's header: an entry of 1 stands for zeros. */
const ZERO_GRAINS = 4;

describe('the text that describes a vmdk', () => {
  it.for([
    'subformat=monolithicSparse',
    'subformat=streamOptimized,toolsversion=12352',
    'subformat=monolithicFlat,adapter_type=lsilogic',
    'subformat=twoGbMaxExtentSparse,toolsversion=99,zeroed_grain=on,hwversion=7',
    'subformat=twoGbMaxExtentFlat',
  ])('is what qemu-img writes with %s', (options, context) => {
    requireJudge(context, QEMU_IMG);
    const [theirs, ours] = [workdir(), workdir()];
    qemuImg('create', '-q', '-f', 'vmdk', '-o', options, 'disk.vmdk', '20M').in(theirs).must();
    instar('create', '-q', '-f', 'vmdk', '-o', options, 'disk.vmdk', '20M').in(ours).must();
    const [wanted = [], found] = [theirs, ours].map((directory) => {
      const file = directory.read('disk.vmdk').toString('latin1');
      const text = file.slice(file.indexOf('# Disk DescriptorFile')).split('\0', 1)[0] ?? '';
      return text.split('\n').filter((line) => line !== '' && !line.startsWith('CID='));
    });
    expect(wanted.length).toBeGreaterThan(10);
    expect(found).toEqual(wanted);
    const versions = [theirs, ours].map((directory) => {
      const extent = directory.names().find((name) => name.endsWith('-s001.vmdk')) ?? 'disk.vmdk';
      const header = directory.read(extent);
      return [header.readUInt32LE(4), header.readUInt32LE(8) & ZERO_GRAINS];
    });
    expect(versions[1]).toEqual(versions[0]);
  });
});

describe('options that no output can have are refused by the names of the command', () => {
  it.for([
    ['qcow2', 'cluster_size=3k', '-o cluster_size: expected a power of two from 512 to 2097152, found 3072'],
    ['qcow2', 'cluster_size=4k,extended_l2=on', '-o cluster_size: expected a power of two from 16384'],
    ['qcow2', 'refcount_bits=3', '-o refcount_bits: expected a power of two from 1 to 64, found 3'],
    ['qcow2', 'compat=0.10,refcount_bits=8', '-o refcount_bits of 8 needs version 3'],
    ['qcow2', 'compat=0.10,extended_l2=on', '-o extended_l2 needs version 3'],
    ['qcow2', 'compat=2', '-o compat=2: expected 0.10'],
    ['vhdx', 'block_size=3M', '-o block_size: expected a power of two'],
    ['vhdx', 'log_size=4G', '-o log_size=4G: expected a size from 1 to less than 4G'],
    ['vmdk', 'toolsversion=old', '-o toolsversion=old: expected a number from 1 to 4294967295'],
    ['vmdk', 'zeroed_grain=on,subformat=monolithicFlat', '-o zeroed_grain: monolithicFlat has no grains'],
    ['vpc', 'subformat=static', '-o subformat=static: expected dynamic, fixed'],
    ['raw', 'preallocation=metadata', '-o preallocation=metadata: expected off'],
    ['vdi', 'cluster_size=1M', '-o cluster_size: no option of vdi outputs'],
  ])('%s -o %s', ([format = '', options = '', expected = '']) => {
    const directory = workdir();
    expect(refusal(directory, 'create', '-f', format, '-o', options, 'new', '1M')).toContain(expected);
    expect(directory.names()).toEqual([]);
  });
});
