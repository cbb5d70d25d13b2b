import { mkdirSync, statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { instar, program, type CommandLine } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { allocatedBytes } from '../support/outcome.js';
import { qemuImg, qemuImgDd } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { mixed } from '../support/zoo.js';

const KIB = 1024;
const MIB = 1024 * KIB;

function dd(directory: Workdir, ...tokens: readonly string[]): CommandLine {
  return instar('dd', ...tokens).in(directory);
}

/** What `instar dd --json` prints. */
interface Record {
  readonly result?: { readonly bytes: number; readonly outputLength: number; readonly warnings: readonly string[] };
  readonly error?: { readonly code: string; readonly message: string };
}

function record(text: string): Record {
  return JSON.parse(text) as Record;
}

describe('upstream refuses what is beyond it', () => {
  it.for(['seek=1', 'isize=1', 'osize=1', 'conv=sparse', 'status=none', '-p', '--json', '--no-clobber'])(
    '%s',
    (token, context) => {
      requireJudge(context, QEMU_IMG);
      const directory = workdir().write('in.raw', noise(512));
      expect(qemuImgDd('if=in.raw', 'of=out.raw', token).in(directory).run().status).toBe(1);
      dd(directory, 'if=in.raw', 'of=out.raw', token).must();
    },
  );
});

describe('seek=', () => {
  it('writes into an existing file and leaves the rest untouched', () => {
    const before = noise(5000, 2);
    const directory = workdir().write('in.raw', noise(700)).write('out.raw', before);
    const { ino } = statSync(directory.file('out.raw'));
    dd(directory, 'if=in.raw', 'of=out.raw', 'bs=100', 'count=3', 'seek=11').must();
    const expected = Buffer.from(before);
    noise(700).copy(expected, 1100, 0, 300);
    expect(directory.read('out.raw').equals(expected)).toBe(true);
    expect(statSync(directory.file('out.raw')).ino).toBe(ino);
  });

  it('makes the file longer where the window ends behind its end', () => {
    const directory = workdir().write('in.raw', noise(512)).write('out.raw', noise(100, 2));
    dd(directory, 'if=in.raw', 'of=out.raw', 'bs=300', 'count=1', 'seek=1').must();
    const expected = Buffer.alloc(600);
    noise(100, 2).copy(expected);
    noise(300).copy(expected, 300);
    expect(directory.read('out.raw').equals(expected)).toBe(true);
  });

  it('makes a new file with zeros before it', () => {
    const directory = workdir().write('in.raw', noise(1024));
    dd(directory, 'if=in.raw', 'of=out.raw', 'seek=3').must();
    expect(directory.read('out.raw').equals(Buffer.concat([Buffer.alloc(1536), noise(1024)]))).toBe(true);
  });

  it('seek=0 writes in place, too', () => {
    const directory = workdir().write('in.raw', noise(512)).write('out.raw', noise(2000, 2));
    dd(directory, 'if=in.raw', 'of=out.raw', 'seek=0').must();
    expect(directory.read('out.raw').equals(Buffer.concat([noise(512), noise(2000, 2).subarray(512)]))).toBe(true);
  });

  it('takes zero regions of an image as zeros that are written', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('out.raw', noise(256 * KIB, 2));
    qemuImg('create', '-q', '-f', 'qcow2', 'in.qcow2', '128k').in(directory).must();
    dd(directory, 'if=in.qcow2', 'of=out.raw', 'bs=64k', 'seek=1').must();
    const expected = noise(256 * KIB, 2).fill(0, 64 * KIB, 192 * KIB);
    expect(directory.read('out.raw').equals(expected)).toBe(true);
  });

  it.for([['-O', 'qcow2'], ['seek=9223372036854775807'], ['--no-clobber']])(
    'is refused with %j before a file is made',
    (tokens) => {
      const directory = workdir().write('in.raw', noise(512));
      const finished = dd(directory, 'if=in.raw', 'of=out.raw', 'seek=1', ...tokens).run();
      expect(finished.status).toBe(1);
      expect(finished.stderr).toMatch(/^instar: dd: [^\n]*seek=[^\n]*\n$/);
      expect(directory.names()).toEqual(['in.raw']);
    },
  );
});

