import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { instar, program, shellWord, type CommandLine } from '../support/command.js';
import { workdir } from '../support/workdir.js';
import { memoryContent, MEMORY_SIZE, withDumps } from './dump-files.js';

const vmcore = (...words: readonly string[]): CommandLine => instar('vmcore', ...words);
const json = (text: string): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>;
const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('instar vmcore, as a user types it', () => {
  it('info tells format, machine, ranges, notes, CPUs and VMCOREINFO, and keeps escapes from the terminal', async () => {
    const directory = await withDumps(workdir());
    const told = vmcore('info', 'dump.kdump').in(directory).must();
    expect(told.stdout).toMatch(/kdump-compressed, version 6, zlib/);
    expect(told.stdout).toMatch(/x86_64, 64 bits, little endian, pages of 4096 bytes/);
    expect(told.stdout).toContain('0xffffffff81001234');
    expect(told.stdout).toContain('6.1.0-\\x1b[31mred');
    expect(told.stdout).not.toContain('\u001b');
    const record = json(vmcore('info', '--json', 'dump.elf').in(directory).must().stdout);
    expect(record).toMatchObject({
      format: 'elf',
      machine: 'x86_64',
      'byte-order': 'little',
      'word-bits': 64,
      'phys-base': 4096,
      'stored-bytes': MEMORY_SIZE,
      ranges: [{ start: 0x10_0000, length: MEMORY_SIZE, stored: true }],
      notes: [
        { name: 'CORE', type: 1, size: 336 },
        { name: 'VMCOREINFO', type: 0 },
      ],
      vmcoreinfo: { PAGESIZE: '4096' },
    });
  });

  it('read prints what hexdump -C prints, and with --raw the bytes', async () => {
    const directory = await withDumps(workdir());
    const raw = vmcore('read', '--raw', 'dump.kdump', '0x100000', String(MEMORY_SIZE)).in(directory).must();
    expect(digest(raw.stdoutBytes)).toBe(digest(memoryContent()));
    for (const [address, length] of [
      ['0x100000', 4096],
      ['1048581', 100],
      ['0x103ff8', 0x2010],
    ] as const) {
      const shown = vmcore('read', 'dump.elf', address, String(length)).in(directory).must().stdout;
      const at = Number(address) - 0x10_0000;
      const hexdump = spawnSync('xxd', ['-g1', '-c16', '-o', address], {
        input: memoryContent().subarray(at, at + length),
        encoding: 'utf8',
      });
      // A `*` stands for lines like the one before it; what is left must be lines of the peer.
      const ours = shown
        .trimEnd()
        .split('\n')
        .filter((line) => line !== '*');
      const lines = new Map(
        ours.map((line) => [line.slice(4, 12), line.replaceAll(/\s+/g, ' ').split(' |')[0]?.slice(13)]),
      );
      if (hexdump.error === undefined) {
        for (const line of hexdump.stdout.trimEnd().split('\n')) {
          const found = lines.get(line.slice(0, 8));
          if (found !== undefined) expect(found.trim()).toBe(line.slice(10, 57).replaceAll(/\s+/g, ' ').trim());
        }
      }
      expect(lines.size).toBeGreaterThan(0);
    }
    const record = json(vmcore('read', '--json', 'dump.elf', '1M', '8').in(directory).must().stdout);
    expect(record['hex']).toBe(memoryContent().subarray(0, 8).toString('hex'));
  });

  it('notes shows registers by name', async () => {
    const directory = await withDumps(workdir());
    const shown = vmcore('notes', 'dump.elf').in(directory).must().stdout;
    expect(shown).toMatch(/rip ffffffff81001234/);
    expect(shown).toContain('VMCOREINFO:');
    const record = json(vmcore('notes', '--json', 'dump.kdump').in(directory).must().stdout);
    expect(record['cpus']).toMatchObject([{ cpu: 0, pid: 1 }]);
  });

  it('convert, filter, split, reassemble, flatten and unflatten keep the memory; outputs are private', async () => {
    const directory = await withDumps(workdir());
    const whole = digest(memoryContent());
    const memoryOf = (...files: readonly string[]): string => {
      const [first = ''] = files;
      if (files.length === 1) {
        const read = vmcore('read', '--raw', first, '1M', String(MEMORY_SIZE)).in(directory).must();
        return digest(read.stdoutBytes);
      }
      return '';
    };
    for (const codec of ['none', 'zlib', 'lzo', 'snappy', 'zstd']) {
      vmcore('convert', '--to', 'kdump', '--compress', codec, '--threads', '2', 'dump.elf', codec).in(directory).must();
      expect(memoryOf(codec), codec).toBe(whole);
      const record = json(vmcore('info', '--json', codec).in(directory).must().stdout);
      expect(record['compression']).toEqual(codec === 'none' ? [] : [codec]);
      expect(statSync(directory.file(codec)).mode & 0o777).toBe(0o600);
    }
    vmcore('convert', '--to', 'elf', 'zstd', 'again.elf').in(directory).must();
    expect(memoryOf('again.elf')).toBe(whole);
    vmcore('split', 'dump.kdump', 'p1', 'p2', 'p3').in(directory).must();
    vmcore('reassemble', 'p3', 'p1', 'p2', 'one').in(directory).must();
    expect(memoryOf('one')).toBe(whole);
    vmcore('flatten', 'dump.kdump', 'flat').in(directory).must();
    vmcore('unflatten', 'flat', 'unflat').in(directory).must();
    expect(digest(directory.read('unflat'))).toBe(digest(directory.read('dump.kdump')));
    vmcore('filter', '--begin', '0x101003', '--length', '5000', 'dump.elf', 'part.elf').in(directory).must();
    const part = vmcore('read', '--raw', 'part.elf', '0x101003', '5000').in(directory).must();
    expect(digest(part.stdoutBytes)).toBe(digest(memoryContent().subarray(0x1003, 0x1003 + 5000)));
  });

  it('writes flattened streams into pipes and reads them from pipes', async () => {
    const directory = await withDumps(workdir());
    const us = (words: string): string => `${vmcore().toString()} ${words}`;
    const script = `${us('convert --to kdump dump.elf -')} | ${us('unflatten - piped')}`;
    program('bash', '-o', 'pipefail', '-c', script).in(directory).must();
    const read = vmcore('read', '--raw', 'piped', '1M', String(MEMORY_SIZE)).in(directory).must();
    expect(digest(read.stdoutBytes)).toBe(digest(memoryContent()));
    const toPipe = program('bash', '-c', `${us('convert --to elf dump.kdump -')} | cat > ${shellWord('p.elf')}`);
    toPipe.in(directory).must();
    expect(vmcore('verify', 'p.elf').in(directory).must().stdout).toMatch(/can be read/);
  });

  it('verify finds a damaged page and exits with 1', async () => {
    const directory = await withDumps(workdir());
    const bytes = directory.read('dump.kdump');
    bytes.fill(0xa5, bytes.length - 6000);
    directory.write('bad.kdump', bytes);
    const found = vmcore('verify', 'bad.kdump').in(directory).run();
    expect([found.status, found.stdout]).toEqual([1, '']);
    expect(found.stderr).toMatch(
      /^instar: vmcore: bad\.kdump, page data, at 0x[0-9a-f]+: page \d+ cannot be decompressed/,
    );
    const record = json(vmcore('verify', '--json', 'bad.kdump').in(directory).run().stdout);
    // The noise is stored raw and cannot be told from damage; the packed pages among the last 6000 bytes are two.
    expect(record['problems']).toMatchObject([{ code: 'BAD_DUMP' }, { code: 'BAD_DUMP' }]);
  });
});

