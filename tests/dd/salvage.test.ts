// Copies that go on where the input cannot be read.
import { mkdirSync, openSync, closeSync, readFileSync, writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { buildInjector, inject } from '../faults/inject.js';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge, skipLoudly } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const MIB = 1 << 20;
const CLUSTER = 1 << 16;
/** Bytes 0 to 61 of an entry of a compressed cluster: where it begins, with clusters of 64 KiB. */
const COMPRESSED_OFFSET = (1n << 54n) - 1n;
const HOST_OFFSET = 0x00ff_ffff_ffff_fe00n;

interface Result {
  readonly result: {
    readonly warnings: readonly string[];
    readonly lost?: { readonly bytes: number; readonly ranges: { readonly start: number; readonly length: number }[] };
  };
}

/** Changes bytes of a file. */
function put(file: string, offset: number, bytes: Uint8Array): void {
  const fd = openSync(file, 'r+');
  try {
    writeSync(fd, bytes, 0, bytes.length, offset);
  } finally {
    closeSync(fd);
  }
}

/** Where the entry of a cluster lies, and what it says. */
function entryOf(file: string, cluster: number): { readonly at: number; readonly value: bigint } {
  const bytes = readFileSync(file);
  const l2 = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(40))) & HOST_OFFSET);
  const at = l2 + 8 * cluster;
  return { at, value: bytes.readBigUInt64BE(at) };
}

/** Text that packs well, with noise between, so that no two clusters are alike. */
function content(bytes: number): Buffer {
  const disk = Buffer.alloc(bytes, 'what a disk holds ');
  for (let at = 0; at < bytes; at += CLUSTER / 4) noise(512, at).copy(disk, at);
  return disk;
}

/** An image of compressed clusters of which some do not decode, and one whose entry points to an odd place. */
function damaged(compression: string): Workdir {
  const directory = workdir().write('disk.raw', content(3 * MIB + 1536));
  const options = ['-o', `compression_type=${compression}`];
  qemuImg('convert', '-q', '-c', '-f', 'raw', '-O', 'qcow2', ...options, 'disk.raw', 'disk.qcow2')
    .in(directory)
    .must();
  const file = directory.file('disk.qcow2');
  for (const cluster of [0, 5, 6, 48]) {
    const { value } = entryOf(file, cluster);
    put(file, Number(value & COMPRESSED_OFFSET), Buffer.alloc(40, 0xff));
  }
  const plain = Buffer.alloc(8);
  plain.writeBigUInt64BE((1n << 63n) | 0x1_1200n);
  put(file, entryOf(file, 9).at, plain);
  return directory;
}