describe('osize= is the exact length of a raw output', () => {
  it.for([0, 1, 511, 512, 700, 5000, 5001, 70_001])('%i bytes', (osize) => {
    const directory = workdir().write('in.raw', noise(5000));
    dd(directory, '-f', 'raw', 'if=in.raw', 'of=out.raw', `osize=${osize}`).must();
    const expected = Buffer.alloc(osize);
    noise(5000).copy(expected);
    expect(directory.read('out.raw').equals(expected)).toBe(true);
    expect(allocatedBytes(directory.file('out.raw'))).toBeGreaterThanOrEqual(osize);
  });

  it('counts from the start of the window', () => {
    const directory = workdir().write('in.raw', noise(5000));
    dd(directory, 'if=in.raw', 'of=out.raw', 'bs=100', 'skip=7', 'osize=333').must();
    expect(directory.read('out.raw').equals(noise(5000).subarray(700, 1033))).toBe(true);
  });

  it('is refused for qcow2', () => {
    const directory = workdir().write('in.raw', noise(512));
    const finished = dd(directory, 'if=in.raw', 'of=out.qcow2', '-O', 'qcow2', 'osize=512').run();
    expect(finished.status).toBe(1);
    expect(finished.stderr).toMatch(/^instar: dd: osize= [^\n]+\n$/);
    expect(directory.names()).toEqual(['in.raw']);
  });
});

describe('isize= is the virtual size of the input', () => {
  it.for<[isize: number, window: string[]]>([
    [0, []],
    [600, []],
    [1024, ['bs=100', 'count=3']],
    [9000, []],
    [9216, ['bs=1000', 'skip=4']],
  ])('%i, %j', ([isize, window]) => {
    const directory = workdir().write('in.raw', noise(5000));
    dd(directory, '-f', 'raw', 'if=in.raw', 'of=ours.raw', `isize=${isize}`, ...window).must();
    const resized = Buffer.alloc(isize);
    noise(5000).copy(resized);
    directory.write('resized.raw', resized);
    dd(directory, '-f', 'raw', 'if=resized.raw', 'of=theirs.raw', ...window).must();
    expect(directory.read('ours.raw').equals(directory.read('theirs.raw'))).toBe(true);
  });

  it('is taken exactly, not as whole sectors', () => {
    const directory = workdir().write('in.raw', noise(5000));
    dd(directory, '-f', 'raw', 'if=in.raw', 'of=out.raw', 'isize=4097', 'bs=1', 'skip=4000').must();
    expect(directory.read('out.raw').equals(Buffer.concat([noise(5000).subarray(4000, 4097), Buffer.alloc(415)]))).toBe(
      true,
    );
  });

  it('extends a qcow2 image with zeros, also into qcow2', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('in.raw', mixed(300 * KIB));
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', 'in.raw', 'in.qcow2').in(directory).must();
    dd(directory, 'if=in.qcow2', 'of=out.qcow2', '-O', 'qcow2', 'isize=1M').must();
    qemuImg('resize', '-q', '-f', 'raw', 'in.raw', '1M').in(directory).must();
    qemuImg('compare', '-f', 'raw', '-F', 'qcow2', 'in.raw', 'out.qcow2').in(directory).must();
    qemuImg('check', 'out.qcow2').in(directory).must();
  });
});