describe('instar vmcore, when something is wrong', () => {
  const refusals: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['a file that is no dump', ['info', 'text'], /text, at 0x0: is not a guest memory dump \(found the bytes 68656c6c/],
    [
      'a file that is not there',
      ['info', 'nothing'],
      /nothing: cannot be opened: no such file or directory \(ENOENT\)/,
    ],
    ['a directory', ['verify', '.'], /is not a regular file/],
    ['memory that the dump lacks', ['read', 'dump.elf', '0', '16'], /at 0x0: the dump has no memory/],
    ['an address that is none', ['read', 'dump.elf', 'x', '16'], /ADDRESS/],
    ['an unknown codec', ['convert', '--to', 'kdump', '--compress', 'lz4', 'dump.elf', 'o'], /found the codec lz4/],
    [
      'compressed pages in an ELF file',
      ['convert', '--compress', 'zstd', 'dump.elf', 'o'],
      /compressed in a kdump alone/,
    ],
    ['a format that is none', ['convert', '--to', 'lime', 'dump.elf', 'o'], /found the format lime/],
    ['no output', ['convert', 'dump.elf'], /expected INPUT\.\.\. OUTPUT/],
    [
      'a range with no memory',
      ['filter', '--begin', '0', '--length', '4K', 'dump.elf', 'o'],
      /no memory lies in the range/,
    ],
    ['an empty range', ['filter', '--begin', '1M', '--length', '0', 'dump.elf', 'o'], /the range of memory is empty/],
    ['one part of two', ['info', 'p1', 'p1'], /leave a gap or overlap/],
    ['a stream that is not flattened', ['unflatten', 'dump.elf', 'o'], /is not a flattened stream/],
    ['a stream that is flattened already', ['flatten', 'flat', 'o'], /is a flattened stream already/],
    ['a name in no directory', ['convert', 'dump.elf', 'no/o'], /cannot be created: no such file or directory/],
    ['an output that is a directory', ['convert', 'dump.elf', '.'], /is a directory/],
    ['too many threads', ['convert', '--threads', '1000', 'dump.elf', 'o'], /expected 1 to 256/],
    ['an unknown subcommand', ['melt', 'dump.elf'], /unknown command/],
  ];
  it.each(refusals)('%s', async (_name, words, message) => {
    const directory = (await withDumps(workdir())).write('text', 'hello, this is no dump').write('o', 'as it was');
    vmcore('split', 'dump.elf', 'p1', 'p2').in(directory).must();
    vmcore('flatten', 'dump.elf', 'flat').in(directory).must();
    const before = directory.digests();
    const refused = vmcore(...words)
      .in(directory)
      .run();
    expect(refused.stderr).toMatch(message);
    expect(refused.stderr).toMatch(/^instar: vmcore: [^\n]+\n$/);
    expect([refused.status, refused.stdout]).toEqual([1, '']);
    expect(directory.digests()).toEqual(before);
    const record = json(
      vmcore(...words, '--json')
        .in(directory)
        .run().stdout,
    );
    expect(record).toMatchObject({ error: { command: 'vmcore' } });
  });

  it('leaves nothing behind when Ctrl-C comes', async () => {
    const directory = await withDumps(workdir());
    // A pipe that nobody fills keeps it waiting.
    const script = `mkfifo in; sleep 30 > in & sleeper=$!
      ${vmcore('unflatten', '-', 'out').toString()} < in & us=$!; sleep 1; kill -INT $us; wait $us; code=$?
      kill $sleeper; exit $code`;
    const ended = program('bash', '-c', script).in(directory).run();
    expect(ended.status).toBe(130);
    expect(directory.names().filter((name) => name.startsWith('.') || name === 'out')).toEqual([]);
  });
});