describe('convert --salvage', () => {
  it.for(['zlib', 'zstd'])('leaves the same out as qemu-img does of damaged clusters: %s', (compression, context) => {
    requireJudge(context, QEMU_IMG);
    const directory = damaged(compression);
    const words = ['convert', '--salvage', '-O', 'raw', 'disk.qcow2'];
    qemuImg(...words, 'theirs.raw')
      .in(directory)
      .must();
    const { stdout } = instar(...words, '--json', 'ours.raw')
      .in(directory)
      .must();
    expect(directory.read('ours.raw').equals(directory.read('theirs.raw'))).toBe(true);
    const { result } = JSON.parse(stdout) as Result;
    const starts = [0, 5 * CLUSTER, 9 * CLUSTER, 48 * CLUSTER];
    expect(result.lost?.ranges.map(({ start }) => start)).toEqual(starts);
    expect(result.lost?.bytes).toBe(4 * CLUSTER + 1536);
    const { stderr } = instar(...words, 'again.raw')
      .in(directory)
      .must();
    const warnings = result.warnings.map((warning) => `instar: convert: warning: ${warning}\n`);
    expect(stderr).toBe(warnings.join(''));
    expect(warnings[1]).toContain(
      `disk.qcow2: ${2 * CLUSTER} bytes at offset ${5 * CLUSTER} of the disk cannot be read`,
    );
  });

  it.for([
    ['qcow2', []],
    ['qcow2', ['-c']],
    ['qcow2', ['-o', 'preallocation=metadata']],
    ['vmdk', []],
    ['vpc', ['-o', 'force_size=on']],
    ['vdi', []],
    ['raw', ['-S', '0']],
    ['raw', ['-S', '64k']],
  ] as const)('writes what can be read into %s %j', ([format, options], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = damaged('zlib');
    qemuImg('convert', '-q', '--salvage', '-O', 'raw', 'disk.qcow2', 'theirs.raw').in(directory).must();
    instar('convert', '-q', '--salvage', '-O', format, ...options, 'disk.qcow2', 'ours')
      .in(directory)
      .must();
    qemuImg('compare', '-f', 'raw', '-F', format, 'theirs.raw', 'ours').in(directory).must();
  });

  it('writes zeros into an output that is not empty, and over a backing file', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = damaged('zlib').write('existing.raw', Buffer.alloc(3 * MIB + 1536, 0x55));
    qemuImg('convert', '-q', '--salvage', '-O', 'raw', 'disk.qcow2', 'theirs.raw').in(directory).must();
    instar('convert', '-q', '--salvage', '-n', 'disk.qcow2', 'existing.raw').in(directory).must();
    expect(directory.read('existing.raw').equals(directory.read('theirs.raw'))).toBe(true);
    directory.write('base.raw', directory.read('disk.raw'));
    instar('convert', '-q', '--salvage', '-O', 'qcow2', '-B', 'base.raw', '-F', 'raw', 'disk.qcow2', 'over.qcow2')
      .in(directory)
      .must();
    qemuImg('compare', '-f', 'raw', '-F', 'qcow2', 'theirs.raw', 'over.qcow2').in(directory).must();
  });

  it('is needed: without it nothing is left of the output', () => {
    const directory = damaged('zlib');
    const { status, stderr } = instar('convert', 'disk.qcow2', 'ours.raw').in(directory).run();
    expect(status).toBe(1);
    expect(stderr).toMatch(/disk\.qcow2: an L2 table entry is not valid/);
    expect(directory.names()).toEqual(['disk.qcow2', 'disk.raw']);
  });

  it('does not forgive what cannot be opened, nor options that exclude it', () => {
    const directory = workdir().write('disk.qcow2', Buffer.from('QFI\xfb\0\0\0\x09', 'latin1'));
    for (const [words, message] of [
      [['--salvage', 'disk.qcow2', 'out.raw'], /disk\.qcow2: /],
      [['--salvage', '-C', 'disk.qcow2', 'out.raw'], /Cannot use copy offloading in salvaging mode/],
      [['--salvage', '-O', 'vmdk', '-o', 'subformat=monolithicFlat', 'disk.qcow2', 'out'], /disk\.qcow2|salvage/],
    ] as const) {
      const { status, stderr } = instar('convert', ...words)
        .in(directory)
        .run();
      expect([status, stderr]).toEqual([1, expect.stringMatching(message)]);
    }
    expect(directory.names()).toEqual(['disk.qcow2']);
  });

  it.for(['process', 'kvm'])('has zeros where the file fails, and the rest: %s', async (sandbox, context) => {
    const directory = workdir();
    const reason = buildInjector(directory);
    if (reason !== undefined) skipLoudly(context, reason);
    mkdirSync(directory.file('in'));
    mkdirSync(directory.file('out'));
    const disk = noise(5 * MIB, 3);
    directory.write('in/disk.raw', disk);
    const command = instar('convert', '--salvage', '--json', `--sandbox=${sandbox}`, '-f', 'raw')
      .with('in/disk.raw', 'out/copy.raw')
      .in(directory);
    const ground = { output: directory.file('out'), input: directory.file('in'), device: undefined };
    const fault = { call: 'pread64', from: 3, times: 20, error: 'EIO' } as const;
    const { finished, injected } = await inject(directory, command, ground, fault);
    expect([finished.status, injected]).toEqual([0, 20]);
    const { lost } = (JSON.parse(finished.stdout) as Result).result;
    expect(lost?.ranges.length).toBeGreaterThan(0);
    const expected = Buffer.from(disk);
    for (const { start, length } of lost?.ranges ?? []) expected.fill(0, start, start + length);
    expect(lost?.bytes).toBe(512 * 19);
    expect(directory.read('out/copy.raw').equals(expected)).toBe(true);
  });
});