describe('conv=sparse leaves zeros as holes', () => {
  it.for(['raw', 'qcow2'])('%s output: the same bytes on less space', (format, context) => {
    requireJudge(context, QEMU_IMG);
    const content = Buffer.alloc(8 * MIB);
    noise(100_000).copy(content, 3 * MIB + 17);
    const directory = workdir().write('in.raw', content);
    dd(directory, '-f', 'raw', 'if=in.raw', 'of=out', '-O', format, 'conv=sparse', 'bs=1M').must();
    qemuImg('compare', '-f', 'raw', '-F', format, 'in.raw', 'out').in(directory).must();
    expect(allocatedBytes(directory.file('out'))).toBeLessThan(MIB);
    const length = statSync(directory.file('out')).size;
    if (format === 'raw') expect(length).toBe(8 * MIB);
    else expect(length).toBeLessThan(MIB);
    if (format === 'qcow2') qemuImg('check', 'out').in(directory).must();
  });

  it('of zeros at the end keeps the length', () => {
    const directory = workdir().write('in.raw', Buffer.concat([noise(100), Buffer.alloc(100_000)]));
    dd(directory, 'if=in.raw', 'of=out.raw', 'conv=sparse').must();
    expect(directory.read('out.raw').length).toBe(100_352);
    expect(directory.read('out.raw').subarray(0, 100).equals(noise(100))).toBe(true);
  });

  it('with seek= still writes zeros where the file has data', () => {
    const directory = workdir()
      .write('in.raw', Buffer.alloc(64 * KIB))
      .write('out.raw', noise(128 * KIB));
    dd(directory, 'if=in.raw', 'of=out.raw', 'conv=sparse', 'seek=1', 'bs=4k').must();
    const expected = noise(128 * KIB).fill(0, 4 * KIB, 68 * KIB);
    expect(directory.read('out.raw').equals(expected)).toBe(true);
  });

  it('any other conv= is refused', () => {
    const directory = workdir().write('in.raw', noise(512));
    const finished = dd(directory, 'if=in.raw', 'of=out.raw', 'conv=bogus').run();
    expect(finished.status).toBe(1);
    expect(finished.stderr).toBe(
      "instar: dd: unknown conversion 'bogus': expected sparse, fsync, fdatasync, notrunc\n",
    );
  });
});

describe('streams', () => {
  it.for<[size: number, window: string[], bytes: [from: number, to: number]]>([
    [5000, [], [0, 5000]],
    [5000, ['bs=100', 'count=7'], [0, 700]],
    [5000, ['bs=700', 'count=6', 'skip=2'], [1400, 4200]],
    [5000, ['bs=1M', 'count=1'], [0, 5000]],
    [3 * MIB + 5, ['bs=1M', 'skip=1'], [MIB, 3 * MIB + 5]],
    [0, [], [0, 0]],
  ])('if=- of %i bytes with %j into of=-, not rounded', ([size, window, [from, to]]) => {
    const finished = dd(workdir(), 'if=-', 'of=-', ...window)
      .reading(noise(size))
      .must();
    expect(finished.stdoutBytes.equals(noise(size).subarray(from, to))).toBe(true);
    expect(finished.stderr).toBe('');
  });

  it('if=- into a file is whole sectors', () => {
    const directory = workdir();
    dd(directory, 'if=-', 'of=out.raw').reading(noise(1000)).must();
    expect(directory.read('out.raw').equals(Buffer.concat([noise(1000), Buffer.alloc(24)]))).toBe(true);
    expect(directory.names()).toEqual(['out.raw']);
  });

  it('an image goes to of=- in the order of its bytes', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('in.raw', mixed(3 * MIB));
    for (const options of [[], ['-c'], ['-c', '-o', 'compression_type=zstd']]) {
      qemuImg('convert', '-f', 'raw', '-O', 'qcow2', ...options, 'in.raw', 'in.qcow2')
        .in(directory)
        .must();
      const finished = dd(directory, 'if=in.qcow2', 'of=-', 'bs=1000', 'skip=3').must();
      expect(finished.stdoutBytes.equals(mixed(3 * MIB).subarray(3000))).toBe(true);
    }
    expect(directory.names()).toEqual(['in.qcow2', 'in.raw']);
  });

  it('a raw input is not padded on of=-', () => {
    const directory = workdir().write('in.raw', noise(1000));
    expect(dd(directory, 'if=in.raw', 'of=-', 'bs=100', 'count=3').must().stdoutBytes.equals(noise(300))).toBe(true);
  });

  it('of=./- names a file', () => {
    const directory = workdir().write('in.raw', noise(512));
    const finished = dd(directory, 'if=in.raw', 'of=./-').must();
    expect(finished.stdout).toBe('');
    expect(directory.names()).toEqual(['-', 'in.raw']);
    dd(directory, 'if=./-', 'of=again').must();
    expect(directory.read('again').equals(noise(512))).toBe(true);
  });

  it('if=- with skip= behind the end warns and gives nothing', () => {
    const finished = dd(workdir(), 'if=-', 'of=-', 'skip=11').reading(noise(5000)).must();
    expect(finished.stdout).toBe('');
    expect(finished.stderr).toMatch(/^instar: dd: warning: standard input: cannot skip to specified offset[^\n]*\n$/);
  });

  it('isize= and osize= cut and extend a stream', () => {
    const run = (...tokens: string[]): Buffer =>
      dd(workdir(), 'if=-', 'of=-', ...tokens)
        .reading(noise(1000))
        .must().stdoutBytes;
    expect(run('isize=700').equals(noise(1000).subarray(0, 700))).toBe(true);
    expect(run('isize=1500').equals(Buffer.concat([noise(1000), Buffer.alloc(500)]))).toBe(true);
    expect(run('osize=10').equals(noise(1000).subarray(0, 10))).toBe(true);
    expect(run('osize=1024').equals(Buffer.concat([noise(1000), Buffer.alloc(24)]))).toBe(true);
  });

  it('osize= cuts and extends what an image gives to a stream', () => {
    const directory = workdir().write('in.raw', noise(1024));
    const run = (...tokens: string[]): Buffer => dd(directory, 'if=in.raw', 'of=-', ...tokens).must().stdoutBytes;
    expect(run('osize=10', 'bs=100', 'skip=1').equals(noise(1024).subarray(100, 110))).toBe(true);
    expect(run('osize=70000').equals(Buffer.concat([noise(1024), Buffer.alloc(70_000 - 1024)]))).toBe(true);
  });

  it.for<string[]>([
    ['if=-', 'of=out', '-O', 'qcow2'],
    ['if=-', 'of=out', '-f', 'qcow2'],
    ['if=in.raw', 'of=-', '-O', 'qcow2'],
    ['if=in.raw', 'of=-', 'seek=1'],
    ['if=in.raw', 'of=-', '--no-clobber'],
    ['if=-', 'of=out', 'conv=sparse'],
  ])('%j is refused: a stream is raw and has no places', (tokens) => {
    const directory = workdir().write('in.raw', noise(512));
    const finished = dd(directory, ...tokens)
      .reading(noise(512))
      .run();
    expect(finished.status).toBe(1);
    expect(finished.stdout).toBe('');
    expect(finished.stderr).toMatch(/^instar: dd: [^\n]+\n$/);
    expect(directory.names()).toEqual(['in.raw']);
  });

  it('takes bounded memory whatever passes through', () => {
    const finished = program('sh', '-c', 'head -c 1500000000 /dev/zero | "$@" | wc -c', 'sh')
      .with(...instar('dd', 'if=-', 'of=-').words)
      .under('prlimit', '--data=400000000')
      .must();
    expect(finished.stdout.trim()).toBe('1500000000');
  });
});

describe('what is printed', () => {
  it('nothing at all by default and with status=none', () => {
    const directory = workdir().write('in.raw', noise(5000));
    for (const tokens of [[], ['status=none'], ['status=noxfer'], ['-p']]) {
      const finished = dd(directory, '-f', 'raw', 'if=in.raw', 'of=out.raw', ...tokens).must();
      expect([finished.stdout, finished.stderr]).toEqual(['', '']);
    }
  });

  it('status=progress ends with a transfer line on stderr', () => {
    const directory = workdir().write('in.raw', noise(5000));
    const finished = dd(directory, '-f', 'raw', 'if=in.raw', 'of=out.raw', 'status=progress').must();
    expect(finished.stdout).toBe('');
    expect(finished.stderr).toMatch(/^5120 bytes \(5 KiB\) copied, \d+\.\d{3} s, [\d.]+ [KMG]?i?B\/s\n$/);
  });

  it('an unknown status= is refused', () => {
    const directory = workdir().write('in.raw', noise(512));
    const finished = dd(directory, 'if=in.raw', 'of=out.raw', 'status=loud').run();
    expect(finished.status).toBe(1);
    expect(directory.names()).toEqual(['in.raw']);
  });

  it('--json prints one record on stdout, warnings in it', () => {
    const directory = workdir().write('in.raw', noise(5000));
    const finished = dd(directory, 'if=in.raw', 'of=out.raw', 'skip=99', '--json').must();
    expect(finished.stderr).toBe('');
    expect(record(finished.stdout).result).toMatchObject({
      bytes: 0,
      inputVirtualSize: 5120,
      outputVirtualSize: 0,
      outputLength: 0,
      inputFormat: 'raw',
      outputFormat: 'raw',
      warnings: [expect.stringContaining('cannot skip to specified offset')],
    });
  });

  it('--json goes to stderr when the data goes to stdout', () => {
    const directory = workdir().write('in.raw', noise(5000));
    const finished = dd(directory, 'if=in.raw', 'of=-', '--json').must();
    expect(finished.stdoutBytes.length).toBe(5120);
    expect(record(finished.stderr).result?.bytes).toBe(5120);
    const failed = dd(directory, 'if=missing', 'of=-', '--json').run();
    expect(failed.stdout).toBe('');
    expect(record(failed.stderr).error?.code).toBe('READ_FAILED');
  });
});

describe('--no-clobber', () => {
  it('refuses an output that exists, makes one that does not', () => {
    const directory = workdir().write('in.raw', noise(512)).write('there', 'before');
    const finished = dd(directory, 'if=in.raw', 'of=there', '--no-clobber').run();
    expect(finished.status).toBe(1);
    expect(finished.stderr).toBe('instar: dd: there: exists already\n');
    expect(directory.read('there').toString()).toBe('before');
    dd(directory, 'if=in.raw', 'of=new', '--no-clobber').must();
    expect(directory.names()).toEqual(['in.raw', 'new', 'there']);
  });
});

describe('--no-backing and --allow-path', () => {
  it('close and widen what an image may use', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('base.raw', noise(1024));
    mkdirSync(directory.file('sub'));
    const at = directory.file('base.raw');
    qemuImg('create', '-q', '-f', 'qcow2', '-b', at, '-F', 'raw', 'sub/over.qcow2').in(directory).must();
    qemuImg('create', '-q', '-f', 'qcow2', '-b', at, '-F', 'raw', 'over.qcow2').in(directory).must();

    dd(directory, 'if=over.qcow2', 'of=out.raw').must();
    const closed = dd(directory, 'if=over.qcow2', 'of=out2.raw', '--no-backing').run();
    expect(closed.status).toBe(1);
    expect(closed.stderr).toMatch(
      /^instar: dd: over\.qcow2: names the backing file "[^\n]+references are switched off\n$/,
    );

    const outside = dd(directory, 'if=sub/over.qcow2', 'of=out2.raw').run();
    expect(outside.status).toBe(1);
    expect(outside.stderr).toMatch(/^instar: dd: sub\/over\.qcow2: its backing file [^\n]+--allow-path[^\n]+\n$/);
    expect(directory.names()).toEqual(['base.raw', 'out.raw', 'over.qcow2', 'sub']);

    dd(directory, 'if=sub/over.qcow2', 'of=out2.raw', '--allow-path', '.').must();
    expect(directory.read('out2.raw').equals(noise(1024))).toBe(true);
  });
});
